"""Fills a new model with word frequencies, word vectors, and parts of another model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dragoman.config.options import Config, SideOptions
from dragoman.config.toml import flat, load_config
from dragoman.data.corpus import Corpus
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vectors import read_vectors
from dragoman.errors import OptionError
from dragoman.layout import WEIGHTS
from dragoman.model.folder import read_tensors
from dragoman.model.seq2seq import Seq2Seq

PREFIXES = {"encoder": ("encoder.",), "decoder": ("decoder.", "bridge.", "output.")}


def fill_frequencies(model: Seq2Seq, train: Corpus) -> None:
    """Set the output layer's bias to the logarithms of the words' frequencies.

    Without it the first hundred steps learn little more than these frequencies.
    """
    counts = torch.from_numpy(train.target_counts(len(model.output.bias))).double()
    with torch.no_grad():
        model.output.bias.copy_(torch.log((counts + 1) / (counts + 1).mean()))


def fill_vectors(model: Seq2Seq, config: Config, source: Tokenizer, target: Tokenizer) -> list[str]:
    """Put word vectors into the embeddings; returns what to tell the user.

    Raises:
        DataError: a file of vectors cannot be used.
    """
    said = []
    for options, tokenizer, table in _sides(model, config, source, target):
        if options.vectors:
            width = table.shape[1]
            vectors = read_vectors(Path(options.vectors), tokenizer, width)
            with torch.no_grad():
                table[torch.from_numpy(vectors.rows)] = torch.from_numpy(vectors.values).to(table)
            said.append(f"{options.vectors}: {vectors.summary()}")
    return said


def fill_parts(model: Seq2Seq, config: Config) -> list[str]:
    """Copy the parts that ``training.start_from`` names; returns what to tell the user.

    Raises:
        FolderError: the other folder is not whole.
        OptionError: a tensor does not fit; names both shapes and the options that differ.
    """
    options = config.training
    if not options.start_from:
        return []
    folder = Path(options.start_from)
    there, _ = read_tensors(folder / WEIGHTS)
    prefixes = tuple(prefix for part in options.parts for prefix in PREFIXES[part])
    wanted = {n: p for n, p in model.named_parameters() if n.startswith(prefixes)}
    for name, parameter in wanted.items():
        if name not in there or there[name].shape != parameter.shape:
            shape = list(there[name].shape) if name in there else "missing"
            raise OptionError(
                f"{name} is {shape} there, {list(parameter.shape)} here: "
                f"{_differing(load_config(folder), config)}",
                place=str(folder),
                cure="give the options it has, or fewer --parts",
            )
    for name, parameter in wanted.items():
        with torch.no_grad():
            parameter.copy_(there[name])
    return [f"{' and '.join(options.parts)} from {folder}: {len(wanted)} tensors"]


def freeze(model: Seq2Seq, config: Config, source: Tokenizer, target: Tokenizer) -> None:
    """Exclude the weights from training that the options freeze."""
    if config.training.freeze and config.training.start_from:
        prefixes = tuple(prefix for part in config.training.parts for prefix in PREFIXES[part])
        for name, parameter in model.named_parameters():
            if name.startswith(prefixes):
                parameter.requires_grad_(False)
    for options, _, table in _sides(model, config, source, target):
        if options.vectors and options.freeze_vectors:
            table.requires_grad_(False)


def _sides(
    model: Seq2Seq, config: Config, source: Tokenizer, target: Tokenizer
) -> list[tuple[SideOptions, Tokenizer, nn.Parameter]]:
    return [
        (config.source, source, model.encoder.embedding.weight),
        (config.target, target, model.decoder.embedding.weight),
    ]


def _differing(there: Config, here: Config) -> str:
    """The model options that two runs do not share: ``model.hidden is 64 there, 32 here``."""
    theirs, ours = flat(there.model, "model."), flat(here.model, "model.")
    differ = [f"{n} is {theirs[n]} there, {ours[n]} here" for n in ours if ours[n] != theirs[n]]
    return ", ".join(differ) or "the vocabularies differ"
