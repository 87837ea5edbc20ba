"""A model over ONNX Runtime as a :class:`dragoman.search.network.Network`, without torch.

B sentences   N hypotheses   S source positions   Q slots   V vocabulary
K candidates of a sentence   U candidates of all sentences together
"""

import math
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.data.source import Source, pad
from dragoman.data.tokenizer import EOS, PAD, UNK
from dragoman.layout import DECODER, ENCODER, SHORT_DECODER
from dragoman.runtime.encoder import encoder_graph
from dragoman.runtime.graph import File, filled
from dragoman.runtime.shortlist import Shortlist
from dragoman.runtime.weights import Array, Weights
from dragoman.runtime.words import decoder_graph, output_name
from dragoman.search.network import Integers, Query, Scores

Sizes = tuple[int, int]
"""Number of source and target tokens."""
_ENCODED = 32
"""Sentences that are encoded together, of about one length."""


@dataclass(frozen=True)
class Arrays:
    """Arrays with one entry a row, by name."""

    named: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.named.values())))

    def select(self, rows: Integers) -> Self:
        """The entries of ``rows`` [N'], which may repeat or leave out any."""
        return type(self)({name: one.take(rows, 0) for name, one in self.named.items()})

    def join(self, more: Self) -> Self:
        """These entries, then those of ``more``; zeros fill up what is smaller (PAD is 0)."""
        pairs = ((name, one, more.named[name]) for name, one in self.named.items())
        return type(self)({name: _joined(one, other) for name, one, other in pairs})


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _concurrency() -> int:
    """Number of threads that search, a core each: a session computes in the calling thread.

    The environment variable ``OMP_NUM_THREADS`` limits them, as it limits torch.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), int(asked)) if asked.isdecimal() and int(asked) else cores()


def _joined(one: Array, other: Array) -> Array:
    sizes = np.maximum(one.shape, other.shape)[1:]
    more = ([(0, 0), *((0, n) for n in sizes - part.shape[1:])] for part in (one, other))
    parts = zip((one, other), more, strict=True)
    return np.concatenate([np.pad(part, pads) if np.any(pads) else part for part, pads in parts])


class OnnxNetwork:
    """Encodes and steps with ONNX Runtime.

    Args:
        options: of the model.
        weights: of the model.
        sizes: number of source and target tokens.
        shortlist: the words to which outputs are limited; None: all.

    Raises:
        FolderError: a weight is missing, unknown, or of another shape.
    """

    multiple = 2
    """ONNX Runtime computes two rows or more alike, and may compute one by other instructions."""

    def __init__(
        self, options: ModelOptions, weights: Weights, sizes: Sizes, shortlist: Shortlist | None
    ) -> None:
        self.vocabulary, self.shortlist = sizes[1], shortlist
        self._output = weights.tensors[output_name(options, weights)]
        self.copies, self.attends = options.copies, options.attention != "none"
        found = graphs(options, weights, sizes, shortlist=shortlist is not None)
        self.encoder = session(found[ENCODER])
        self.decoder = session(found[DECODER if shortlist is None else SHORT_DECODER])
        self.concurrency = _concurrency()
        self._state = [name for name in found[ENCODER].outputs if name.startswith("state.")]
        self._inputs = {one.name for one in self.decoder.get_inputs()}

    def encode(self, sources: Sequence[Source], width: int) -> tuple[Arrays, Arrays]:
        """Encode B sources, padded to ``width`` positions; their memories and first states."""
        ids, mask = pad([source.ids for source in sources], last=EOS, multiple=width)
        found = self._encoded(ids, mask)
        state = Arrays({name: found.pop(name) for name in self._state})
        found["padding"] = np.where(mask, np.float32(0), np.float32(-math.inf))[:, None]
        if self.shortlist is not None:
            found["candidates"] = self.shortlist.candidates(sources)
        if self.copies:
            found["copies"], _ = pad([source.copies for source in sources], multiple=width)
            rows = zip(found["copies"], found.get("candidates", ()), sources, strict=False)
            for copied, words, source in rows:  # as places among the candidates
                known = words[: np.count_nonzero(words)]  # ascending, then PAD, which is 0
                copied[: len(source.copies)] = np.searchsorted(known, source.copies)
        return Arrays(found), state

    def _encoded(self, ids: Integers, mask: Array) -> dict[str, Array]:
        """Encode sources [B, S], those of about one length together: outputs by name."""
        names, found = ["states", "keys", *self._state], dict[str, Array]()
        order = mask.sum(1).argsort()
        for at in range(0, len(order), _ENCODED):
            rows = order[at : at + _ENCODED]
            rows = np.resize(rows, max(len(rows), self.multiple))  # repeats one that is alone
            parts = self.encoder.run(names, {"ids": ids[rows], "mask": mask[rows]})
            for name, part in zip(names, parts, strict=True):
                whole = found.setdefault(name, np.empty((len(ids), *part.shape[1:]), part.dtype))
                whole[rows] = part
        return found

    def step(self, query: Query, state: Arrays, memory: Arrays) -> tuple[Scores, Arrays]:
        """Score what follows the last tokens of N hypotheses."""
        tokens, cells, slots, top, never = query
        taken = np.zeros(len(memory) * slots, np.int64)
        taken[cells] = np.arange(len(cells))  # which hypothesis is in each cell
        token = np.where(tokens < self.vocabulary, tokens, UNK) if self.copies else tokens
        given: dict[str, Array] = {"token": token, "cells": cells, "taken": taken}
        given |= {"top": np.array([top or 1]), "never": np.array(never, np.int64)}
        given |= {**state.named, **memory.named, "sentences": cells // slots}
        words = self.vocabulary
        if self.shortlist is not None:
            given |= self._candidates_of(memory)
        elif self.copies:
            given["last"] = np.maximum(given["copies"].max(1), words - 1)
            words = int(given["last"].max()) + 1
            given["width"] = np.array([filled(words)])
        names = ["best", "tokens"] if top else ["log_probs"]
        names += ["weights"] if self.attends else []
        news = [f"next.{row}" for row in range(len(self._state))]
        given = {name: one for name, one in given.items() if name in self._inputs}
        found = dict(zip([*names, *news], self.decoder.run([*names, *news], given), strict=True))
        after = Arrays(dict(zip(self._state, (found[name] for name in news), strict=True)))
        if top:
            return Scores(found["best"], found["tokens"], found.get("weights")), after
        every = self._every(found["log_probs"], memory, cells // slots, words)
        every[:, list(never)] = -math.inf
        return Scores(every, None, found.get("weights")), after

    def _candidates_of(self, memory: Arrays) -> dict[str, Array]:
        """The candidates of all sentences, made once for a memory.

        Returns:
            ``union``, the candidates of any sentence [U]; ``places``, where those of each sentence
            stand there [B, K]; ``output``, the weights of the output layer for the union.
        """
        made = vars(memory).get("made")
        if made is None:
            known = memory.named["candidates"]
            known = np.where(known < self.vocabulary, known, PAD)  # the others are only copied
            taken = np.zeros(self.vocabulary, np.bool_)
            taken[known] = True
            union, places = np.flatnonzero(taken), np.cumsum(taken) - 1
            union = np.pad(union, (0, filled(len(union)) - len(union)))
            output = self._output.take(union, 0)
            if output.dtype == np.int8:
                output = np.ascontiguousarray(output.T)
            made = {"union": union, "places": places[known], "output": output}
            vars(memory)["made"] = made
        return dict(made)

    def _every(self, log_probs: Array, memory: Arrays, sentences: Integers, words: int) -> Array:
        """Log-probabilities of all words in their order, [N, V] or more."""
        if self.shortlist is None:
            return log_probs[:, :words].copy()
        candidates = memory.named["candidates"]
        words = max(words, int(candidates.max()) + 1)
        whole = np.full((len(log_probs), words), -math.inf, np.float32)
        np.put_along_axis(whole, candidates[sentences], log_probs, 1)
        whole[:, PAD] = -math.inf
        return whole


def graphs(
    options: ModelOptions, weights: Weights, sizes: Sizes, *, shortlist: bool
) -> dict[str, File]:
    """Write the graphs of a model as ONNX files, by file name.

    Args:
        options: of the model.
        weights: of the model.
        sizes: number of source and target tokens.
        shortlist: also write a decoder that scores candidates only.

    Raises:
        FolderError: a weight is missing, unknown, or of another shape.
    """
    encoder = encoder_graph(options, weights, sizes[0])
    given = options, weights, sizes[1], encoder.outputs
    found = {ENCODER: encoder, DECODER: decoder_graph(*given, shortlist=False)}
    if shortlist:
        found[SHORT_DECODER] = decoder_graph(*given, shortlist=True)
    used = {name for graph in found.values() for name in graph.weights}
    for name in sorted(weights.tensors.keys() - used):
        raise weights.refusal(f"has an unknown tensor {name!r}")
    return found


def session(graph: File) -> Any:
    """A graph in ONNX Runtime, which computes in the thread that calls it."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it sends usage to its makers
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    arrays = map(np.ascontiguousarray, graph.weights.values())
    held = [onnxruntime.OrtValue.ortvalue_from_numpy(one) for one in arrays]
    options.add_external_initializers([*graph.weights], held)
    made = onnxruntime.InferenceSession(graph.raw, options, providers=["CPUExecutionProvider"])
    sources: list[Any] = [array.base for array in graph.weights.values()]
    for one in sources:
        if isinstance(one, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            one.madvise(mmap.MADV_DONTNEED)  # ONNX Runtime has most in an order of its own
    return made
