"""The stored text as ids, shard by shard, so that a preparation can be interrupted.

An unfinished preparation has a folder of its own: the text, the vocabularies learned so far, and
each shard that is written. The same preparation goes on from there.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from math import inf
from pathlib import Path

from dragoman import layout
from dragoman.config.continuing import SHAPING
from dragoman.config.options import Config
from dragoman.config.rules import allows
from dragoman.config.toml import plain
from dragoman.config.values import weighted
from dragoman.data.corpus import Corpus, Example, shard, write_corpus
from dragoman.data.lines import Say, blocks, fingerprint
from dragoman.data.pairs import Pair, counted
from dragoman.data.plans import Group
from dragoman.data.source import encode_pairs
from dragoman.data.text import CHUNK, TRAIN, StoredText
from dragoman.data.tokenizer import UNK, Tokenizer
from dragoman.data.vocabularies import Taken
from dragoman.errors import DataError, FolderError, UsageError
from dragoman.files import final_name, sync, write_text

TEXT = "text.arrow"
"""The name of the stored text."""
_KEY = "key"
"""The name of the file that tells what all others were made of."""
_NAMES = r"key|(text|validation|train(-\d+)?)\.arrow|(source|target|train|\d+)\.json"
"""The names of all files of a preparation and of its corpus."""


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Context manager; a folder for what an interrupted preparation can go on with.

    It is removed at the end, also after an error of use, but not when the process is killed or
    stopped, or the disk is full.

    Raises:
        FolderError: it holds what no preparation has written.
    """
    work = folder / layout.PREPARING
    for path in work.iterdir() if work.is_dir() else filter(Path.exists, [work]):
        if not re.fullmatch(_NAMES, final_name(path.name)):
            raise FolderError("would be removed", place=path, cure="move it, or another --out")
    work.mkdir(exist_ok=True)
    try:
        yield work
    except UsageError:
        shutil.rmtree(work)
        raise
    shutil.rmtree(work)


def remove_others(work: Path, config: Config, taken: Taken) -> None:
    """Remove what a preparation of another text, in another format or with other options left.

    Options that do not shape the data, such as those of the training, may differ. Some of them rule
    out copying, which ``model.copy`` "auto" may choose: so whether it is allowed counts too.
    """
    digests = [tokenizer.digest for tokenizer in taken.values()]
    shaping = {name: value for name, value in plain(config).items() if name.startswith(SHAPING)}
    copying = allows(config, copy=True)
    key = f"{layout.FORMAT} {fingerprint([work / TEXT])} {digests} {shaping} {copying}"
    if not (file := work / _KEY).exists() or file.read_text("utf-8") != key:
        for path in {*work.iterdir()} - {work / TEXT}:
            path.unlink()
        write_text(file, key)


def write_shards(
    text: StoredText,
    apart: list[Example],
    name: str,
    tokenizers: list[Tokenizer],
    config: Config,
    say: Say,
) -> list[Group]:
    """Encode the pairs for training and write them beside the text, shard by shard.

    Shards that an interrupted preparation has written stay. The last one has the pairs of the model
    that is continued; one whose source is given anew, for training or ``apart``, is left out: the
    new target corrects it.

    Args:
        text: all pairs.
        apart: the held-out pairs.
        name: the main files, as messages call them.
        tokenizers: of source and target.
        config: the options.
        say: is told of pairs left out, and what an epoch has of each group.

    Returns:
        The groups of rows: those of the main files, of each file of ``data.also``, and of each
        group that a model that is continued has learned from.

    Raises:
        DataError: no pair is left.
        FolderError: the pairs of the model that is continued are damaged.
    """
    written, left_out, number = Counter[int](), Counter[str](), 0
    path = text.path.with_name(layout.TRAIN)
    for number, pairs in enumerate(text.shards(), 1):
        file, done = shard(path, number - 1), path.with_name(f"{number}.json")
        if not (file.exists() and done.exists()):
            left = Counter[str]()
            parts = write_corpus(file, usable(encode(pairs, tokenizers, config), left, config))
            sync(file)
            write_text(done, json.dumps([[*parts.items()], left]))
        parts, left = json.loads(done.read_text("utf-8"))
        written.update(dict(parts))
        left_out.update(left)
    origins = [(name, 1.0), *map(weighted, config.data.also)]
    groups = [Group(written[n], *origin) for n, origin in enumerate(origins, TRAIN)]
    tell(left_out, "training", say)
    if not written[TRAIN]:
        cure = "look at the normalising options, source.max_tokens and target.max_tokens"
        raise DataError("no pair is left after tokenizing", cure=cure)
    if config.data.replay not in ("none", 0):
        (last := shard(path, number)).unlink(missing_ok=True)
        known = {source.ids.tobytes() for _, _, source, _ in chain(apart, Corpus(path).examples())}
        groups += _write_replay(last, known, sum(one.drawn for one in groups), config, say)
    if len(groups) > 1:
        shares = (f"{one.drawn:,} of the {one.rows:,} pairs of {one.name}" for one in groups)
        say(f"an epoch has {', '.join(shares)}")
    return groups


def _write_replay(file: Path, known: set[bytes], new: int, config: Config, say: Say) -> list[Group]:
    """Write the pairs that the model that is continued has learned from.

    An epoch has at most as many of them as one of that model's, and in the same proportions.

    Args:
        file: the shard to write.
        known: the ids of sources whose pairs are left out, as bytes.
        new: pairs of an epoch that are not replayed.
        config: the options; ``data.replay`` is the share of an epoch that is replayed.
        say: is told of pairs left out.

    Returns:
        The groups of that model's pairs.

    Raises:
        FolderError: the model's pairs are damaged.
    """
    origin, replay = config.training.start_from, float(config.data.replay)
    before, left_out = Corpus(Path(origin, layout.CORPUS, layout.TRAIN)), Counter[str]()
    again = (e for e in before.examples() if e[2].ids.tobytes() not in known)
    written = write_corpus(file, usable(again, left_out, config))
    tell(left_out, "replay", say)
    share = min(1.0, replay / (1 - replay) * new / sum(group.drawn for group in before.groups))
    old = enumerate(before.groups)
    return [Group(written[n], one.name or origin, share * one.weight) for n, one in old]


def usable(
    examples: Iterable[Example], left_out: Counter[str], config: Config | None = None
) -> Iterator[Example]:
    """The pairs that can be used; the others are counted in ``left_out``, by the reason.

    Those for training keep to the limits of ``config``. Held-out pairs may have any length, for a
    model must answer long ones as well.
    """
    longest = (config.source.max_tokens, config.target.max_tokens) if config else (inf, inf)
    for example in examples:
        _, _, source, target = example
        if not (len(source) and len(target)):
            left_out["a side normalises to nothing"] += 1
        elif len(source) > longest[0] or len(target) > longest[1]:
            left_out["a side has too many tokens"] += 1
        elif config and config.data.drop_unknown and (UNK in source.ids or UNK in target):
            left_out["a token is not in the vocabulary"] += 1
        else:
            yield example


def tell(left_out: Counter[str], what: str, say: Say) -> None:
    """Tell how many pairs are left out of ``what``, by the reason."""
    for reason, count in left_out.items():
        say(f"{counted(count, 'pair')} left out of {what}: {reason}")


def encode(
    pairs: Iterable[tuple[int, Pair]], tokenizers: list[Tokenizer], config: Config
) -> Iterator[Example]:
    """Each of ``pairs`` with its ids.

    Args:
        pairs: the pairs, each with its part.
        tokenizers: of source and target.
        config: says whether the model copies.
    """
    for chunk in blocks(pairs, CHUNK):
        texts = [(pair.source, pair.target) for _, pair in chunk]
        found = encode_pairs(texts, tokenizers, copy=config.model.copies)
        yield from ((*pair, *ids) for pair, ids in zip(chunk, found, strict=True))
