"""The words that every program is given: the same token files, the same vocabularies.

A folder of words holds ``train``, ``valid`` and ``test`` with the endings ``.src`` and ``.tgt``
(one sentence a line, tokens between single spaces) and ``vocabulary.src`` and ``.tgt`` (one token a
line, commonest first, special tokens left to each program). Two programs want them otherwise:
``counts.src`` and ``.tgt`` (fairseq), and ``known.tsv`` with ``<unk>`` in its place (Yoyodyne).
"""

from __future__ import annotations

import gzip
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

Sentence = list[str]
Pairs = list[tuple[Sentence, Sentence]]

SIDES = ("src", "tgt")


@dataclass(frozen=True)
class Words:
    """A folder of words, and how often one is seen at least to be in the vocabulary."""

    folder: Path
    min_count: int = 1

    def file(self, part: str, side: str) -> Path:
        """Such as ``train.src``."""
        return self.folder / f"{part}.{side}"

    def sentences(self, part: str, side: str) -> list[Sentence]:
        """The tokens of each line."""
        return [line.split() for line in self.file(part, side).read_text("utf-8").splitlines()]

    def vocabulary(self, side: str) -> list[str]:
        """The known words, special tokens not among them."""
        return self.file("vocabulary", side).read_text("utf-8").splitlines()


def make_words(name: str, data: Path, folder: Path) -> Words:
    """Write the set ``name`` of :data:`SETS` into ``folder``, read from below ``data``."""
    read, min_count = SETS[name]
    words, parts = Words(folder, min_count), read(data)
    folder.mkdir(parents=True, exist_ok=True)
    known: list[Iterable[str]] = []
    for at, side in enumerate(SIDES):
        for part, pairs in parts.items():
            _write(words.file(part, side), (" ".join(pair[at]) for pair in pairs))
        counts = Counter(token for pair in parts["train"] for token in pair[at])
        kept = {word: n for word, n in counts.most_common() if n >= min_count}
        _write(words.file("vocabulary", side), kept)
        _write(words.file("counts", side), (f"{word} {n}" for word, n in kept.items()))
        lines = (pair[at] for pair in parts["train"])
        known.append([" ".join(w if w in kept else "<unk>" for w in line) for line in lines])
    _write(folder / "known.tsv", map("\t".join, zip(*known, strict=True)))
    return words


def tokenize(text: str) -> Sentence:
    """Words and punctuation marks, each a token."""
    return re.findall(r"<unk>|\w+|[^\w\s]", text)


def letters(text: str) -> Sentence:
    """Lower-cased words without accents, and ``. ! ?``, as the tutorials have them."""
    plain = unicodedata.normalize("NFD", text.lower())
    return re.findall(r"[a-z]+|[.!?]", "".join(c for c in plain if not unicodedata.combining(c)))


def _multi30k(data: Path) -> dict[str, Pairs]:
    """German to English, lower-cased."""
    parts: dict[str, Pairs] = {}
    for part, stem in (("train", "train"), ("valid", "val"), ("test", "test_2016_flickr")):
        sides = (_lines(data / "multi30k" / f"{stem}.{end}.gz") for end in ("de", "en"))
        pairs = zip(*sides, strict=True)
        parts[part] = [(tokenize(de.lower()), tokenize(en.lower())) for de, en in pairs]
    return parts


def _multi30k_32k(data: Path, size: int = 32_000) -> dict[str, Pairs]:
    """The same sentences, with as many common words renamed as make 32 k words a side."""
    parts = _multi30k(data)
    for side in range(2):
        counts = Counter(token for pair in parts["train"] for token in pair[side])
        common = [
            (pair[side], at)
            for pair in parts["train"]
            for at, token in enumerate(pair[side])
            if counts[token] >= 100
        ]
        missing = size - 4 - len(counts)
        for number, (sentence, at) in enumerate(common[:: len(common) // missing][:missing]):
            sentence[at] += f"~{number}"
    return parts


def _tatoeba(
    data: Path, cut: Callable[[str], Sentence] = tokenize, longest: int = 10**9
) -> dict[str, Pairs]:
    """French to English as written; 1,000 pairs each for validation and test, split by source."""
    groups: dict[str, Pairs] = {}
    for line in _lines(data / "tatoeba" / "eng-fra.tsv.gz"):
        english, french = map(cut, line.split("\t")[:2])
        if 0 < len(english) < longest and 0 < len(french) < longest:
            groups.setdefault(" ".join(french), []).append((french, english))
    order = sorted(groups)
    random.Random(1).shuffle(order)
    parts: dict[str, Pairs] = {"test": [], "valid": [], "train": []}
    for source in order:
        part = next((p for p in ("test", "valid") if len(parts[p]) < 1000), "train")
        parts[part] += groups[source]
    return parts


def _tatoeba_letters(data: Path) -> dict[str, Pairs]:
    """French to English, letters only, under 20 words."""
    return _tatoeba(data, letters, 20)


SETS: dict[str, tuple[Callable[[Path], dict[str, Pairs]], int]] = {
    "multi30k": (_multi30k, 2),
    "multi30k-32k": (_multi30k_32k, 1),
    "tatoeba": (_tatoeba, 2),
    "tatoeba-letters": (_tatoeba_letters, 1),
}
"""How each set is read, and how often a word must be seen in it."""


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
