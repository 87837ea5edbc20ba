"""Translators with models of a few units, untrained: they say something, whatever it means."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from dragoman.config.options import ModelOptions, SideOptions
from dragoman.data.tokenizer import EOS
from dragoman.data.vocabulary import train_tokenizer
from dragoman.model.build import build_model
from dragoman.model.network import TorchNetwork
from dragoman.search.batched import BatchedScorer
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
) -> Translator:
    """A translator whose answers differ from line to line.

    Args:
        level, copy, attention: options of the model.
        members: models that answer together.
        longest: maximum number of source tokens at a time.
        copies: the bias of the gate between copying (below 0) and generating.
        scale: factor of the weights, for answers that are more or less sure.
    """
    tokens = train_tokenizer(TEXT * 3, replace(SideOptions(), level=level, vocabulary=60))  # type: ignore[arg-type]
    networks = []
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
        networks.append(TorchNetwork(model))
    scorer = BatchedScorer(*networks)
    return Translator(scorer, tokens, tokens, longest=longest, others=[tokens] * (members - 1))
