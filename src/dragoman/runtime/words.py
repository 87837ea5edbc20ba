"""The graph of one step of the decoder, from features to the next words.

N hypotheses   B sentences   S source positions   H hidden   V vocabulary   C best words
W words that are scored: V, and with a pointer those that only the sources have; filled up to a
multiple of 64; or with a shortlist the K candidates of a sentence
U candidates of all sentences together
"""

import math

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.data.tokenizer import PAD
from dragoman.runtime import decoder, monotonic, transformer
from dragoman.runtime.graph import BLOCK, BOOL, INT32, File, Graph, Value, filled, ints
from dragoman.runtime.onnx_file import Kinds
from dragoman.runtime.weights import OUTPUT, SCALE, SOURCE_TABLE, TARGET_TABLE, Weights
from dragoman.search.network import WITHOUT_WEIGHT

_LEAST = 1e-20
"""Smallest copied probability, so that its logarithm is finite."""
_VECTORS = ("token", "cells", "sentences", "taken", "top", "never", "last", "width", "union")
_TABLES = ("copies", "places", "candidates")
"""Inputs of whole numbers: ``token``, ``cells`` and ``sentences`` [N], ``taken`` [B x Q], ``top``
and ``width`` [1], ``never`` [M], ``last`` [B], ``union`` [U]; ``copies`` [B, S], ``places`` and
``candidates`` [B, K]. The graph of a model has those that it reads."""


def decoder_graph(
    options: ModelOptions, weights: Weights, vocabulary: int, encoded: Kinds, *, shortlist: bool
) -> File:
    """Write the graph of one step of a decoder, up to the best next words.

    Args:
        options: of the model.
        weights: of the model.
        vocabulary: number of target tokens, V.
        encoded: type and axes of the encoder's outputs, by name.
        shortlist: score only candidates.

    Returns:
        An ONNX file. Its outputs: ``log_probs`` of all words [N, W], and of the ``best`` words, as
        many as the input ``top`` says, which are ``tokens`` [N, C]; the attention ``weights``; and
        the new state, ``next.K``.
    """
    g = Graph(options, weights, vocabulary)
    family = transformer if options.family == "transformer" else decoder
    features, looked, news = family.decoder_step(g)
    log_probs = _log_probs(g, _logits(g, features, shortlist))
    if options.attention == "monotonic" and looked is not None:
        news.append(monotonic.joined(g, log_probs, looked))
        log_probs = g("ReduceLogSumExp", news[-1], ints(1), keepdims=0)
    if options.copies and looked is not None:
        log_probs = _with_copies(g, (log_probs, features, looked), shortlist)
    g.name(log_probs, "log_probs")
    best, tokens = _best(g, log_probs, shortlist)
    g.name(best, "best")
    g.name(tokens, "tokens", ("int64", 2))
    if looked is not None:
        g.name(looked, "weights")
    inputs = dict.fromkeys(_VECTORS, ("int64", 1)) | dict.fromkeys(_TABLES, ("int64", 2))
    inputs |= {"padding": ("float32", 3), "output": ("int8" if weights.int8 else "float32", 2)}
    for row, value in enumerate(news):
        g.name(value, f"next.{row}", encoded[f"state.{row}"])
    return g.written({**inputs, **encoded})


def _logits(g: Graph, features: Value, shortlist: bool) -> Value:
    """One score a word, [N, W]; minus infinity for words that only fill up.

    With a shortlist the weights of the U candidates of all sentences come as the input ``output``,
    and each hypothesis takes the scores of its own K.
    """
    x, int8, more = g.read(features), g.weights.int8, filled(g.vocabulary) - g.vocabulary
    shift = g.weight("output.bias", g.vocabulary)
    if shortlist:
        least = np.array([-math.inf], np.float32)
        shift = g("ScatterElements", shift, ints(PAD), least)  # it fills up the candidates
        shift, matrix = g("Gather", shift, "union"), "output"
    else:
        shift = g("Pad", shift, ints(0, more), np.float32(-math.inf))
        weight = g.weight(output_name(g.options, g.weights), g.vocabulary, g.hidden)
        matrix = g("Pad", weight, ints(0, 0, more, 0))
        matrix = g("Transpose", matrix, perm=[1, 0]) if int8 else matrix
    if int8:
        steps = g.weight(OUTPUT + SCALE, g.vocabulary)
        steps = g("Gather", steps, "union") if shortlist else g("Pad", steps, ints(0, more))
        scores = g.scaled_product(x, matrix, steps, shift)
    else:
        scores = g("Gemm", x.rows, matrix, shift, transB=1)
    if shortlist:
        scores = g("GatherElements", scores, g("Gather", "places", "sentences"), axis=1)
    return scores


def _log_probs(g: Graph, scores: Value) -> Value:
    """Log-probabilities of words, as :class:`dragoman.model.output.Output` makes them: [N, W]."""
    if g.options.output_probabilities == "softmax":
        return g("LogSoftmax", scores, axis=-1)
    least = g("Sub", scores, g("ReduceMax", scores, ints(-1)))
    weighted = g("Log", decoder.entmax(g, scores, 2))
    return g("Max", weighted, g("Add", least, np.float32(WITHOUT_WEIGHT)))


def output_name(options: ModelOptions, weights: Weights) -> str:
    """The name of the output layer's matrix, which in fp32 may be a table of embeddings."""
    if not options.tied_output or weights.int8:
        return OUTPUT
    return SOURCE_TABLE if options.shared_embeddings else TARGET_TABLE


def _with_copies(g: Graph, step: tuple[Value, Value, Value], shortlist: bool) -> Value:
    """The mixture with a pointer, :mod:`dragoman.model.copying`: log-probabilities [N, W].

    Args:
        g: receives the nodes.
        step: the generator's log-probabilities, features, and attention weights.
        shortlist: the words are candidates, and ``copies`` are places among them.
    """
    log_probs, features, looked = step
    gate = g.weight("copying.gate.weight", 1, g.hidden)
    raw = g("Gemm", features, gate, g.weight("copying.gate.bias", 1), transB=1)  # [N, 1]
    generated = g("Mul", g("Exp", log_probs), g("Sigmoid", raw))
    if shortlist:
        barred = g("Equal", g("Gather", "candidates", "sentences"), np.int64(PAD))
    else:
        more = g("Sub", "width", ints(filled(g.vocabulary)))
        generated = g("Pad", generated, g("Concat", ints(0, 0, 0), more, axis=0), np.float32(0))
        words = g("Range", np.int64(0), g("Squeeze", "width"), np.int64(1))
        last = g("Unsqueeze", g("Gather", "last", "sentences"), ints(1))
        barred = g("Greater", words, last)  # words that only other sources have
    shares = g("Mul", looked, g("Sigmoid", g("Neg", raw)))
    places = g("Gather", "copies", "sentences")  # [N, S]
    both = g("ScatterElements", generated, places, shares, axis=1, reduction="add")
    return g("Where", barred, np.float32(-math.inf), g("Log", g("Max", both, np.float32(_LEAST))))


def _best(g: Graph, log_probs: Value, shortlist: bool) -> list[Value]:
    """Log-probabilities and words of the best ``top`` words but for ``never``, [N, C] both.

    The best lie in the blocks with the largest maxima: only those are sorted.
    """
    wanted = g("Add", "top", g("Shape", "never"))
    blocks = g("Reshape", log_probs, ints(0, -1, BLOCK))
    _, chosen = _largest(g, g("ReduceMax", blocks, ints(2), keepdims=0), wanted)  # of [N, W / 64]
    near = g("GatherND", blocks, g("Unsqueeze", chosen, ints(2)), batch_dims=1)
    values, at = _largest(g, g("Reshape", near, ints(0, -1)), wanted)
    block = g("GatherElements", chosen, g("Div", at, np.int64(BLOCK)), axis=1)
    words = g("Add", g("Mul", block, np.int64(BLOCK)), g("Mod", at, np.int64(BLOCK)))
    if shortlist:
        words = g("GatherElements", g("Gather", "candidates", "sentences"), words, axis=1)
    same = g("Cast", g("Equal", g("Unsqueeze", words, ints(2)), "never"), to=INT32)
    barred = g("Cast", g("ReduceMax", same, ints(2), keepdims=0), to=BOOL)
    values, at = _largest(g, g("Where", barred, np.float32(-math.inf), values), "top")
    return [values, g("GatherElements", words, at, axis=1)]


def _largest(g: Graph, values: Value, count: Value) -> list[Value]:
    """The ``count`` largest values of each row (all, where there are fewer), and their places."""
    return g.several(2, "TopK", values, g("Min", count, g("Shape", values, start=1)))
