"""Checks a file of pairs: counts what it contains, finds what is odd, and fixes what it can.

The pairs are put on disk as Arrow columns, where every search runs over columns, not over lines.
They are fixed in rounds: what is left is looked at again, until there is nothing to do. So what is
written reads back as the pairs that were kept, and fixing it again changes nothing.

    pairs ─► columns ─► findings ─► report
                           └──────► fixed pairs ─► columns ─► findings ... until nothing changes
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.check.alignment import misplaced
from dragoman.data.check.columns import Corpus
from dragoman.data.check.comparisons import duplicates, length_ratio, overlap, untranslated
from dragoman.data.check.fix import Log, fixed_pairs, summary, write_fixed
from dragoman.data.check.oddities import oddities
from dragoman.data.check.report import SEVERITIES, Finding, Report, Severity
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.streams import place

_ROUNDS = 50
"""Far more than are ever needed: a fault that comes back in every round must not go on for ever."""


def check_pairs(
    files: Sequence[Path],
    options: DataOptions,
    *,
    against: Sequence[Path] = (),
    fix: Path | None = None,
    shown: int = 3,
    tell: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Look at all pairs and report; unusable lines are reported too, however many.

    Args:
        files: one file of pairs, or two aligned ones.
        options: how they are read.
        against: the files of test pairs that must have nothing in common with these.
        fix: where to write the pairs that remain when all is put right that can be.
        shown: places that are shown of each finding, and examples of each kind of change.
        tell: receives the report with all that will be changed, before a file is written.

    Raises:
        OptionError: the files or options contradict each other.
        DataError: the files cannot be read as pairs, not one line is usable, or ``fix`` would
            leave nothing.
    """
    tolerant, faults = replace(options, tolerance=1.0), Faults(sys.maxsize if fix else shown)
    with tempfile.TemporaryDirectory(prefix="dragoman-") as folder:
        pairs = read_pairs(files, tolerant, faults, as_is=True)
        corpus, test = Corpus.store(pairs, place(files[0]), Path(folder, "pairs"), shown), None
        if against:
            pairs = read_pairs(against, tolerant, Faults(), as_is=True)
            test = Corpus.store(pairs, place(against[0]), Path(folder, "test"), shown)
        findings, log, fixed = _findings(corpus, test, options), Log(), corpus
        if fix:
            unusable = chain.from_iterable(faults.first.values())
            log += ((f"{f.file}:{f.line}", "removed", f.kind, f.detail) for f in unusable)
            left, rounds = findings, 0
            while any(len(finding.fixed) for finding in left) and rounds < _ROUNDS:
                pairs, rounds = fixed_pairs(fixed, left, log, options), rounds + 1
                fixed = Corpus.store(pairs, fixed.file, Path(folder, f"fixed-{rounds}"), shown)
                left = _findings(fixed, test, options)
        report = Report(
            files=tuple(map(place, files)),
            total_lines=faults.lines,
            pairs=len(corpus.lines),
            left_out=tuple(_left_out(faults, options, shown)),
            source=corpus.source.side(),
            target=corpus.target.side(),
            findings=tuple(findings),
            changes=tuple(summary(log, faults.lines, shown)),
            notes=tuple(faults.notes),
        )
        tell(report)
        cleaned = write_fixed(fixed, log, len(corpus.lines), fix) if fix else ""
        return replace(report, cleaned=cleaned)


def _left_out(faults: Faults, options: DataOptions, shown: int) -> Iterator[Finding]:
    """Yield a finding for each kind of unusable line, with its first ``shown`` places."""
    stops = faults.total > options.tolerance * faults.lines or faults.counts["encoding"] > 0
    severity: Severity = "problem" if stops else "warning"
    meaning = "left out; training would stop" if stops else "left out"
    for kind, count in faults.counts.most_common():
        places = tuple(map(str, faults.first[kind][:shown]))
        yield Finding(kind, severity, count, meaning, places, "line")


def _findings(corpus: Corpus, test: Corpus | None, options: DataOptions) -> list[Finding]:
    """Everything that is odd about the usable pairs, most severe first.

    The same words with other features are no duplicates; features are not looked at.
    """
    swapped, shifted, two_languages = misplaced(corpus)
    found = [swapped, shifted, *oddities(corpus, two_languages=two_languages)]
    found += [overlap(corpus, test)] if test else []
    found += [] if options.features_column else [duplicates(corpus)]
    found += [untranslated(corpus, two_languages=two_languages)]
    found += [length_ratio(corpus, np.concatenate([swapped.fixed, shifted.fixed]))]
    found = [finding for finding in found if finding.count]
    return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), -each.count))
