"""From files of pairs to what training reads: tokenizers and two corpora of ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dragoman.config.options import Config
from dragoman.data.corpus import Corpus, hold_out, read_text, write_ids, write_text
from dragoman.data.lines import require
from dragoman.data.normalizer import build_normalizer
from dragoman.data.pairs import Faults, Pair
from dragoman.data.readers import read_pairs
from dragoman.data.tokenizer import TextStatistics, Tokenizer, choose_level, train_tokenizer
from dragoman.errors import DataError
from dragoman.files import refuse_ways_out, replacing_folder
from dragoman.layout import CORPUS, TRAIN, VALIDATION

_TEXT, _OTHER_TEXT = "text.arrow", "other.arrow"

Say = Callable[[str], None]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What training needs of the data."""

    config: Config
    """With the levels and sizes of the vocabularies chosen."""
    source: Tokenizer
    target: Tokenizer
    train: Corpus
    validation: Corpus
    held_out: bool
    """False when there were too few pairs to hold any out: validation is then on training pairs."""

    @property
    def sizes(self) -> dict[str, int]:
        """The vocabularies', as :func:`dragoman.model.seq2seq.build_model` takes them."""
        return {"source_vocabulary": len(self.source), "target_vocabulary": len(self.target)}

    def facts(self) -> dict[str, Any]:
        """The data in numbers."""
        sides = (
            ("source", self.config.source, self.source, self.train.source_lengths),
            ("target", self.config.target, self.target, self.train.target_lengths),
        )
        return {"pairs": len(self.train), "held out": len(self.validation)} | {
            name: {
                "level": options.level,
                "vocabulary": len(tokenizer),
                "tokens": int(lengths.sum()),
                "median length": int(np.median(lengths)),
                "longest": int(lengths.max()),
            }
            for name, options, tokenizer, lengths in sides
        }


def prepare(files: list[Path], folder: Path, config: Config, say: Say) -> Prepared:
    """Read pairs, hold some out, learn tokenizers, and store the ids under ``folder/corpus``.

    Args:
        files: one file of pairs or two aligned ones.
        folder: an existing folder; gains ``corpus/``, all at once.
        config: the options.
        say: receives each line that the user should read.

    Raises:
        DataError: the files cannot be used; nothing stays behind.
    """
    made = folder / CORPUS
    with replacing_folder(made) as aside:
        config, tokenizers, held_out = _build(files, aside, config, say)
    return open_prepared(made, config, *tokenizers, held_out=held_out)


def open_prepared(
    made: Path, config: Config, source: Tokenizer, target: Tokenizer, *, held_out: bool
) -> Prepared:
    """Open what :func:`prepare` stored."""
    train = Corpus(made / TRAIN)
    validation = Corpus(made / VALIDATION)
    return Prepared(config, source, target, train, validation, held_out)


def _build(
    files: list[Path], folder: Path, config: Config, say: Say
) -> tuple[Config, tuple[Tokenizer, Tokenizer], bool]:
    taken = _require_inputs(config)
    text = folder / _TEXT
    count = write_text(_reported(files, config, say), text)
    if config.data.validation_pairs:
        held = np.zeros(count, dtype=np.bool_)
    else:
        held = hold_out(text, config.data.validation, config.data.split_seed)
    fitting = _fitting(text, count, config)
    if not fitting.all():
        say(f"{count - int(fitting.sum())} pairs left out: shorter or longer than asked for")
    config = _choose_levels(text, fitting & ~held, config)
    tokenizers = _learn(text, fitting & ~held, config, taken)
    left_out = write_ids(
        text,
        fitting & ~held,
        tokenizers,
        (config.source.max_tokens, config.target.max_tokens),
        folder / TRAIN,
        keep_text=False,
        drop_unknown=config.data.drop_unknown,
        copy=config.model.copy,
    )
    for reason, times in left_out.items():
        say(f"{times} pairs left out of training: {reason}")
    if not len(Corpus(folder / TRAIN)):
        raise DataError(
            "no pair is left after tokenizing",
            cure="look at the normalising options, source.max_tokens and target.max_tokens",
        )
    held &= fitting
    held_out = _store_validation(text, held, fitting, tokenizers, folder, config, say)
    for name in (_TEXT, _OTHER_TEXT):
        (folder / name).unlink(missing_ok=True)
    return config, tokenizers, held_out


def _require_inputs(config: Config) -> dict[str, Tokenizer]:
    """Look at all that is needed beside the pairs, so that what is wrong is said at once.

    Returns:
        The tokenizers that come with parts of another model, by side.
    """
    for options in (config.source, config.target):
        build_normalizer(options)
        if options.vectors:
            require(Path(options.vectors))
    if config.data.validation_pairs:
        read_pairs(_validation_files(config), config.data, Faults())
    if not config.training.start_from:
        return {}
    sides = {"encoder": "source", "decoder": "target"}
    folder = Path(config.training.start_from)
    refuse_ways_out(folder)
    return {sides[p]: Tokenizer.load(folder / f"{sides[p]}.json") for p in config.training.parts}


def _reported(files: list[Path], config: Config, say: Say) -> Iterator[Pair]:
    """The pairs of ``files``; what was left out is said after the last."""
    faults = Faults()
    yield from read_pairs(files, config.data, faults)
    for line in faults.summary():
        say(line)


def _store_validation(
    text: Path,
    held: Mask,
    fitting: Mask,
    tokenizers: tuple[Tokenizer, Tokenizer],
    folder: Path,
    config: Config,
    say: Say,
) -> bool:
    """Write the validation corpus; false when it had to be made of training pairs."""
    longest = (10**9, 10**9)  # held-out pairs are all kept: long ones must be answered as well
    if config.data.validation_pairs:
        text = folder / _OTHER_TEXT
        pairs = _reported(_validation_files(config), config, say)
        rows = np.ones(write_text(pairs, text), dtype=np.bool_)
    else:
        rows = held
    held_file, copy = folder / VALIDATION, config.model.copy
    left_out = write_ids(text, rows, tokenizers, longest, held_file, keep_text=True, copy=copy)
    for reason, times in left_out.items():
        say(f"{times} pairs left out of validation: {reason}")
    if len(Corpus(folder / VALIDATION)):
        return True
    if config.data.validation_pairs:
        raise DataError("no validation pair is left", place=" ".join(config.data.validation_pairs))
    rows = fitting & (np.cumsum(fitting) <= max(1, config.data.validation))
    why = "too few to hold any out" if config.data.validation else "all to be learned from"
    say(f"{int(fitting.sum())} pairs are {why}: scores are on training pairs")
    write_ids(text, rows, tokenizers, longest, held_file, keep_text=True, copy=copy)
    return False


def _fitting(text: Path, count: int, config: Config) -> Mask:
    """Which pairs have as many characters, once normalised, as both sides ask for."""
    fitting = np.ones(count, dtype=np.bool_)
    for side, options in enumerate((config.source, config.target)):
        if options.min_characters or options.max_characters:
            normalize = build_normalizer(options).normalize_str
            every = _side(text, np.ones(count, dtype=np.bool_), side)
            lengths = np.array([len(normalize(line)) for line in every])
            fitting &= lengths >= options.min_characters
            fitting &= lengths <= (options.max_characters or lengths.max())
    if not fitting.any():
        raise DataError("no pair has the length asked for", cure="look at max_characters")
    return fitting


def _validation_files(config: Config) -> list[Path]:
    return [Path(name) for name in config.data.validation_pairs]


def _side(text: Path, rows: Mask, side: int) -> Iterator[str]:
    """The chosen rows of one side (0 source, 1 target)."""
    at = 0
    for columns in read_text(text):
        for i in np.flatnonzero(rows[at : at + len(columns[0])]):
            yield columns[side][i]
        at += len(columns[0])


def _choose_levels(text: Path, rows: Mask, config: Config) -> Config:
    if "auto" not in (x for o in (config.source, config.target) for x in (o.level, o.vocabulary)):
        none = TextStatistics(0, 0, 0)  # not looked at: a pass over every word is spared
        return replace(
            config,
            source=choose_level(config.source, none),
            target=choose_level(config.target, none),
        )
    if config.model.shared_embeddings:
        both = choose_level(config.source, TextStatistics.of(_both(text, rows)))
        return replace(config, source=both, target=both)
    sides = [
        choose_level(options, TextStatistics.of(_side(text, rows, side)))
        for side, options in enumerate((config.source, config.target))
    ]
    return replace(config, source=sides[0], target=sides[1])


def _learn(
    text: Path, rows: Mask, config: Config, taken: dict[str, Tokenizer]
) -> tuple[Tokenizer, Tokenizer]:
    """Learn the tokenizers that are not taken from another model."""
    if config.model.shared_embeddings:
        shared = train_tokenizer(_both(text, rows), config.source)
        return shared, shared
    return (
        taken.get("source") or train_tokenizer(_side(text, rows, 0), config.source),
        taken.get("target") or train_tokenizer(_side(text, rows, 1), config.target, "target"),
    )


def _both(text: Path, rows: Mask) -> Iterable[str]:
    return chain(_side(text, rows, 0), _side(text, rows, 1))
