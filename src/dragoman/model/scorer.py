"""A torch model behind the interface of :mod:`dragoman.search`: NumPy in, NumPy out.

    B sentences   N hypotheses   S source   V vocabulary   C best words   K rows of state

The numbers of a hypothesis do not depend on its company. A product gives a row the same value
whatever other rows stand beside it (:mod:`dragoman.model.products`; other libraries, as long as
their number is a multiple of 8; torch's sigmoid, of 16 where a hidden size is odd); attention has
room for the whole beam of a sentence at every step; and a source is padded to a width that is a
function of its own length, and read together with those of the same width.
``tests/search/test_invariance.py`` holds this bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.batches import pad
from dragoman.data.tokenizer import EOS, PAD, Ids
from dragoman.model.decoder import Memory, Part
from dragoman.model.eight_bit import require_eight_bit
from dragoman.model.products import Prepared
from dragoman.model.seq2seq import Seq2Seq
from dragoman.scorer import Scores

GROUP = 16
"""Sentences and hypotheses are filled up with copies to a multiple of this, for that reason."""
WIDTH = 8
"""Sources are padded to a multiple of this many positions."""
_THREADS = RLock()
"""Held while torch's number of threads, which the whole process shares, is changed."""
_WORTH_LEAVING = 0.75
"""Sentences leave the memory when no more than this share of it is still needed."""

Integers = npt.NDArray[np.int64]
Source = Ids | tuple[Ids, Ids]


class TorchState(NamedTuple):
    """Where a batch of hypotheses stands."""

    rows: Tensor
    """[N, K, H], filling included."""
    memories: dict[int, Memory]
    """What is known of the sentences, by the width that they are padded to."""
    widths: Integers
    """Which memory each hypothesis reads, [N]."""
    places: Integers
    """Which row of it, [N]."""
    beam: int
    """Most hypotheses of a sentence."""
    parts: list[Part]
    """The same for the decoder."""
    weights: Prepared


class TorchScorer:
    """Scores next tokens with a :class:`Seq2Seq`, whose weights must not change meanwhile."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self.copies = model.copying is not None
        self.attends = model.decoder.attention is not None
        self._weights: dict[bool, Prepared] = {}

    @contextmanager
    def at_once(self) -> Iterator[int]:
        """Give every thread that torch may use a batch of its own."""
        with _THREADS:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                yield threads if self.device.type == "cpu" else 1
            finally:
                torch.set_num_threads(threads)

    @torch.inference_mode()
    def start(self, sources: Sequence[Source], beam: int, *, int8: bool = False) -> TorchState:
        """Encode the sources; one hypothesis each.

        Raises:
            OptionError: there is no ``int8`` on this device.
        """
        if int8:
            require_eight_bit(self.device)
        weights = self._weights.setdefault(int8, Prepared(int8=int8))
        pairs = [
            source if isinstance(source, tuple) else (source, source[:0]) for source in sources
        ]
        widths = np.array([_filled(len(ids) + 1, WIDTH) for ids, _ in pairs])
        memories, places = {}, np.zeros(len(pairs), np.int64)
        order, rows = [], []
        for width in np.unique(widths).tolist():
            here = np.flatnonzero(widths == width)
            with weights.at_work():
                memories[width] = self._encode([pairs[i] for i in here])
            places[here] = np.arange(len(here))
            order.append(here)
            rows.append(memories[width].start[: len(here)])
        index = np.argsort(np.concatenate(order), kind="stable")
        return self._state(torch.cat(rows), index, memories, widths, places, beam, weights)

    @torch.inference_mode()
    def step(
        self, tokens: Integers, state: TorchState, top: int | None = None, never: Sequence[int] = ()
    ) -> tuple[Scores, TorchState]:
        """Score what follows ``tokens`` [N]."""
        count = len(tokens)
        filling = tokens[:1].repeat(len(state.rows) - count)
        token = self._tensor(np.concatenate((tokens, filling))).unsqueeze(1)
        with state.weights.at_work():
            features, rows, weights = self.model.step(token, state.rows.unsqueeze(1), state.parts)
            copies = self._words(state)
            log_probs, best = self.model.best(features, weights, copies, top, never)
        words = None if best is None else best[:count].cpu().numpy()
        looked = None if weights is None else weights[:count, 0].cpu().numpy()
        scores = Scores(log_probs[:count].cpu().numpy(), words, looked)
        return scores, state._replace(rows=rows.squeeze(1))

    @torch.inference_mode()
    def select(self, state: TorchState, parents: Integers) -> TorchState:
        """Go on with hypotheses that continue ``parents`` [N']; their sentences stay in order."""
        widths, places, memories = state.widths[parents], state.places[parents], {}
        for width in np.unique(widths).tolist():
            here, memory = widths == width, state.memories[width]
            left = np.unique(places[here])  # sentences with a hypothesis
            if _filled(len(left), GROUP) <= _WORTH_LEAVING * len(memory.mask):
                places[here] = np.searchsorted(left, places[here])
                kept = self._tensor(_filled_up(left))
                memory = Memory(*(part[kept] for part in memory))
            memories[width] = memory
        return self._state(state.rows, parents, memories, widths, places, state.beam, state.weights)

    @torch.inference_mode()
    def join(self, state: TorchState, more: TorchState) -> TorchState:
        """The hypotheses of one state, then those of another."""
        count, others = len(state.places), len(more.places)
        shift = {width: len(memory.mask) for width, memory in state.memories.items()}
        memories = state.memories | more.memories
        for width in shift.keys() & more.memories.keys():
            both = zip(state.memories[width], more.memories[width], strict=True)
            memories[width] = Memory(*(torch.cat(parts) for parts in both))
        before = np.array([shift.get(width, 0) for width in more.widths.tolist()], np.int64)
        rows = torch.cat((state.rows[:count], more.rows[:others]))
        widths = np.concatenate((state.widths, more.widths))
        places = np.concatenate((state.places, more.places + before))
        return self._state(
            rows, np.arange(len(rows)), memories, widths, places, state.beam, state.weights
        )

    def _encode(self, pairs: Sequence[tuple[Ids, Ids]]) -> Memory:
        """Read sources of one width."""
        pairs = [*pairs, *[pairs[0]] * (_filled(len(pairs), GROUP) - len(pairs))]
        ids, mask = pad([source for source, _ in pairs], last=EOS, multiple=WIDTH)
        copies = None
        if self.model.copying is not None:
            copies = pad([words for _, words in pairs], multiple=WIDTH)[0].to(self.device)
        return self.model.encode(ids.to(self.device), mask.to(self.device), copies)

    def _state(
        self,
        rows: Tensor,
        index: Integers,
        memories: dict[int, Memory],
        widths: Integers,
        places: Integers,
        beam: int,
        weights: Prepared,
    ) -> TorchState:
        """The hypotheses with ``rows[index]`` as their rows, filled up, and where each stands."""
        rows = rows[self._tensor(_filled_up(index))]
        begins = np.diff(places, prepend=-1).astype(bool) | np.diff(widths, prepend=-1).astype(bool)
        first = np.flatnonzero(begins)
        number = np.arange(len(places)) - np.repeat(first, np.diff(first, append=len(places)))
        at = places * beam + number
        parts = []
        for width, memory in memories.items():
            here = np.flatnonzero(widths == width)
            parts.append(Part(memory, self._tensor(here), self._tensor(at[here]), beam))
        return TorchState(rows, memories, widths, places, beam, parts, weights)

    def _words(self, state: TorchState) -> Tensor:
        """The source's words of each hypothesis, to copy them: [N, S], or [N, 0]."""
        most = max(part.memory.copies.shape[1] for part in state.parts)
        words = torch.full((len(state.rows), most), PAD, device=self.device)
        for memory, rows, at, beam in state.parts if most else ():
            words[rows, : memory.copies.shape[1]] = memory.copies[at // beam]
        return words

    def _tensor(self, values: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def _filled(count: int, group: int) -> int:
    """``count``, rounded up to whole groups."""
    return -(-count // group) * group


def _filled_up(rows: Integers) -> Integers:
    """Rows, and the first of them again until they make whole groups."""
    return np.concatenate((rows, rows[:1].repeat(_filled(len(rows), GROUP) - len(rows))))
