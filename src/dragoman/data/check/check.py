"""What is in a file of pairs, what is wrong with it, and what a model can learn from it.

The pairs are put on disk as Arrow columns, where every search runs over columns, not over lines.
They are fixed in rounds: what is left is looked at again, until there is nothing to do. So what is
written reads back as the pairs that were kept, and fixing it again changes nothing.

    pairs ─► columns ─► findings ─► report
                           └──────► fixed pairs ─► columns ─► findings ... until nothing changes
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.check.alignment import misplaced
from dragoman.data.check.clean import clean
from dragoman.data.check.columns import Corpus
from dragoman.data.check.comparisons import comparisons
from dragoman.data.check.oddities import oddities
from dragoman.data.check.report import ALWAYS, KINDS, SEVERITIES, Finding, Report, Severity, counted
from dragoman.data.lines import place
from dragoman.data.pairs import Fault, Faults, Pair
from dragoman.data.readers import read_pairs, usable
from dragoman.files import replacing, write_text

SHOWN = 3
"""Places shown of a finding, unless asked otherwise."""
CHANGES = ".changes.tsv"
"""Ending of the list of what was removed or changed, after the fixed file's name."""
_ROUNDS = 50
"""Far more than are ever needed: a fault that comes back in every round must not go on for ever."""
_COLUMNS = ("column 1", ""), ("column 2", "")
"""Name and file of both sides, for messages."""
_Log = list[tuple[str, str, str, str]]
"""What ``--fix`` did: the place, "removed" or "changed", the kind and the detail of each."""


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
    tolerant, unusable = replace(options, tolerance=1.0), list[Fault]()
    faults = Faults(shown, tell=unusable.append if fix else None)
    with tempfile.TemporaryDirectory(prefix="dragoman-") as folder:
        pairs = read_pairs(files, tolerant, faults, as_is=True)
        corpus, test = Corpus.store(pairs, place(files[0]), Path(folder, "pairs"), shown), None
        if against:
            pairs = read_pairs(against, tolerant, Faults(), as_is=True)
            test = Corpus.store(pairs, place(against[0]), Path(folder, "test"), shown)
        look, cleaned = partial(_findings, test=test), ""
        findings = look(corpus)
        if fix:
            log = [(f"{f.file}:{f.line}", "removed", f.kind, f.detail) for f in unusable]
            cleaned = _write_fixed(corpus, findings, look, log, options, fix)
        stops = faults.total > options.tolerance * faults.lines or faults.counts["encoding"] > 0
        severity: Severity = "problem" if stops else "warning"
        meaning = "left out; training would stop" if stops else "left out"
        left_out = [
            Finding(
                kind, severity, count, meaning, tuple(map(str, faults.first[kind][:shown])), "line"
            )
            for kind, count in faults.counts.most_common()
        ]
        return Report(
            files=tuple(map(place, files)),
            total_lines=faults.lines,
            pairs=len(corpus.lines),
            left_out=tuple(left_out),
            source=corpus.source.side(),
            target=corpus.target.side(),
            findings=tuple(findings),
            cleaned=cleaned,
        )


def _findings(corpus: Corpus, test: Corpus | None) -> list[Finding]:
    """Everything that is odd about the usable pairs, most severe first."""
    swapped, shifted, two_languages = misplaced(corpus)
    elsewhere = np.concatenate([swapped.fixed, shifted.fixed])
    found = [swapped, shifted, *oddities(corpus)]
    found += comparisons(corpus, test, elsewhere, two_languages=two_languages)
    found = [finding for finding in found if finding.count]
    return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), -each.count))


def _write_fixed(
    corpus: Corpus,
    findings: list[Finding],
    look: Callable[[Corpus], list[Finding]],
    log: _Log,
    options: DataOptions,
    out: Path,
) -> str:
    """Write the pairs that remain to ``out`` as TSV, and the list of changes beside it.

    Args:
        corpus: the pairs.
        findings: what was found in them.
        look: finds what is odd about other pairs.
        log: the lines that are no pairs; takes what is done.
        options: how the pairs are read.
        out: the file to write.

    Returns:
        What was done, in one line.

    Raises:
        DataError: no pair remains.
    """
    before = len(corpus.lines)
    with tempfile.TemporaryDirectory(prefix="dragoman-") as folder:
        for number in range(_ROUNDS):
            if not any(len(finding.fixed) for finding in findings):
                break
            pairs, path = _fixed(corpus, findings, log, options), Path(folder, str(number))
            corpus = Corpus.store(pairs, corpus.file, path, corpus.shown)
            findings = look(corpus)
        with replacing(out) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{source}\t{target}\n" for source, target in corpus.texts())
    beside, header = out.with_name(out.name + CHANGES), ("place", "what", "why", "detail")
    write_text(beside, "".join("\t".join(row) + "\n" for row in (header, *log)))
    gone = before - len(corpus.lines)
    edited = {row[0] for row in log if row[1] == "changed"}
    edited -= {row[0] for row in log if row[1] == "removed"}
    many = " (MORE THAN A HUNDREDTH)" if 100 * gone > before else ""
    done = f"{len(edited):,} of them changed, {gone:,} removed{many}; see {beside}"
    return f"{counted(len(corpus.lines), 'pair')} in {out}, {done}"


def _fixed(
    corpus: Corpus, findings: list[Finding], log: _Log, options: DataOptions
) -> Iterator[Pair]:
    """Fix every pair once for all that was found in it; yields those that can still be used."""
    fixes: dict[int, dict[str, tuple[str, str]]] = defaultdict(dict)
    for finding in reversed(findings):
        for row in finding.fixed.tolist():
            fixes[row][KINDS[finding.kind].fix] = finding.kind, finding.detail(row)
    kinds = {*ALWAYS, *(finding.kind for finding in findings if len(finding.fixed))}
    for row, old in enumerate(corpus.texts()):
        sides, fix, place = old, fixes.get(row, {}), corpus.place(row)
        if "swap" in fix and "remove" not in fix:
            log.append((place, "changed", *fix["swap"]))
            sides = old[1], old[0]
        if "clean" in fix and "remove" not in fix:
            sides, changes = zip(*(clean(side, kinds) for side in sides), strict=True)
            log += [(place, "changed", *each) for side in changes for each in side.items()]
            found = usable(sides, _COLUMNS, options, as_is=True)
            if isinstance(found, Fault):
                fix["remove"] = found.kind, found.detail
        if "remove" in fix:
            log.append((place, "removed", *fix["remove"]))
        else:
            yield Pair(*sides, int(corpus.lines[row]))
