"""Checks a file of pairs: counts what it contains, finds what is odd, and fixes what it can.

The pairs are put on disk as Arrow columns, where every search runs over columns, not over lines.
They are fixed in rounds: what is left is looked at again, until there is nothing to do. So what is
written reads back as the pairs that were kept, and fixing it again changes nothing.

    pairs ─► columns ─► findings ─► report
                           └──────► fixed pairs ─► columns ─► findings ... until nothing changes
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.check.alignment import misplaced
from dragoman.data.check.clean import clean
from dragoman.data.check.columns import Corpus
from dragoman.data.check.comparisons import duplicates, length_ratio, overlap, untranslated
from dragoman.data.check.oddities import oddities
from dragoman.data.check.report import ALWAYS, KINDS, SEVERITIES, Finding, Report, Severity
from dragoman.data.pairs import Fault, Faults, Pair, counted
from dragoman.data.readers import read_pairs, usable
from dragoman.data.streams import place
from dragoman.files import replacing, write_text

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


LIST = ".changes.tsv"
"""Ending of the list of what was removed or changed, after the fixed file's name."""
Log = list[tuple[str, str, str, str]]
"""What is done: the place, "removed" or "changed", the kind and the detail of each."""


def fixed_pairs(
    corpus: Corpus, findings: list[Finding], log: Log, options: DataOptions
) -> Iterator[Pair]:
    """Fix every pair once for all that was found in it.

    Args:
        corpus: the pairs.
        findings: what was found in them.
        log: takes what is done.
        options: how the pairs were read.

    Yields:
        The pairs that can still be used.
    """
    # What is found of pairs that do not belong together may be untrue of those that do.
    shifted = [f for f in findings if len(f.moves)]
    findings = shifted or findings
    fixes: dict[int, dict[str, tuple[str, str]]] = defaultdict(dict)
    for finding in reversed(findings):
        for row in finding.fixed.tolist():
            fixes[row][KINDS[finding.kind].fix] = finding.kind, finding.detail(row)
    takes = dict(t for f in shifted for t in zip(f.fixed.tolist(), f.moves.tolist(), strict=True))
    kinds = {*ALWAYS, *(finding.kind for finding in findings if len(finding.fixed))}
    for row, texts in enumerate(corpus.texts()):
        sides, fix, place = texts, fixes.get(row, {}), corpus.place(row)
        if "move" in fix and takes[row] >= 0:
            sides = sides[0], corpus.text(takes[row])[1]
        elif "move" in fix:
            fix["remove"] = fix["move"]
        if "remove" not in fix:
            log += [(place, "changed", *fix[way]) for way in ("move", "swap") if way in fix]
            sides = sides[::-1] if "swap" in fix else sides
            if "clean" in fix:
                sides, changes = zip(*(clean(side, kinds) for side in sides), strict=True)
                log += [(place, "changed", *each) for side in changes for each in side.items()]
                found = usable(sides, (("the source", ""), ("the target", "")), options, as_is=True)
                if isinstance(found, Fault):
                    fix["remove"] = found.kind, found.detail
        if "remove" in fix:
            log.append((place, "removed", *fix["remove"]))
        else:
            yield Pair(*sides, int(corpus.lines[row]))


def summary(log: Log, lines: int, shown: int) -> Iterator[str]:
    """Yield what is done about each kind of oddity, removals first.

    Args:
        log: what is done.
        lines: the number of lines before.
        shown: examples that are shown of each kind.
    """
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for at, what, kind, detail in log:
        places[what, kind].append(f"{at}: {detail}")
    removed = sum(what == "removed" for _, what, *_ in log)
    if 100 * removed > lines:
        yield f"--fix REMOVES {removed:,} OF {lines:,} LINES, MORE THAN A HUNDREDTH"
    for what, kind in sorted(places, key=lambda each: (each[0] != "removed", -len(places[each]))):
        each = places[what, kind]
        does, noun = ("removes", "line") if what == "removed" else ("makes", "change")
        yield f"--fix {does} {counted(len(each), noun)}: {kind} ({'; '.join(each[:shown])})"


def write_fixed(corpus: Corpus, log: Log, before: int, out: Path) -> str:
    """Write the pairs to ``out`` as TSV, and the list of changes beside it.

    Args:
        corpus: the pairs that remain.
        log: what was done.
        before: the number of pairs before.
        out: the file to write.

    Returns:
        What was done, in one line.
    """
    with replacing(out) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{source}\t{target}\n" for source, target in corpus.texts())
    beside, header = out.with_name(out.name + LIST), ("place", "what", "why", "detail")
    write_text(beside, "".join("\t".join(row) + "\n" for row in (header, *log)))
    gone = f"{before - len(corpus.lines):,} removed; see {beside}"
    edited = {row[0] for row in log if row[1] == "changed"}
    edited -= {row[0] for row in log if row[1] == "removed"}
    return f"{counted(len(corpus.lines), 'pair')} in {out}, {len(edited):,} of them changed, {gone}"
