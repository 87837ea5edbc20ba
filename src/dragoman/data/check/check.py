"""What is in a file of pairs, what is wrong with it, and what a model can learn from it.

The pairs are put on disk as Arrow columns, where every search runs over columns, not over lines:

    pairs ─► text.arrow ─► oddities of a pair, survey of all ─► report ─► cleaned file
                         └► alignment, overlap                ┘
"""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.check import survey
from dragoman.data.check.alignment import shifted, swapped
from dragoman.data.check.oddities import ODDITIES, Oddity, leave_out
from dragoman.data.check.overlap import overlap, unknown_words
from dragoman.data.check.repair import write_cleaned
from dragoman.data.check.report import SEVERITIES, Finding, Report, Severity, counted, excerpt
from dragoman.data.check.survey import SHOWN, Hits, Tally
from dragoman.data.lines import place
from dragoman.data.pairs import Fault, Faults
from dragoman.data.readers import read_pairs
from dragoman.data.text import CHUNK, open_batches, write_chunks
from dragoman.errors import OptionError

UNUSABLE = "unusable.tsv"
UNEVEN = (
    ("several apostrophes", "one would do", survey.APOSTROPHES),
    ("uneven spacing", "before question and exclamation marks", survey.SPACES_BEFORE_MARKS),
)


def check_pairs(
    files: Sequence[Path],
    options: DataOptions,
    *,
    against: Sequence[Path] = (),
    fix: Path | None = None,
    shown: int = SHOWN,
) -> Report:
    """Look at all pairs and report; unusable lines are reported too, however many.

    Args:
        files: one file of pairs, or two aligned ones.
        options: how they are read.
        against: the files of test pairs that must have nothing in common with these.
        fix: where to write the pairs that remain when all is put right that can be.
        shown: places that are told of each finding.

    Raises:
        OptionError: the files or options contradict each other.
        DataError: the files cannot be read as pairs, or not one line is usable.
    """
    if fix is not None:
        _refuse_to_overwrite(fix, [*files, *against])
    with tempfile.TemporaryDirectory(prefix="dragoman-") as name:
        folder = Path(name)
        corpus = _Corpus.read(files, options, folder, shown)
        hits = _hits(corpus)
        found = [corpus.finding(each, shown) for each in hits]
        if against:
            (folder / "against").mkdir()
            test = _Corpus.read(against, options, folder / "against", shown)
            both = overlap(corpus.tally, test.tally, test.place)
            hits = [*both, *hits]
            found += [corpus.finding(each, shown) for each in both]
            found.append(unknown_words(corpus.tally, test.tally, test.file))
        tally, place_of = corpus.tally, corpus.place
        found += [
            survey.shared(tally, "source", place_of, shown),
            survey.shared(tally, "target", place_of, shown),
            survey.sorted_by_length(tally),
            survey.rare_characters(tally),
            *(survey.uneven(*each, corpus.batches) for each in UNEVEN),
        ]
        findings = [finding for finding in found if finding.count]
        findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), -finding.count))
        cures = [each for each in hits if each.cured]
        return Report(
            files=tuple(map(place, files)),
            total_lines=corpus.faults.lines,
            pairs=len(tally.lines),
            left_out=_left_out(corpus.faults, options.tolerance),
            source=tally.source.side(),
            target=tally.target.side(),
            findings=tuple(findings),
            sorted_by_length=any(finding.kind == "sorted by length" for finding in findings),
            cleaned=write_cleaned(corpus.batches, place_of, cures, fix, folder / UNUSABLE)
            if fix
            else "",
        )


def _refuse_to_overwrite(fix: Path, files: Sequence[Path]) -> None:
    for file in files:
        if file.exists() and fix.exists() and file.samefile(fix):
            raise OptionError(f"{fix} is a file of pairs", place="--fix", cure="another name")
    if fix.is_dir() or not fix.parent.is_dir():
        cause = f"{fix} is a folder" if fix.is_dir() else f"no such folder: {fix.parent}"
        raise OptionError(cause, place="--fix")


@dataclass(frozen=True, slots=True)
class _Corpus:
    """Pairs on disk, and what was counted of them."""

    file: str
    batches: Sequence[Any]
    tally: Tally
    faults: Faults

    @classmethod
    def read(cls, files: Sequence[Path], options: DataOptions, folder: Path, shown: int) -> _Corpus:
        """Put the pairs of ``files`` into ``folder``, unusable lines into a list there."""
        with (folder / UNUSABLE).open("w", encoding="utf-8", newline="\n") as log:

            def tell(fault: Fault) -> None:
                where = f"{fault.file}:{fault.line}"
                log.write(f"{where}\tremoved\t{fault.kind}\t{fault.detail}\n")

            faults = Faults(remembered=shown, tell=tell)
            pairs = read_pairs(files, replace(options, tolerance=1.0), faults, as_is=True)
            deque(write_chunks(pairs, folder / "text.arrow"), maxlen=0)
        batches, tally = open_batches(folder / "text.arrow"), Tally()
        for batch in batches:
            tally.add(batch)
        return cls(place(files[0]), batches, tally, faults)

    def place(self, row: int) -> str:
        return f"{self.file}:{self.tally.lines[row]}"

    def text(self, row: int) -> tuple[str, str]:
        batch, at = self.batches[row // CHUNK], int(row % CHUNK)
        return batch.column("source")[at].as_py(), batch.column("target")[at].as_py()

    def finding(self, hits: Hits, shown: int) -> Finding:
        told = hits.rows if hits.told is None else hits.told
        places = tuple(f"{self.place(row)}: {hits.detail(row)}" for row in told[:shown])
        return Finding(hits.kind, hits.severity, len(hits.rows), hits.meaning, places)


def _hits(corpus: _Corpus) -> list[Hits]:
    """All that is odd about single pairs, in the order in which it is put right."""
    tally = corpus.tally
    with ThreadPoolExecutor(2) as pool:  # Arrow and NumPy let another thread work beside them
        odd = pool.map(partial(_odd, corpus), ODDITIES)
        misplaced = _misplaced(corpus)
    elsewhere = np.concatenate([hits.rows for hits in misplaced])
    ratio = survey.length_ratio(tally)
    return [
        survey.duplicates(tally),
        survey.untranslated(tally, corpus.text),
        *misplaced,
        *odd,
        replace(ratio, rows=ratio.rows[~np.isin(ratio.rows, elsewhere)]),
        survey.unusual_lengths(tally),
    ]


def _odd(corpus: _Corpus, oddity: Oddity) -> Hits:
    masks = [oddity.find(b.column("source"), b.column("target")) for b in corpus.batches]
    rows = np.flatnonzero(np.concatenate(masks))
    meaning, severity, cured = oddity.meaning, oddity.severity, oddity.cured()
    if oddity.may_be_usual and len(rows) > survey.usual(len(corpus.tally.lines)):
        meaning += "; so many that it is how these data are"
        severity, cured = "note", None
    if oddity.characters and len(rows):
        among = re.compile(oddity.characters).match
        seen = (f"U+{ord(c):04X} {n:,} times" for c, n in corpus.tally.alphabet() if among(c))
        meaning += f": {', '.join(seen)}"

    def detail(row: int) -> str:
        return oddity.detail(*corpus.text(row))

    return Hits(oddity.kind, severity, meaning, rows, detail, cured)


def _misplaced(corpus: _Corpus) -> tuple[Hits, Hits]:
    """Pairs whose parts are right, but not where they stand."""
    tally = corpus.tally
    wrong, told_apart = swapped(corpus.batches)
    unspaced = (tally.source.is_unspaced(), tally.target.is_unspaced())
    # With one language on both sides, a text is likest to itself: dialogues would seem shifted.
    runs = shifted(corpus.batches, by_character=unspaced) if told_apart else []
    starts = np.array([run.first for run in runs], np.int64)
    rows = [np.arange(run.first, run.last + 1) for run in runs]

    def exchanged(row: int) -> str:
        return excerpt(corpus.text(row)[0])

    def elsewhere(row: int) -> str:
        run = runs[int(np.searchsorted(starts, row, side="right")) - 1]
        far, way = counted(abs(run.by), "line"), "down" if run.by > 0 else "up"
        return f"to line {tally.lines[run.last]}: the right target stands {far} further {way}"

    return (
        Hits(
            "swapped sides",
            "warning",
            "the source reads like a target, and the other way round",
            wrong,
            exchanged,
            lambda source, target: (target, source),
        ),
        Hits(
            "shifted lines",
            "warning",
            "the targets of other lines",
            np.concatenate([np.zeros(0, np.int64), *rows]),
            elsewhere,
            leave_out,
            told=starts,
        ),
    )


def _left_out(faults: Faults, tolerance: float) -> tuple[Finding, ...]:
    stops = faults.total > tolerance * faults.lines or faults.counts["encoding"] > 0
    severity: Severity = "problem" if stops else "warning"
    meaning = "left out; training would stop" if stops else "left out"
    return tuple(
        Finding(kind, severity, count, meaning, tuple(map(str, faults.first[kind])), "line")
        for kind, count in faults.counts.most_common()
    )
