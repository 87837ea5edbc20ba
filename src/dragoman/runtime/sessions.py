"""Writes the graphs of a model, and loads them into ONNX Runtime."""

import mmap
import os
from typing import Any

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.layout import DECODER, ENCODER, SHORT_DECODER
from dragoman.runtime.encoder import encoder_graph
from dragoman.runtime.graph import File
from dragoman.runtime.weights import Weights
from dragoman.runtime.words import decoder_graph

Sizes = tuple[int, int]
"""Number of source and target tokens."""


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
    found = {
        ENCODER: encoder_graph(options, weights, sizes[0]),
        DECODER: decoder_graph(options, weights, sizes[1], shortlist=False),
    }
    if shortlist:
        found[SHORT_DECODER] = decoder_graph(options, weights, sizes[1], shortlist=True)
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
