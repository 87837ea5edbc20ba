"""The fixed file, and the list of all that was removed or changed, with its reason.

Pairs are fixed in rounds: each writes a file, reads it back as training would, and looks at it
again, until there is nothing to do. So what is written reads back as the pairs that were kept,
and fixing it again changes nothing.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.check.clean import clean
from dragoman.data.check.columns import Corpus
from dragoman.data.check.kinds import ALWAYS, KINDS
from dragoman.data.check.report import Finding, counted
from dragoman.data.pairs import Fault, Faults
from dragoman.errors import DataError
from dragoman.files import replacing

CHANGES = ".changes.tsv"
"""Ending of the list, after the fixed file's name."""
_ROUNDS = 50
"""Far more than are ever needed: a fault that comes back in every round must not go on for ever."""
HEAD = "place\twhat\twhy\tdetail\n"


def write_fixed(
    corpus: Corpus,
    findings: Sequence[Finding],
    find: Callable[[Corpus], list[Finding]],
    options: DataOptions,
    log: IO[str],
    out: Path,
) -> str:
    """Write the pairs that remain to ``out`` as TSV, and the list of changes beside it.

    Args:
        corpus: the pairs.
        findings: what was found in them.
        find: finds what is odd about other pairs.
        options: how the pairs were read.
        log: the list of changes, a file in a folder that also takes the files of every round.
        out: the file to write.

    Returns:
        What was done, in one line.

    Raises:
        DataError: no pair remains.
    """
    first, changed, folder = corpus, set[int](), Path(log.name).parent
    options = replace(options, format="tsv", columns=(1, 2), separator="\t", reverse=False)
    for number in range(_ROUNDS):
        path = folder / f"fixed-{number}.tsv"
        lines, now_changed = _write_round(corpus, findings, path, log)
        if not now_changed and len(lines) == len(corpus.lines):
            break
        changed |= now_changed

        def tell(fault: Fault, lines: Sequence[int] = lines) -> None:
            place = f"{first.file}:{lines[fault.line - 1]}"
            log.write(f"{place}\tremoved\t{fault.kind}\t{fault.detail}\n")

        faults = Faults(remembered=0, tell=tell)
        try:
            corpus = Corpus.read([path], options, folder / f"fixed-{number}", faults)
        except DataError as error:  # the file is empty, or there is not one pair in it
            cure = "look at what is found without --fix"
            raise DataError("no pair would be left", place=first.file, cure=cure) from error
        corpus = replace(corpus, file=first.file, lines=np.array(lines)[corpus.lines - 1])
        findings = find(corpus)
    beside = out.with_name(out.name + CHANGES)
    log.flush()
    with replacing(out) as pairs, replacing(beside) as changes:
        shutil.copyfile(path, pairs)
        shutil.copyfile(log.name, changes)
    edited, removed = len(changed.intersection(corpus.lines)), len(first.lines) - len(lines)
    many = " (MORE THAN A HUNDREDTH)" if 100 * removed > len(first.lines) else ""
    done = f"{edited:,} of them changed, {removed:,} removed{many}; see {beside}"
    return f"{counted(len(lines), 'pair')} in {out}, {done}"


def _write_round(
    corpus: Corpus, findings: Sequence[Finding], path: Path, log: IO[str]
) -> tuple[list[int], set[int]]:
    """Fix every pair once for all that was found in it.

    Returns:
        The original line of each pair that is written, and the lines of those that changed.
    """
    reasons: dict[int, dict[str, str]] = defaultdict(dict)
    for finding in reversed(findings):
        for row in finding.fixed.tolist():
            reasons[row][KINDS[finding.kind].fix] = f"{finding.kind}\t{finding.detail(row)}"
    kinds = {*ALWAYS, *(finding.kind for finding in findings if len(finding.fixed))}
    lines: list[int] = []
    changed: set[int] = set()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row, old in enumerate(corpus.texts()):
            sides, fixes = old, reasons.get(row, {})
            line, place = int(corpus.lines[row]), corpus.place(row)
            if "remove" in fixes:
                log.write(f"{place}\tremoved\t{fixes['remove']}\n")
                continue
            if "swap" in fixes:
                log.write(f"{place}\tchanged\t{fixes['swap']}\n")
            if "clean" in fixes:
                sides, changes = zip(*(clean(side, kinds) for side in sides), strict=True)
                for why, how in (pair for each in changes for pair in each.items()):
                    log.write(f"{place}\tchanged\t{why}\t{how}\n")
            if fixes:
                changed.add(line)
            lines.append(line)
            file.write("\t".join(reversed(sides) if "swap" in fixes else sides) + "\n")
    return lines, changed
