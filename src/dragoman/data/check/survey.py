"""What only the whole corpus shows: sizes, repetitions, lengths that differ from the others'.

No text is held: sameness is judged by 64-bit hashes, about 60 bytes a pair.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dragoman.data.check import letters
from dragoman.data.check.oddities import Column, leave_out
from dragoman.data.check.report import Finding, Severity, Side, excerpt
from dragoman.data.sameness import sentence_key

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]
SHOWN = 3
"""Places shown of a finding, unless asked otherwise."""


@dataclass(slots=True)
class SideTally:
    """One side while it is read: hashes and lengths, one a pair."""

    words: Counter[int] = field(default_factory=Counter)
    alphabet: Numbers = field(default_factory=lambda: np.zeros(0x110000, np.int64))
    texts: array[int] = field(default_factory=lambda: array("q"))
    keys: array[int] = field(default_factory=lambda: array("q"))
    characters: array[int] = field(default_factory=lambda: array("I"))
    tokens: array[int] = field(default_factory=lambda: array("I"))

    def add(self, column: Column) -> None:
        """Take in the texts of one record batch."""
        texts = column.to_pylist()
        words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(column))
        found = pc.value_counts(pc.list_flatten(words))
        for word, count in zip(*(found.field(n).to_pylist() for n in (0, 1)), strict=True):
            self.words[hash(word)] += count
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
        self.alphabet += np.bincount(codes, minlength=len(self.alphabet))
        self.texts.extend(map(hash, texts))
        self.keys.extend(hash(sentence_key(text)) for text in texts)
        self.characters.extend(map(len, texts))
        self.tokens.extend(pc.list_value_length(words).to_numpy().tolist())

    def is_unspaced(self) -> bool:
        """White space does not cut these texts into words that would come again."""
        tokens, characters = numbers(self.tokens).sum(), numbers(self.characters).sum()
        return bool(tokens < 1.5 * len(self.tokens) or characters > 20 * tokens)

    def side(self) -> Side:
        """The numbers that are reported."""
        tokens, characters = numbers(self.tokens), numbers(self.characters)
        return Side(
            distinct_texts=len(np.unique(numbers(self.texts))),
            tokens=int(tokens.sum()),
            distinct_tokens=len(self.words),
            tokens_seen_once=sum(count == 1 for count in self.words.values()),
            characters=int(characters.sum()),
            distinct_characters=int((self.alphabet > 0).sum()),
            tokens_a_line=_lengths(tokens),
            characters_a_line=_lengths(characters),
            lines=len(tokens),
        )


@dataclass(slots=True)
class Tally:
    """Both sides, and the line of each pair."""

    source: SideTally = field(default_factory=SideTally)
    target: SideTally = field(default_factory=SideTally)
    lines: array[int] = field(default_factory=lambda: array("q"))

    def add(self, batch: Any) -> None:
        """Take in one record batch."""
        self.source.add(batch.column("source"))
        self.target.add(batch.column("target"))
        self.lines.extend(batch.column("line").to_pylist())

    def pairs(self) -> Numbers:
        """A hash of each pair."""
        return numbers(self.source.texts) * np.int64(1_000_003) ^ numbers(self.target.texts)

    def alphabet(self) -> list[tuple[str, int]]:
        """Every character with its number, most frequent first."""
        both = self.source.alphabet + self.target.alphabet
        codes = np.flatnonzero(both)
        return [(chr(c), int(both[c])) for c in codes[np.argsort(-both[codes], kind="stable")]]


@dataclass(frozen=True, slots=True)
class Hits:
    """Pairs with something odd: which rows, and in words what it is in one of them."""

    kind: str
    severity: Severity
    meaning: str
    rows: Rows
    detail: Callable[[int], str]
    cured: Callable[[str, str], tuple[str, str] | None] | None = None
    """The pair put right, or None where it is better left out."""
    told: Rows | None = None
    """The rows that stand for the others in a report, where that is not the first of them."""


def duplicates(tally: Tally) -> Hits:
    """Pairs that repeat an earlier one to the letter."""
    _, first, group = np.unique(tally.pairs(), return_index=True, return_inverse=True)
    earlier: Numbers = first[group]
    repeats = np.flatnonzero(earlier != np.arange(len(group)))

    def detail(row: int) -> str:
        return f"as line {tally.lines[earlier[row]]}"

    return Hits("duplicates", "warning", "repeat an earlier pair", repeats, detail, leave_out)


def untranslated(tally: Tally, text: Callable[[int], tuple[str, str]]) -> Hits:
    """Pairs whose sides are the same words, or the same single word to the letter."""
    same = np.flatnonzero(numbers(tally.source.keys) == numbers(tally.target.keys))
    if len(same) > usual(len(tally.lines)):
        same = same[:0]

    def is_text(source: str, target: str) -> bool:
        several = len(source.split()) > 1 or source.strip() == target.strip()
        return several and any(map(str.isalpha, source))

    rows = [row for row in same if is_text(*text(int(row)))]
    meaning = "source and target are the same"

    def detail(row: int) -> str:
        return excerpt(text(row)[0])

    def cured(source: str, target: str) -> tuple[str, str] | None:
        return None if len(source.split()) > 2 else (source, target)  # names, loanwords

    return Hits("untranslated", "warning", meaning, np.array(rows, np.int64), detail, cured)


def length_ratio(tally: Tally) -> Hits:
    """Pairs whose lengths stand in another proportion than those of the rest."""
    source, target = numbers(tally.source.characters), numbers(tally.target.characters)
    # Five characters more on each side: for short texts a large ratio says little.
    ratios = np.log((target + 5.0) / (source + 5.0))
    low, middle, high = np.percentile(ratios, [16, 50, 84])
    far = np.abs(ratios - middle)
    limit = max(3 * (high - low), np.log(2.5))
    outliers = np.flatnonzero(far > limit)
    meaning = "one side is unusually long for the other; misaligned?"

    def cured(source: str, target: str) -> tuple[str, str] | None:
        beyond = abs(np.log((len(target) + 5.0) / (len(source) + 5.0)) - middle)
        return None if beyond > 1.5 * limit else (source, target)  # abbreviations are no fault

    def detail(row: int) -> str:
        return f"{source[row]} against {target[row]} characters"

    worst = outliers[np.argsort(-far[outliers], kind="stable")]
    return Hits("length ratio", "warning", meaning, worst, detail, cured)


def unusual_lengths(tally: Tally) -> Hits:
    """Pairs with a side that is far longer than the others, by the median of deviations."""
    sides = np.stack([numbers(tally.source.characters), numbers(tally.target.characters)])
    logs = np.log(sides + 5.0)
    beyond = logs - np.median(logs, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(beyond), axis=1, keepdims=True) + 0.1
    far = (beyond / spread).max(axis=0)
    worst = np.flatnonzero(far > 5)
    meaning = "far longer than the usual {:.0f} and {:.0f} characters".format(
        *np.median(sides, axis=1)
    )

    def detail(row: int) -> str:
        return f"{sides[0, row]} and {sides[1, row]} characters"

    order = np.argsort(-far[worst], kind="stable")
    return Hits("unusual lengths", "note", meaning, worst[order], detail)


def shared(
    tally: Tally, name: Literal["source", "target"], place: Callable[[int], str], shown: int
) -> Finding:
    """Different pairs that have one side in common, but for case, punctuation and spaces."""
    side = tally.source if name == "source" else tally.target
    distinct = np.sort(np.unique(tally.pairs(), return_index=True)[1])
    keys = numbers(side.keys)[distinct]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    most = [at for at in np.lexsort((first, -counts))[:shown] if counts[at] > 1]
    places = tuple(f"{place(distinct[first[at]])}: {counts[at]} pairs" for at in most)
    meaning = (
        "case and punctuation apart: several right answers; split them by source"
        if name == "source"
        else "case and punctuation apart: different sources have one target"
    )
    return Finding(f"shared {name}s", "note", int(counts[counts > 1].sum()), meaning, places)


def sorted_by_length(tally: Tally) -> Finding:
    """Whether short texts come first, or last."""
    lengths = numbers(tally.source.characters)
    tenths = [float(part.mean()) for part in np.array_split(lengths, 10) if part.size >= 5]
    if not tenths or tenths[0] > tenths[-1]:
        tenths.reverse()
    found = len(tenths) == 10 and tenths == sorted(tenths) and 2 * tenths[0] < tenths[-1]
    span = f"{tenths[0]:.0f} to {tenths[-1]:.0f}" if found else ""
    meaning = f"on average from {span} characters a line; shuffle before cutting a subset"
    return Finding("sorted by length", "note", len(lengths) if found else 0, meaning)


def rare_characters(tally: Tally) -> Finding:
    """Characters seen once or twice."""
    rare = sorted(char for char, n in tally.alphabet() if n <= 2 and not char.isspace())
    shown = " ".join(map(excerpt, rare[:12])) + (" and others" if len(rare) > 12 else "")
    meaning = f"seen once or twice, too rarely to be learned: {shown}"
    return Finding("rare characters", "note", len(rare), meaning, unit="character")


APOSTROPHES = {"U+0027": "'", "U+2019": "\u2019", "U+02BC": "\u02bc"}
SPACES_BEFORE_MARKS = {
    "none": "[\\pL\\pN][?!]",
    "U+0020": " [?!]",
    "another space": f"{letters.SPACES}[?!]",
}


def uneven(kind: str, meaning: str, ways: dict[str, str], batches: Sequence[Any]) -> Finding:
    """Sides that write one thing in several ``ways``, each an expression, and none is rare."""
    said = []
    for name in ("source", "target"):
        counts = {
            way: sum(
                pc.sum(pc.count_substring_regex(batch.column(name), expression)).as_py()
                for batch in batches
            )
            for way, expression in ways.items()
        }
        if sum(count >= 10 for count in counts.values()) > 1:
            each = (f"{way} {count:,} times" for way, count in counts.items() if count)
            said.append(f"{name} has {', '.join(each)}")
    return Finding(kind, "note", len(said), f"{meaning}: {'; '.join(said)}", unit="side")


def usual(pairs: int) -> float:
    """What more pairs than this have is in the nature of the data, and no fault."""
    return max(20.0, 0.2 * pairs)


def numbers(values: array[int]) -> Numbers:
    """An array as NumPy sees it, without a copy."""
    return np.frombuffer(values, dtype=values.typecode)


def _lengths(values: Numbers) -> tuple[int, int, int]:
    # "inverted_cdf" gives a length that occurs, not a number between two.
    levels = np.percentile(values, [50, 95, 100], method="inverted_cdf")
    return int(levels[0]), int(levels[1]), int(levels[2])
