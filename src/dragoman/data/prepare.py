"""From files of pairs to what training reads: tokenizers and two corpora of ids.

    files of pairs ─► text.arrow, parts ─► tokenizers ─► train.arrow, validation.arrow

The files are read once and the stored text twice: each side alone to learn its vocabulary, then
both to be encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dragoman.config.options import Config
from dragoman.data.corpus import Corpus, CorpusWriter
from dragoman.data.lines import require
from dragoman.data.normalizer import build_normalizer
from dragoman.data.pairs import Faults, Pair
from dragoman.data.readers import read_pairs
from dragoman.data.source import encode_pairs
from dragoman.data.split import HELD_OUT, LEFT_OUT, TRAIN
from dragoman.data.text import Rows, StoredText, rows_of, store_text
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabularies import Vocabularies, learn_vocabularies, taken_tokenizers
from dragoman.errors import DataError
from dragoman.files import replacing
from dragoman.layout import CORPUS
from dragoman.layout import TRAIN as TRAIN_FILE
from dragoman.layout import VALIDATION as VALIDATION_FILE

_TEXT = "text.arrow"

Say = Callable[[str], None]


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
        """The sizes of the vocabularies, as :func:`dragoman.model.seq2seq.build_model` takes."""
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
        OptionError: options contradict each other or what the data needs.
        FolderError: the model to start from is missing or damaged.
    """
    made = folder / CORPUS
    with replacing(made, folder=True) as aside:
        found, held_out = _build(files, aside, config, say)
    return open_prepared(made, found.config, found.source, found.target, held_out=held_out)


def open_prepared(
    made: Path, config: Config, source: Tokenizer, target: Tokenizer, *, held_out: bool
) -> Prepared:
    """Open what :func:`prepare` stored."""
    train = Corpus(made / TRAIN_FILE)
    validation = Corpus(made / VALIDATION_FILE)
    return Prepared(config, source, target, train, validation, held_out)


def _build(files: list[Path], folder: Path, config: Config, say: Say) -> tuple[Vocabularies, bool]:
    _require_inputs(config)
    config, taken = taken_tokenizers(config, say)
    text = store_text(_read(files, config, say), folder / _TEXT, config)
    if left_out := int((text.parts == LEFT_OUT).sum()):
        say(f"{left_out} pairs left out: shorter or longer than asked for")
    found = learn_vocabularies(text, config, taken)
    held_out = _encode(text, found, folder, say)
    (folder / _TEXT).unlink()
    return found, held_out


def _require_inputs(config: Config) -> None:
    """Check what is needed beside the pairs, so that an error is raised before the long work."""
    for options in (config.source, config.target):
        build_normalizer(options)
        if options.vectors:
            require(Path(options.vectors))
    if config.data.validation_pairs:
        read_pairs(_validation_files(config), config.data, Faults())


def _read(files: list[Path], config: Config, say: Say) -> Iterator[Pair]:
    """The pairs of ``files``; after the last, what was left out is said."""
    faults = Faults()
    yield from read_pairs(files, config.data, faults)
    for line in (*faults.notes, *faults.summary()):
        say(line)


def _validation_files(config: Config) -> list[Path]:
    return [Path(name) for name in config.data.validation_pairs]


def _encode(text: StoredText, found: Vocabularies, folder: Path, say: Say) -> bool:
    """Write both corpora; false when validation had to be made of training pairs."""
    config = found.config
    train = CorpusWriter(
        folder / TRAIN_FILE,
        longest=(config.source.max_tokens, config.target.max_tokens),
        drop_unknown=config.data.drop_unknown,
    )
    # Held-out pairs of any length are kept: a model must answer long ones as well.
    validation = CorpusWriter(folder / VALIDATION_FILE, keep_text=True)
    held_out = True
    with train, validation:
        _send(text.rows(), {TRAIN: train, HELD_OUT: validation}, found)
        _report(train, "training", say)
        if not train.rows:
            raise DataError(
                "no pair is left after tokenizing",
                cure="look at the normalising options, source.max_tokens and target.max_tokens",
            )
        if others := _validation_files(config):
            pairs = _read(others, config, say)
            _send(rows_of(pairs, HELD_OUT), {HELD_OUT: validation}, found)
        _report(validation, "validation", say)
        if not validation.rows:
            if others:
                raise DataError(
                    "no validation pair is left", place=" ".join(config.data.validation_pairs)
                )
            held_out = False
            fits = text.parts != LEFT_OUT
            first = fits & (np.cumsum(fits) <= max(1, config.data.validation))
            why = "too few to hold any out" if config.data.validation else "all to be learned from"
            say(f"{int(fits.sum())} pairs are {why}: scores are on training pairs")
            chosen = np.where(first, HELD_OUT, LEFT_OUT).astype(np.int8)
            _send(text.rows(chosen), {HELD_OUT: validation}, found)
    return held_out


def _send(rows: Iterable[Rows], corpora: Mapping[int, CorpusWriter], found: Vocabularies) -> None:
    """Encode ``rows`` and write each to the corpus of its part."""
    tokenizers, copy = (found.source, found.target), found.config.model.copy
    for pairs, parts in rows:
        texts = [pair.source for pair in pairs], [pair.target for pair in pairs]
        encoded = encode_pairs(*texts, tokenizers, copy=copy)
        for pair, part, source, target in zip(pairs, parts.tolist(), *encoded, strict=True):
            corpora[part].add(pair, source, target)


def _report(corpus: CorpusWriter, what: str, say: Say) -> None:
    for reason, count in corpus.left_out.items():
        say(f"{count} pairs left out of {what}: {reason}")
