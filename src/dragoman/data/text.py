"""The text of the training files on disk: read, checked, counted and split in one pass.

The file of pairs may be larger than memory, and standard input can be read only once. The stored
text is read twice more: by side to learn the vocabularies, then whole to be encoded.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dragoman.config.options import Config, SideOptions
from dragoman.data.invisible import sentence_key
from dragoman.data.lines import blocks
from dragoman.data.pairs import Pair
from dragoman.data.tags import Tags, column_tags, find_tags, tag_token
from dragoman.data.vocabulary import build_normalizer
from dragoman.errors import DataError

Parts = npt.NDArray[np.int16]
"""The part of each row."""
Keys = npt.NDArray[np.uint64]
"""A hash of the source of each row."""
Cells = tuple[Any, ...]
"""A row of an Arrow file."""
CHUNK = 8192
"""Rows of a record batch; the last one of a file may have fewer."""
SHARD = 128
"""Record batches of text whose ids stand in one file: about a million pairs."""
LEFT_OUT, OVERLAP, HELD_OUT, TRAIN = range(4)
"""The parts that a pair may belong to: none, by its length; none, because its source is held out;
validation; training. Pairs of the n-th file of ``data.also`` have the part ``TRAIN`` + n."""
_SCHEMA = pa.schema([("source", pa.string()), ("target", pa.string()), ("line", pa.int32())])


@dataclass(slots=True)
class TextStatistics:
    """Counts of one side's text, by which its options are chosen."""

    lines: int = 0
    characters: int = 0
    texts_with: Counter[str] = field(default_factory=Counter)
    """The number of texts that have each character; those in ASCII are not counted."""
    alphabet: set[str] = field(default_factory=set)
    """The different characters."""
    words: Counter[str] = field(default_factory=Counter)
    """How often each word occurs; words are what white space separates."""

    def add(self, texts: Sequence[str]) -> None:
        """Count the texts as well."""
        joined = "\n".join(texts)
        others = (set(text) for text in texts if not text.isascii())
        self.lines += len(texts)
        self.characters += sum(map(len, texts))
        self.words.update(joined.split())
        self.texts_with.update(chain.from_iterable(others))
        self.alphabet |= set(joined) - {"\n"}

    def remove(self, texts: Sequence[str]) -> None:
        """Count the texts no longer, which were added before; the alphabet stays."""
        gone = TextStatistics()
        gone.add(texts)
        for name in ("lines", "characters", "words", "texts_with"):
            setattr(self, name, getattr(self, name) - getattr(gone, name))


class StoredText:
    """All pairs as text, in a file that is mapped into memory.

    Attributes:
        path: the file.
        parts: the part of each row, int16 [rows].
        tags: those of the sources.
        vocabulary_tags: those that are tokens of the source's vocabulary: a vocabulary that both
            sides share has none.
        statistics: of the training text, by side; of both sides where they share a vocabulary.
    """

    def __init__(
        self, path: Path, parts: Parts, tags: Tags, statistics: dict[str, TextStatistics]
    ) -> None:
        (_, self._batches), self.parts, self.tags = open_batches(path), parts, tags
        self.path, self.statistics = path, statistics
        self.vocabulary_tags = Tags(()) if statistics["source"] is statistics["target"] else tags

    def column(self, name: str, *, training: bool = True) -> Iterator[str]:
        """The texts of one side, ``source`` or ``target``, without tags.

        They are those of the pairs for training, or those of all other pairs.
        """
        cut = self.vocabulary_tags if name == "source" else Tags(())
        for batch, parts in self._parted():
            texts = batch.column(name).filter(pa.array((parts >= TRAIN) == training)).to_pylist()
            yield from map(cut.words, texts) if cut else texts

    def held_out(self) -> Iterator[tuple[int, Pair]]:
        """The held-out pairs, each with its part, in the order of the files."""
        return self._pairs(slice(None), HELD_OUT, HELD_OUT)

    def shards(self) -> Iterator[Iterator[tuple[int, Pair]]]:
        """The pairs for training, each with its part, in the order of the files, shard by shard."""
        for start in range(0, max(1, len(self._batches)), SHARD):
            yield self._pairs(slice(start, start + SHARD), TRAIN, np.iinfo(np.int16).max)

    def _pairs(self, of: slice, first: int, last: int) -> Iterator[tuple[int, Pair]]:
        """The pairs of some record batches whose parts are ``first`` to ``last``."""
        for batch, parts in islice(self._parted(), of.start, of.stop):
            wanted = (parts >= first) & (parts <= last)
            used = batch.filter(pa.array(wanted))
            pairs = map(Pair, *(used.column(name).to_pylist() for name in _SCHEMA.names))
            yield from zip(parts[wanted].tolist(), pairs, strict=True)

    def _parted(self) -> Iterator[tuple[Any, Parts]]:
        """Each record batch, and the parts of its rows."""
        start = 0
        for batch in self._batches:
            yield batch, self.parts[start : start + len(batch)]
            start += len(batch)


def store_text(groups: Sequence[Iterable[Pair]], path: Path, config: Config) -> StoredText:
    """Write pairs to ``path`` and decide which part each of them belongs to.

    Sources that differ only in their tags belong to the same part. Where there are no columns of
    features, the first chunk tells whether there are tags beside the words; at level ``word`` these
    are words like others, for it cannot read words that training never saw.

    Args:
        groups: pairs that are held out in any case; the main pairs, of which some are held out; the
            pairs of each file of ``data.also``.
        path: the new file.
        config: the options.

    Raises:
        DataError: no pair has the length that the options ask for.
    """
    data, keys, fitting = config.data, list[Keys](), []
    tags, sizes = Tags(()), [0] * len(groups)
    shared, one = config.model.shared_embeddings, TextStatistics()
    counts = {"source": one, "target": one if shared else TextStatistics()}

    def counted() -> Iterator[Pair]:
        for group, pairs in enumerate(groups):
            for pair in pairs:
                sizes[group] += 1
                yield pair

    for chunk in write_pairs(counted(), path):
        sources, targets, _ = (list(column) for column in zip(*chunk, strict=True))
        if data.features:
            tags = Tags(tags.tokens | column_tags(sources))
        elif not keys and config.source.level != "word":
            tags = find_tags(sources)
        if data.tag_also:
            tags = Tags({*tags.tokens, tag_token(data.tag_also)})
        words = list(map(tags.words, sources))
        keys.append(split_keys(words, data.split_seed))
        fitting.append(_fit(words, config.source) & _fit(targets, config.target))
        counts["source"].add(sources if shared else words)
        counts["target"].add(targets)
    fits = np.concatenate(fitting)
    if not fits.any():
        raise DataError("no pair has the length asked for", cure="look at max_characters")
    origins = np.repeat(np.arange(-1, len(sizes) - 1, dtype=np.int16), sizes)
    parts = _split(np.concatenate(keys), origins, 0 if data.validation_pairs else data.validation)
    parts[~fits] = LEFT_OUT
    text = StoredText(path, parts, tags, counts)
    for name, statistics in counts.items():
        for texts in blocks(text.column(name, training=False), CHUNK):
            statistics.remove(texts)
    return text


def _split(keys: Keys, origins: Parts, wanted: int) -> Parts:
    """The part of each row, as if all had the length that is asked for.

    Args:
        keys: of each row, from :func:`split_keys`.
        origins: of each row: -1 for pairs that are held out in any case, 0 for the main pairs, n
            for those of the n-th file of ``data.also``.
        wanted: the number of main pairs to hold out.
    """
    held = origins < 0
    free = (origins == 0) & ~among(keys, keys[held])
    held[free] = held_out_rows(keys[free], wanted)
    parts = TRAIN + origins
    parts[among(keys, keys[held])] = OVERLAP
    parts[held] = HELD_OUT
    return parts


def write_pairs(pairs: Iterable[Pair], path: Path) -> Iterator[list[Cells]]:
    """Write ``pairs`` to ``path``; yields source, target and line of each, in chunks."""
    return write_rows(((pair.source, pair.target, pair.line) for pair in pairs), path, _SCHEMA)


def write_rows(rows: Iterable[Cells], path: Path, schema: Any) -> Iterator[list[Cells]]:
    """Write rows to the new Arrow file ``path``; yields each chunk once it is written."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for chunk in blocks(rows, CHUNK):
            writer.write_batch(pa.record_batch(list(zip(*chunk, strict=True)), schema=schema))
            yield chunk


def open_batches(path: Path) -> tuple[Any, list[Any]]:
    """The schema and the record batches of a file of :func:`write_rows`, mapped into memory."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return reader.schema, [reader.get_batch(i) for i in range(reader.num_record_batches)]


def split_keys(sources: Iterable[str], seed: int) -> Keys:
    """A keyed hash of each source sentence, uint64 [rows].

    Sources that differ only in case, punctuation or spaces have the same hash. Each ``seed`` puts
    the sentences in another random order.
    """
    salt = seed.to_bytes(8, "little")
    hashes = (hashlib.blake2b(sentence_key(s).encode(), digest_size=8, key=salt) for s in sources)
    return np.array([int.from_bytes(one.digest()) for one in hashes], dtype=np.uint64)


def held_out_rows(keys: Keys, wanted: int) -> npt.NDArray[np.bool_]:
    """Choose the rows to hold out, by source sentence.

    Rows of one key go together, so that no source is on both sides of the split. At most a tenth
    of all rows is held out.

    Args:
        keys: of each row, from :func:`split_keys`.
        wanted: the number of rows to hold out.

    Returns:
        True for the rows held out.
    """
    room = few = min(wanted, len(keys) // 10)
    rows, sentences = np.zeros(0, np.int64), keys[:0]
    # To save memory only the smallest keys are sorted: four times as many until room is filled.
    while rows.sum() < room and few < len(keys):
        few = min(4 * few, len(keys))
        sentences, rows = np.unique(np.partition(keys, few - 1)[:few], return_counts=True)
        # A sentence with more rows than room is passed over; the others are taken in their order.
        # The last sentence may have more rows among the keys that are not sorted yet.
        fits = (rows <= room) & ((sentences < sentences[-1]) | (few == len(keys)))
        sentences, rows = sentences[fits], rows[fits]
    return among(keys, sentences[np.cumsum(rows) <= room])


def among(keys: Keys, few: Keys) -> npt.NDArray[np.bool_]:
    """True for each of ``keys`` that is one of ``few``; takes little memory beside the answer."""
    found = pc.is_in(pa.array(keys), pa.array(few)).to_numpy(zero_copy_only=False)
    return np.asarray(found, np.bool_)


def _fit(texts: Sequence[str], options: SideOptions) -> npt.NDArray[np.bool_]:
    """True for each text whose length in characters, once normalised, is allowed: [rows]."""
    least, most = options.min_characters, options.max_characters
    if not least and not most:
        return np.ones(len(texts), dtype=np.bool_)
    lengths = np.array(list(map(len, map(build_normalizer(options).normalize_str, texts))))
    return (lengths >= least) & (lengths <= (most or np.inf))
