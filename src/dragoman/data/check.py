"""What is in a file of pairs, what is wrong with it, and what a model can learn from it.

Two lists hold all that is looked for: ``DETECTORS`` see one pair, ``SURVEYS`` the whole corpus.
No text is kept: sameness is judged by 64-bit hashes, so that a million pairs take about 150 MB.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dragoman.config import DataOptions, SideOptions
from dragoman.data.lines import place
from dragoman.data.pairs import Faults, Pair
from dragoman.data.readers import read_pairs
from dragoman.data.sameness import INVISIBLE, sentence_key
from dragoman.data.tokenizer import TextStatistics, choose_level

Severity = Literal["problem", "warning", "note"]
Find = Callable[[Pair], str | None]

_SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")
_SHOWN = 3
_INVISIBLE = f"[{INVISIBLE}]"
_SPACES = "[\u00a0\u1680\u2000-\u200a\u202f\u205f]"
_LATIN, _FOREIGN = "[A-Za-z\u00c0-\u024f]", "[\u0370-\u03ff\u0400-\u052f]"
_MIXED = f"{_LATIN}['\u2019]?{_FOREIGN}|{_FOREIGN}['\u2019]?{_LATIN}"
_BROKEN = "\ufffd|\u00c3[\x80-\x9f\xa1-\xbf]|\u00e2\u20ac|[\x80-\x9f]"
_ENOUGH = (
    (100_000, "enough for short everyday sentences"),
    (10_000, "enough for short sentences of one subject, or a regular task"),
    (1_000, "enough only for a narrow, regular task such as spelling, dates or commands"),
    (0, "too few to do more than repeat them"),
)


@dataclass(frozen=True)
class Finding:
    """One kind of oddity: how often, what it means, and where (``file:line: detail``)."""

    kind: str
    severity: Severity
    count: int
    meaning: str
    places: tuple[str, ...] = ()
    unit: str = "pair"

    def __str__(self) -> str:
        """One line for the terminal."""
        places = f" ({'; '.join(self.places)})" if self.places else ""
        head = f"{self.severity}: {self.kind}: {_counted(self.count, self.unit)}"
        return f"{head}: {self.meaning}{places}"


@dataclass(frozen=True)
class Side:
    """One side of all pairs in numbers; tokens are what white space separates."""

    distinct_texts: int
    tokens: int
    distinct_tokens: int
    characters: int
    distinct_characters: int
    tokens_a_line: tuple[int, int, int]
    """Median, 95th percentile, maximum."""
    characters_a_line: tuple[int, int, int]

    lines: int

    def suggested_level(self) -> str:
        """The unit of text that training would choose."""
        statistics = TextStatistics(self.lines, self.tokens, self.distinct_tokens, self.characters)
        return choose_level(SideOptions(), statistics).level

    def __str__(self) -> str:
        """The numbers in one line."""
        shape = "{:,} {}, {:,} distinct (a line: median {:,}, 95 % {:,}, longest {:,})"
        tokens = (self.distinct_tokens, *self.tokens_a_line)
        characters = (self.distinct_characters, *self.characters_a_line)
        return (
            f"{_counted(self.distinct_texts, 'distinct text')}; "
            f"{shape.format(self.tokens, 'tokens', *tokens)}; "
            f"{shape.format(self.characters, 'characters', *characters)}"
        )


@dataclass(frozen=True)
class Report:
    """What ``dragoman check`` knows about a corpus; ``dataclasses.asdict`` makes it JSON."""

    files: tuple[str, ...]
    total_lines: int
    pairs: int
    left_out: tuple[Finding, ...]
    """Unusable lines by kind."""
    source: Side
    target: Side
    findings: tuple[Finding, ...]
    """What is odd about the usable pairs, most severe first."""
    sorted_by_length: bool

    def lines(self) -> list[str]:
        """Plain text for a terminal: the size, what is wrong, what to expect."""
        lines, pairs = _counted(self.total_lines, "line"), _counted(self.pairs, "usable pair")
        enough = next(text for limit, text in _ENOUGH if self.pairs >= limit)
        source, target = self.source.suggested_level(), self.target.suggested_level()
        levels = source if source == target else f"{source} for the source, {target} for the target"
        return [
            f"{' and '.join(self.files)}: {lines}, {pairs}",
            *map(str, self.left_out),
            f"source: {self.source}",
            f"target: {self.target}",
            *map(str, self.findings),
            f"learnable: {_counted(self.pairs, 'pair')}, {enough}; suggests {levels}",
        ]


def check_pairs(files: Sequence[Path], options: DataOptions) -> Report:
    """Read all pairs once and report; unusable lines are reported too, however many.

    Raises:
        OptionError: the files or options contradict each other.
        DataError: the files cannot be read as pairs, or not one line is usable.
    """
    faults = Faults(remembered=_SHOWN)
    pairs = read_pairs(files, replace(options, tolerance=1.0), faults)
    tally = _Tally(place(files[0]))
    for pair in pairs:
        tally.add(pair)
    surveys = [*map(tally.finding, DETECTORS), *(survey(tally) for survey in SURVEYS)]
    findings = [finding for finding in surveys if finding.count]
    findings.sort(key=lambda finding: (_SEVERITIES.index(finding.severity), -finding.count))
    return Report(
        files=tuple(map(place, files)),
        total_lines=faults.lines,
        pairs=len(tally.lines),
        left_out=_left_out(faults, options.tolerance),
        source=tally.source.side(),
        target=tally.target.side(),
        findings=tuple(findings),
        sorted_by_length=any(finding.kind == "sorted by length" for finding in findings),
    )


def _left_out(faults: Faults, tolerance: float) -> tuple[Finding, ...]:
    stops = faults.total > tolerance * faults.lines
    severity: Severity = "problem" if stops else "warning"
    meaning = "left out; so many that training would stop" if stops else "left out"
    return tuple(
        Finding(kind, severity, count, meaning, tuple(map(str, faults.first[kind])), "line")
        for kind, count in faults.counts.most_common()
    )


@dataclass(frozen=True, slots=True)
class Detector:
    """``find`` looks at one pair and gives a short detail when it meets what it is for."""

    kind: str
    severity: Severity
    meaning: str
    find: Find
    characters: str = ""
    """The class of characters that is looked for, if it is one: each is counted by itself."""


def _matching(expression: str) -> Find:
    """A detector's ``find`` for an expression that only text beyond ASCII can match."""
    search = re.compile(expression).search

    def find(pair: Pair) -> str | None:
        for side, text in (("source", pair.source), ("target", pair.target)):
            if not text.isascii() and (found := search(text)):
                # Of a Latin letter beside a foreign one, the foreign one has the higher code.
                code = ord(max(found[0].replace("\u2019", "")))
                return f"{side} has U+{code:04X} in {_excerpt(text, found.start())}"
        return None

    return find


def _loose_spaces(pair: Pair) -> str | None:
    for text in (pair.source, pair.target):
        if "  " in text or text != text.strip():
            return repr(_excerpt(text, next(re.finditer(r"  |^\s|\s\Z", text)).start()))
    return None


def _copied(pair: Pair) -> str | None:
    return _excerpt(pair.source) if pair.source.strip() == pair.target.strip() else None


def _digits(pair: Pair) -> str | None:
    source, target = re.findall(r"\d", pair.source), re.findall(r"\d", pair.target)
    if source == target or sorted(map(int, source)) == sorted(map(int, target)):
        return None
    return f"{_excerpt(''.join(source)) or 'none'} against {_excerpt(''.join(target)) or 'none'}"


def _excerpt(text: str, at: int = 0) -> str:
    """A few words around ``at``; characters that cannot be seen are written as their codes."""
    start, end = max(0, at - 15), at + 16
    shown = (c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text[start:end])
    return f"{'…' if start else ''}{''.join(shown)}{'…' if end < len(text) else ''}"


DETECTORS: tuple[Detector, ...] = (
    Detector("broken encoding", "warning", "decoded wrongly once", _matching(_BROKEN)),
    Detector("invisible characters", "warning", "easily missed", _matching(_INVISIBLE), _INVISIBLE),
    Detector("mixed scripts", "warning", "a letter that only looks Latin?", _matching(_MIXED)),
    Detector("untranslated", "warning", "source and target are the same", _copied),
    Detector("unusual spaces", "note", "not U+0020", _matching(_SPACES), _SPACES),
    Detector("loose spaces", "note", "at an end, or two together", _loose_spaces),
    Detector("different digits", "note", "the two sides do not have the same digits", _digits),
)


@dataclass(slots=True)
class _Distinct:
    """Counts distinct hashes; what is held grows with their number, not with the text's length."""

    hashes: array[int] = field(default_factory=lambda: array("q"))
    compact_at: int = 1 << 20

    def add(self, hashes: Iterable[int]) -> None:
        self.hashes.extend(hashes)
        if len(self.hashes) > self.compact_at:
            self.hashes = array("q", np.unique(_numbers(self.hashes)).tobytes())
            self.compact_at = 2 * len(self.hashes) + (1 << 20)

    def count(self) -> int:
        return int(np.unique(_numbers(self.hashes)).size)


@dataclass(slots=True)
class _SideTally:
    """One side while it is read: hashes and lengths, one a pair."""

    texts: _Distinct = field(default_factory=_Distinct)
    words: _Distinct = field(default_factory=_Distinct)
    alphabet: Counter[str] = field(default_factory=Counter)
    keys: array[int] = field(default_factory=lambda: array("q"))
    characters: array[int] = field(default_factory=lambda: array("I"))
    tokens: array[int] = field(default_factory=lambda: array("I"))

    def add(self, text: str) -> None:
        words = text.split()
        self.texts.add((hash(text),))
        self.words.add(map(hash, words))
        self.alphabet.update(text)
        self.keys.append(hash(sentence_key(text)))
        self.characters.append(len(text))
        self.tokens.append(len(words))

    def side(self) -> Side:
        return Side(
            distinct_texts=self.texts.count(),
            tokens=int(_numbers(self.tokens).sum()),
            distinct_tokens=self.words.count(),
            characters=int(_numbers(self.characters).sum()),
            distinct_characters=len(self.alphabet),
            tokens_a_line=_lengths(self.tokens),
            characters_a_line=_lengths(self.characters),
            lines=len(self.tokens),
        )


@dataclass(slots=True)
class _Tally:
    """The corpus while it is read."""

    file: str
    lines: array[int] = field(default_factory=lambda: array("q"))
    pairs: array[int] = field(default_factory=lambda: array("q"))
    source: _SideTally = field(default_factory=_SideTally)
    target: _SideTally = field(default_factory=_SideTally)
    hits: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[str]] = field(default_factory=dict)

    def add(self, pair: Pair) -> None:
        self.lines.append(pair.line)
        self.pairs.append(hash((pair.source, pair.target)))
        self.source.add(pair.source)
        self.target.add(pair.target)
        for detector in DETECTORS:
            if detail := detector.find(pair):
                self.hits[detector.kind] += 1
                if self.hits[detector.kind] <= _SHOWN:
                    places = self.first.setdefault(detector.kind, [])
                    places.append(f"{self.file}:{pair.line}: {detail}")

    def place(self, position: int) -> str:
        return f"{self.file}:{self.lines[position]}"

    def alphabet(self) -> list[tuple[str, int]]:
        return (self.source.alphabet + self.target.alphabet).most_common()

    def finding(self, detector: Detector) -> Finding:
        kind, meaning, places = detector.kind, detector.meaning, self.first.get(detector.kind, ())
        if detector.characters and self.hits[kind]:
            wanted = re.compile(detector.characters)
            seen = (f"U+{ord(c):04X} {n:,} times" for c, n in self.alphabet() if wanted.match(c))
            meaning += f": {', '.join(seen)}"
        return Finding(kind, detector.severity, self.hits[kind], meaning, tuple(places))


def _duplicates(tally: _Tally) -> Finding:
    """Pairs that repeat an earlier one to the letter."""
    _, first, group = np.unique(_numbers(tally.pairs), return_index=True, return_inverse=True)
    earlier = first[group]
    repeats = np.flatnonzero(earlier != np.arange(len(group)))
    shown = (f"{tally.place(at)}: as line {tally.lines[earlier[at]]}" for at in repeats[:_SHOWN])
    return Finding("duplicates", "warning", repeats.size, "repeat an earlier pair", tuple(shown))


def _shared(tally: _Tally, name: Literal["source", "target"], meaning: str) -> Finding:
    """Different pairs that have one side in common, but for case, punctuation and spaces."""
    side = tally.source if name == "source" else tally.target
    distinct = np.sort(np.unique(_numbers(tally.pairs), return_index=True)[1])
    keys = _numbers(side.keys)[distinct]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    most = [at for at in np.lexsort((first, -counts))[:_SHOWN] if counts[at] > 1]
    places = tuple(f"{tally.place(distinct[first[at]])}: {counts[at]} pairs" for at in most)
    return Finding(f"shared {name}s", "note", int(counts[counts > 1].sum()), meaning, places)


def _length_ratio(tally: _Tally) -> Finding:
    """Pairs whose lengths stand in another proportion than those of the rest."""
    source, target = _numbers(tally.source.characters), _numbers(tally.target.characters)
    # Five characters more on each side: for short texts a large ratio says little.
    ratios = np.log((target + 5.0) / (source + 5.0))
    low, middle, high = np.percentile(ratios, [16, 50, 84])
    far = np.abs(ratios - middle)
    outliers = np.flatnonzero(far > max(3 * (high - low), np.log(2.5)))
    worst = outliers[np.argsort(-far[outliers], kind="stable")[:_SHOWN]]
    places = (f"{tally.place(at)}: {source[at]} against {target[at]} characters" for at in worst)
    meaning = "one side is unusually long for the other; misaligned?"
    return Finding("length ratio", "warning", outliers.size, meaning, tuple(places))


def _sorted_by_length(tally: _Tally) -> Finding:
    lengths = _numbers(tally.source.characters)
    tenths = [float(part.mean()) for part in np.array_split(lengths, 10) if part.size >= 5]
    if not tenths or tenths[0] > tenths[-1]:
        tenths.reverse()
    found = len(tenths) == 10 and tenths == sorted(tenths) and 2 * tenths[0] < tenths[-1]
    span = f"{tenths[0]:.0f} to {tenths[-1]:.0f}" if found else ""
    meaning = f"from {span} characters a line; shuffle before cutting a subset"
    return Finding("sorted by length", "note", len(lengths) if found else 0, meaning)


def _rare_characters(tally: _Tally) -> Finding:
    rare = sorted(char for char, n in tally.alphabet() if n <= 2 and not char.isspace())
    shown = " ".join(map(_excerpt, rare[:12])) + (" and others" if len(rare) > 12 else "")
    meaning = f"seen once or twice, too rarely to be learned: {shown}"
    return Finding("rare characters", "note", len(rare), meaning, unit="character")


SURVEYS: tuple[Callable[[_Tally], Finding], ...] = (
    _duplicates,
    partial(_shared, name="source", meaning="several right answers; split them by source"),
    partial(_shared, name="target", meaning="different sources have one target"),
    _length_ratio,
    _sorted_by_length,
    _rare_characters,
)


def _numbers(numbers: array[int]) -> NDArray[Any]:
    return np.frombuffer(numbers, dtype=numbers.typecode)


def _lengths(numbers: array[int]) -> tuple[int, int, int]:
    # "inverted_cdf" gives a length that occurs, not a number between two.
    levels = np.percentile(_numbers(numbers), [50, 95, 100], method="inverted_cdf")
    return int(levels[0]), int(levels[1]), int(levels[2])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
