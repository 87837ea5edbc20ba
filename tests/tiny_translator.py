"""Translators with models of a few units, untrained: they say something, whatever it means."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from dragoman.config.options import ModelOptions, SideOptions
from dragoman.data.tokenizer import EOS
from dragoman.data.vocabulary import train_tokenizer
from dragoman.model.build import build_model
from dragoman.model.folder import tensors_of
from dragoman.model.network import TorchNetwork
from dragoman.runtime.network import OnnxNetwork
from dragoman.runtime.weights import Weights, quantized
from dragoman.search.batched import BatchedScorer
from dragoman.search.network import Network
from dragoman.search.translator import Translator

TEXT = ["the cat sat on a mat , near the dog .", "a category of cats", "dogs sit !"]


@cache
def translator(
    level: str,
    *,
    copy: bool = False,
    members: int = 1,
    attention: str = "luong",
    longest: int = 30,
    copies: float | None = None,
    scale: float = 3.0,
    library: str = "fp32",
) -> Translator:
    """A translator whose answers differ from line to line.

    Args:
        level, copy, attention: options of the model.
        members: models that answer together.
        longest: maximum number of source tokens at a time.
        copies: the bias of the gate between copying (below 0) and generating.
        scale: factor of the weights, for answers that are more or less sure.
        library: what computes: ``torch``, or ONNX Runtime in ``fp32`` or ``int8``.
    """
    tokens = train_tokenizer(TEXT * 3, replace(SideOptions(), level=level, vocabulary=60))  # type: ignore[arg-type]
    networks = list[Network]()
    for member in range(members):
        torch.manual_seed(4 + member)
        options = replace(ModelOptions(), embedding=12, hidden=16, dropout=0.0)
        chosen = replace(options, attention=attention, copy=copy)  # type: ignore[arg-type]
        model = build_model(chosen, source_vocabulary=len(tokens), target_vocabulary=len(tokens))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(scale)
            model.output.bias[EOS] = 1.0
            if copies is not None and model.copying is not None:
                model.copying.gate.bias[:] = copies
        tensors = {name: one.numpy() for name, one in tensors_of(model).items()}
        tensors = quantized(tensors) if library == "int8" else tensors
        sizes = len(tokens), len(tokens)
        network = TorchNetwork(model) if library == "torch" else None
        networks.append(network or OnnxNetwork(chosen, Weights(tensors, "memory"), sizes, None))
    scorer = BatchedScorer(*networks)
    return Translator(scorer, [tokens] * members, tokens, longest)
