"""From files of pairs to what training reads: tokenizers and two corpora of ids.

    files of pairs ─► text.arrow, parts ─► tokenizers ─► train.arrow, validation.arrow

The files are read once, and the stored text twice: each side alone to learn its vocabulary, then
both to be encoded, a shard at a time. A preparation that was interrupted reads the files again and
goes on at the first vocabulary or shard that is missing. A model that is continued would forget
what it has learned without the pairs of its own corpus, which are replayed.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

from dragoman import layout
from dragoman.config.options import Config
from dragoman.config.values import weighted
from dragoman.data.corpus import Corpus, Example, write_corpus, write_groups
from dragoman.data.lines import Say
from dragoman.data.near import MANY, near_copies
from dragoman.data.pairs import Faults, Pair, counted
from dragoman.data.plans import Group
from dragoman.data.readers import read_pairs
from dragoman.data.shards import TEXT, encode, remove_others, tell, unfinished, usable, write_shards
from dragoman.data.streams import require
from dragoman.data.text import HELD_OUT, LEFT_OUT, OVERLAP, TRAIN, StoredText, store_text
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabularies import learn_tokenizers, taken_tokenizers
from dragoman.data.vocabulary import build_normalizer
from dragoman.errors import DataError, FolderError
from dragoman.files import replacing

_NOT_USED = {LEFT_OUT: "shorter or longer than asked for", OVERLAP: "their sources are held out"}
"""The parts of the text that are not used, and why."""


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
        """The sizes of the vocabularies, as :func:`dragoman.model.build.build_model` takes them."""
        return {"source_vocabulary": len(self.source), "target_vocabulary": len(self.target)}

    def __str__(self) -> str:
        """One line for people: numbers of pairs, sizes and levels of the vocabularies."""
        source = f"{len(self.source):,} ({self.config.source.level})"
        target = f"{len(self.target):,} ({self.config.target.level})"
        kept = f"{len(self.validation):,} {'held out' if self.held_out else 'of them for scores'}"
        pairs = f"{len(self.train):,} pairs to learn from, {kept}"
        return f"{pairs}; vocabularies of {source} and {target}"

    def facts(self) -> dict[str, Any]:
        """The data in numbers."""
        facts: dict[str, Any] = {"pairs": len(self.train), "held out": len(self.validation)}
        for side in ("source", "target"):
            lengths = getattr(self.train, f"{side}_lengths")
            facts[side] = {
                "level": getattr(self.config, side).level,
                "vocabulary": len(getattr(self, side)),
                "tokens": int(lengths.sum()),
                "median length": int(np.median(lengths)),
                "longest": int(lengths.max()),
            }
        return facts


def prepare(files: list[Path], folder: Path, config: Config, say: Say) -> Prepared:
    """Read pairs, hold some out, learn tokenizers, and store the ids under ``folder/corpus``.

    What an interruption has left of the same preparation is used.

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
    # What is needed beside the pairs is checked first: an error comes before the long work.
    for options in (config.source, config.target):
        build_normalizer(options)
        if options.vectors:
            require(Path(options.vectors))
    data = config.data
    others = [Path(name) for name in data.validation_pairs]
    more = [Path(name) for name, _ in map(weighted, data.also)]
    for paths in filter(None, (others, *([file] for file in more))):
        read_pairs(paths, data, Faults())
    with unfinished(folder) as work, replacing(folder / layout.CORPUS, folder=True) as aside:
        config, taken = taken_tokenizers(config, say)
        known, name, tag = _held_out_before(config), " and ".join(map(str, files)), data.tag_also
        also = [_read([file], config, say, tag) for file in more]
        text = store_text([known, _read(files, config, say), *also], work / TEXT, config)
        remove_others(work, config, taken)
        if text.tags and not others:  # forms of a word are right or wrong together
            by_words = "pairs are held out by the words beside them; scores on few words are rough"
            say(f"sources have tags ({text.tags}): {by_words}")
        for part, why in _NOT_USED.items():
            if left_out := int((text.parts == part).sum()):
                say(f"{counted(left_out, 'pair')} left out: {why}")
        config, *tokenizers = learn_tokenizers(text, config, taken, say)
        apart = list(encode(text.held_out(), tokenizers, config))
        groups = write_shards(text, apart, name, tokenizers, config, say)
        for path in work.glob(f"{Path(layout.TRAIN).stem}*"):
            path.rename(aside / path.name)
        write_groups(aside / layout.TRAIN, groups)
        if others:
            apart += encode(zip(repeat(HELD_OUT), _read(others, config, say)), tokenizers, config)
        apart = list(usable(apart, left := Counter[str]()))
        tell(left, "validation", say)
        held_out = len(apart) > len(known)
        if others and not held_out:
            raise DataError("no validation pair is left", place=" ".join(map(str, others)))
        if not held_out:
            apart += _known_pairs(text, tokenizers, config, say)
        held = [pair.source for part, pair, *_ in apart if part == HELD_OUT]
        words = islice(text.column("source"), 100_000)  # more take long, and much memory
        if not text.tags and (share := near_copies(held, words)) > MANY:
            say(f"{100 * share:.0f} % of held-out sources resemble others: new ones may do worse")
        write_corpus(path := aside / layout.VALIDATION, apart, keep_text=True)
        if known:
            new = Group(len(apart) - len(known), name)
            write_groups(path, [Group(len(known), config.training.start_from), new])
    return open_prepared(folder / layout.CORPUS, config, *tokenizers, held_out=held_out)


def _known_pairs(
    text: StoredText, tokenizers: list[Tokenizer], config: Config, say: Say
) -> Iterator[Example]:
    """Pairs to learn from, for scores where none are held out."""
    wanted, pairs = config.data.validation, int((text.parts == TRAIN).sum())
    why = "too few, or too alike, to hold any out" if wanted else "all to be learned from"
    say(f"{pairs} pairs are {why}: scores are on training pairs")
    learned = (one for one in chain.from_iterable(text.shards()) if one[0] == TRAIN)
    return islice(usable(encode(learned, tokenizers, config), Counter()), max(1, wanted))


def _held_out_before(config: Config) -> list[Pair]:
    """The held-out pairs of the model that is continued; none where no model is.

    Where no pairs are to be replayed, its folder may have lost its corpus: there are none then.

    Raises:
        FolderError: pairs are to be replayed and the folder has no corpus, or that is damaged.
    """
    folder, replay = Path(config.training.start_from), config.data.replay
    if replay == "none" or not (replay or (folder / layout.CORPUS).exists()):
        return []
    if not (folder / layout.CORPUS).exists():
        cause = f"its pairs cannot be replayed: it has no {layout.CORPUS}/"
        raise FolderError(cause, place=folder, cure="learn without them: --replay 0")
    corpus = Corpus(folder / layout.CORPUS / layout.VALIDATION)
    return [Pair(*texts, corpus.line(row)) for row, texts in enumerate(corpus.texts())]


def open_prepared(made: Path, config: Config, *tokenizers: Tokenizer, held_out: bool) -> Prepared:
    """Open what :func:`prepare` stored; ``tokenizers`` are those of source and target."""
    train, validation = Corpus(made / layout.TRAIN), Corpus(made / layout.VALIDATION)
    return Prepared(config, tokenizers[0], tokenizers[1], train, validation, held_out)


def take_corpus(old: Path, new: Path) -> None:
    """Make ``new`` the same folder of ids as ``old``, by hard links, or by copies across disks."""
    with replacing(new, folder=True) as aside:
        for file in old.iterdir():
            try:
                (aside / file.name).hardlink_to(file)
            except OSError:
                shutil.copyfile(file, aside / file.name)


def _read(files: list[Path], config: Config, say: Say, tag: str = "") -> Iterator[Pair]:
    """The pairs of ``files``, each source behind ``tag`` if there is one.

    After the last pair, ``say`` is told how they were read and what was left out.
    """
    faults = Faults()
    for pair in read_pairs(files, config.data, faults):
        yield replace(pair, source=f"{tag} {pair.source}") if tag else pair
    for line in (*faults.notes, *faults.summary()):
        say(line)
