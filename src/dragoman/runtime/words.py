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
from dragoman.runtime.decoder import decoder_step
from dragoman.runtime.encoder import state_names
from dragoman.runtime.graph import BOOL, INT32, File, Graph, Value, ints
from dragoman.runtime.onnx_file import Kind
from dragoman.runtime.weights import OUTPUT, SCALE, SOURCE_TABLE, TARGET_TABLE, Weights

BLOCK = 64
"""Words are filled up to a multiple of this many; the best are looked for block by block."""
_CHOSEN = {"log_probs": Kind("float32", ["N", "C"]), "tokens": Kind("int64", ["M", "L"])}
_LEAST = 1e-20
"""Smallest copied probability, so that its logarithm is finite."""


def decoder_graph(
    options: ModelOptions, weights: Weights, vocabulary: int, *, shortlist: bool
) -> File:
    """Write the graph of one step of a decoder, up to the best next words.

    Args:
        options: of the model.
        weights: of the model.
        vocabulary: number of target tokens, V.
        shortlist: score only candidates.

    Returns:
        An ONNX file. Its outputs: ``log_probs`` of the best ``top`` words [N, C] and
        the words ``tokens``, or for a ``top`` of 0 those of all words [N, W]; the attention
        ``weights``; and the new state, ``next.K``.
    """
    g = Graph(weights)
    features, looked, news = decoder_step(g, options, vocabulary)
    log_probs = g("LogSoftmax", _logits(g, options, vocabulary, features, shortlist), axis=-1)
    if options.copy and looked is not None:
        log_probs = _with_copies(g, options, vocabulary, (log_probs, features, looked), shortlist)
    _choose(g, log_probs, shortlist)
    numbers = Kind("float32", ["N", int(options.hidden)])
    outputs = dict(_CHOSEN)
    for row, value in enumerate(news):
        g.name(value, f"next.{row}")
        outputs[f"next.{row}"] = numbers
    inputs = {"token": Kind("int64", ["N"]), "top": Kind("int64", [1])}
    inputs |= {"never": Kind("int64", ["M"])} | dict.fromkeys(state_names(options), numbers)
    if looked is not None:
        g.name(looked, "weights")
        outputs["weights"] = Kind("float32", ["N", "S"])
        inputs |= {"taken": Kind("int64", ["B x Q"]), "cells": Kind("int64", ["N"])}
        inputs["states"] = Kind("float32", ["B", "S", int(options.hidden)])
        inputs |= {
            "keys": Kind("float32", ["B", "I", "J"]),
            "padding": Kind("float32", ["B", 1, "S"]),
        }
    if options.copy or shortlist:
        inputs["sentences"] = Kind("int64", ["N"])
    if options.copy:
        inputs["copies"] = Kind("int64", ["B", "S"])
    if options.copy and not shortlist:
        inputs |= {"last": Kind("int64", ["B"]), "width": Kind("int64", [1])}
    if shortlist:
        inputs |= {"union": Kind("int64", ["U"]), "places": Kind("int64", ["B", "K"])}
        inputs |= {"candidates": Kind("int64", ["B", "K"])}
        inputs["output"] = Kind("int8" if weights.int8 else "float32", ["X", "Y"])
    return g.written(inputs, outputs)


def filled(count: int) -> int:
    """``count`` rounded up to a multiple of :data:`BLOCK`."""
    return -(-count // BLOCK) * BLOCK


def _logits(
    g: Graph, options: ModelOptions, vocabulary: int, features: Value, shortlist: bool
) -> Value:
    """One score a word, [N, W]; minus infinity for words that only fill up.

    With a shortlist the weights of the U candidates of all sentences come as the input ``output``,
    and each hypothesis takes the scores of its own K.
    """
    x, shape, int8 = g.read(features), (vocabulary, int(options.hidden)), g.weights.int8
    more = filled(vocabulary) - vocabulary
    shift = g.weight("output.bias", vocabulary)
    if shortlist:
        least = np.array([-math.inf], np.float32)
        shift = g("ScatterElements", shift, ints(PAD), least)  # it fills up the candidates
        shift, matrix = g("Gather", shift, "union"), "output"
    else:
        shift = g("Pad", shift, ints(0, more), np.float32(-math.inf))
        name, kind = output_name(options, g.weights), "int8" if int8 else "float32"
        matrix = g("Pad", g.weight(name, *shape, kind=kind), ints(0, 0, more, 0))
        matrix = g("Transpose", matrix, perm=[1, 0]) if int8 else matrix
    if int8:
        steps = g.weight(OUTPUT + SCALE, vocabulary)
        steps = g("Gather", steps, "union") if shortlist else g("Pad", steps, ints(0, more))
        scores = g.scaled_product(x, matrix, steps, shift)
    else:
        scores = g("Gemm", x.rows, matrix, shift, transB=1)
    if shortlist:
        scores = g("GatherElements", scores, g("Gather", "places", "sentences"), axis=1)
    return scores


def output_name(options: ModelOptions, weights: Weights) -> str:
    """The name of the output layer's matrix, which in fp32 may be a table of embeddings."""
    if not options.tied_output or weights.int8:
        return OUTPUT
    return SOURCE_TABLE if options.shared_embeddings else TARGET_TABLE


def _with_copies(
    g: Graph,
    options: ModelOptions,
    vocabulary: int,
    step: tuple[Value, Value, Value],
    shortlist: bool,
) -> Value:
    """The mixture with a pointer, :mod:`dragoman.model.copying`: log-probabilities [N, W].

    Args:
        g: receives the nodes.
        options: of the model.
        vocabulary: V.
        step: the generator's log-probabilities, features, and attention weights.
        shortlist: the words are candidates, and ``copies`` are places among them.
    """
    log_probs, features, looked = step
    gate = g.weight("copying.gate.weight", 1, int(options.hidden))
    raw = g("Gemm", features, gate, g.weight("copying.gate.bias", 1), transB=1)  # [N, 1]
    generated = g("Mul", g("Exp", log_probs), g("Sigmoid", raw))
    if not shortlist:
        more = g("Concat", ints(0, 0, 0), g("Sub", "width", ints(filled(vocabulary))), axis=0)
        generated = g("Pad", generated, more, np.float32(0))
    shares = g("Mul", looked, g("Sigmoid", g("Neg", raw)))
    places = g("Gather", "copies", "sentences")  # [N, S]
    both = g("ScatterElements", generated, places, shares, axis=1, reduction="add")
    found = g("Log", g("Max", both, np.float32(_LEAST)))
    if shortlist:
        barred = g("Equal", g("Gather", "candidates", "sentences"), np.int64(PAD))
    else:  # words that only other sources have
        last = g("Unsqueeze", g("Gather", "last", "sentences"), ints(1))
        words = g("Range", np.int64(0), g("Squeeze", "width"), np.int64(1))
        barred = g("Greater", words, last)
    return g("Where", barred, np.float32(-math.inf), found)


def _choose(g: Graph, log_probs: Value, shortlist: bool) -> None:
    """The best ``top`` words but for ``never``; all words for a ``top`` of 0.

    The best lie in the blocks with the largest maxima: only those are sorted.
    """
    best, every = Graph(g.weights, g), Graph(g.weights, g)
    every.name(log_probs, "log_probs")
    every.name(every("Reshape", "top", ints(1, 1)), "tokens")
    wanted = best("Add", "top", best("Shape", "never"))
    blocks = best("Reshape", log_probs, ints(0, -1, BLOCK))
    maxima = best("ReduceMax", blocks, ints(2), keepdims=0)  # [N, W / 64]
    count = best("Min", wanted, best("Shape", maxima, start=1))
    _, chosen = best.several(2, "TopK", maxima, count)
    near = best("GatherND", blocks, best("Unsqueeze", chosen, ints(2)), batch_dims=1)
    near = best("Reshape", near, ints(0, -1))
    count = best("Min", wanted, best("Shape", near, start=1))
    values, at = best.several(2, "TopK", near, count)
    within = best("Mod", at, np.int64(BLOCK))
    block = best("GatherElements", chosen, best("Div", at, np.int64(BLOCK)), axis=1)
    words = best("Add", best("Mul", block, np.int64(BLOCK)), within)
    if shortlist:
        words = best("GatherElements", best("Gather", "candidates", "sentences"), words, axis=1)
    same = best("Cast", best("Equal", best("Unsqueeze", words, ints(2)), "never"), to=INT32)
    barred = best("Cast", best("ReduceMax", same, ints(2), keepdims=0), to=BOOL)
    values = best("Where", barred, np.float32(-math.inf), values)
    count = best("Min", "top", best("Shape", values, start=1))
    values, at = best.several(2, "TopK", values, count)
    best.name(values, "log_probs")
    best.name(best("GatherElements", words, at, axis=1), "tokens")
    g.branches(g("Greater", "top", ints(0)), best, every, _CHOSEN)
