"""What is in a file of pairs, what is wrong with it, and what a model can learn from it.

The pairs are put on disk as Arrow columns, where every search runs over columns, not over lines:

    pairs ─► columns ─► findings ─► report
                           └──────► fixed pairs ─► columns ─► findings ... until nothing changes
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.check.alignment import misplaced
from dragoman.data.check.columns import Corpus
from dragoman.data.check.fix import write_fixed
from dragoman.data.check.lengths import length_ratio, sorted_by_length
from dragoman.data.check.oddities import oddities
from dragoman.data.check.repeats import duplicates, overlap, shared, unknown_words, untranslated
from dragoman.data.check.report import SEVERITIES, Finding, Report, Severity
from dragoman.data.lines import place
from dragoman.data.pairs import Fault, Faults

SHOWN = 3
"""Places shown of a finding, unless asked otherwise."""


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
        DataError: the files cannot be read as pairs, not one line is usable, or ``fix`` would
            leave nothing.
    """
    tolerant, left_out = replace(options, tolerance=1.0), list[Fault]()
    faults, test = Faults(shown, tell=left_out.append if fix else None), None
    with tempfile.TemporaryDirectory(prefix="dragoman-") as name:
        folder = Path(name)
        corpus = Corpus.read(files, tolerant, folder / "pairs", faults)
        if against:
            test = Corpus.read(against, tolerant, folder / "test", Faults(shown))

        def find(corpus: Corpus) -> list[Finding]:
            return _findings(corpus, test)

        findings = find(corpus)
        cleaned = ""
        if fix:
            cleaned = write_fixed(corpus, findings, left_out, find, tolerant, fix)
        return Report(
            files=tuple(map(place, files)),
            total_lines=faults.lines,
            pairs=len(corpus.lines),
            left_out=_left_out(faults, options.tolerance),
            source=corpus.source.side(),
            target=corpus.target.side(),
            findings=tuple(findings),
            cleaned=cleaned,
        )


def _findings(corpus: Corpus, test: Corpus | None) -> list[Finding]:
    """Everything that is odd about the usable pairs, most severe first."""
    swapped, shifted, two_languages = misplaced(corpus)
    found = [
        *([*overlap(corpus, test), unknown_words(corpus, test)] if test else []),
        duplicates(corpus),
        untranslated(corpus, two_languages=two_languages),
        swapped,
        shifted,
        *oddities(corpus),
        length_ratio(corpus, np.concatenate([swapped.fixed, shifted.fixed])),
        *shared(corpus),
        sorted_by_length(corpus),
    ]
    found = [finding for finding in found if finding.count]
    return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), -each.count))


def _left_out(faults: Faults, tolerance: float) -> tuple[Finding, ...]:
    """The lines that are no pairs, by kind."""
    stops = faults.total > tolerance * faults.lines or faults.counts["encoding"] > 0
    severity: Severity = "problem" if stops else "warning"
    meaning = "left out; training would stop" if stops else "left out"
    return tuple(
        Finding(kind, severity, count, meaning, tuple(map(str, faults.first[kind])), "line")
        for kind, count in faults.counts.most_common()
    )
