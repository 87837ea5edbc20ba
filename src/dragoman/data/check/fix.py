"""The fixed file, and the list of all that was removed or changed, with its reason.

Pairs are fixed in rounds: each writes a file, reads it back as training would, and looks at it
again, until there is nothing to do. So what is written reads back as the pairs that were kept,
and fixing it again changes nothing.
"""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.check.clean import clean
from dragoman.data.check.columns import Corpus
from dragoman.data.check.kinds import ALWAYS, KINDS
from dragoman.data.check.report import Finding, Rows, counted
from dragoman.data.pairs import Fault, Faults
from dragoman.errors import DataError
from dragoman.files import replacing, write_text

CHANGES = ".changes.tsv"
"""Ending of the list, after the fixed file's name."""
_ROUNDS = 50
"""Far more than are ever needed: a fault that comes back in every round must not go on for ever."""


def write_fixed(
    corpus: Corpus,
    findings: Sequence[Finding],
    left_out: Iterable[Fault],
    find: Callable[[Corpus], list[Finding]],
    options: DataOptions,
    out: Path,
) -> str:
    """Write the pairs that remain to ``out`` as TSV, and the list of changes beside it.

    Args:
        corpus: the pairs.
        findings: what was found in them.
        left_out: the lines that are no pairs.
        find: finds what is odd about other pairs.
        options: how the pairs were read.
        out: the file to write.

    Returns:
        What was done, in one line.

    Raises:
        DataError: no pair remains.
    """
    log, changed, original = ["place\twhat\twhy\tdetail"], set[int](), corpus
    log += (f"{each.file}:{each.line}\tremoved\t{each.kind}\t{each.detail}" for each in left_out)
    options = replace(options, format="tsv", columns=(1, 2), separator="\t", reverse=False)
    with tempfile.TemporaryDirectory(prefix="dragoman-") as folder:
        for number in range(_ROUNDS):
            path = Path(folder, f"{number}.tsv")
            lines, edited = _write_round(corpus, findings, path, log)
            if not edited and len(lines) == len(corpus.lines):
                break
            changed |= edited
            unusable: list[Fault] = []
            try:
                faults = Faults(remembered=0, tell=unusable.append)
                corpus = Corpus.read([path], options, path.with_suffix(".arrow"), faults)
            except DataError as error:  # the file is empty, or there is not one pair in it
                cure = "look at what is found without --fix"
                raise DataError("no pair would be left", place=original.file, cure=cure) from error
            for each in unusable:
                place = f"{original.file}:{lines[each.line - 1]}"
                log.append(f"{place}\tremoved\t{each.kind}\t{each.detail}")
            corpus = replace(corpus, file=original.file, lines=lines[corpus.lines - 1])
            findings = find(corpus)
        with replacing(out) as pairs:
            shutil.copyfile(path, pairs)
    beside = out.with_name(out.name + CHANGES)
    write_text(beside, "\n".join([*log, ""]))
    kept, before = len(lines), len(original.lines)
    removed, edited = before - kept, changed.intersection(lines.tolist())
    many = " (MORE THAN A HUNDREDTH)" if 100 * removed > before else ""
    done = f"{len(edited):,} of them changed, {removed:,} removed{many}; see {beside}"
    return f"{counted(kept, 'pair')} in {out}, {done}"


def _write_round(
    corpus: Corpus, findings: Sequence[Finding], path: Path, log: list[str]
) -> tuple[Rows, set[int]]:
    """Fix every pair once for all that was found in it.

    Returns:
        The original line of each pair that is written, and the lines of those that changed.
    """
    reasons: dict[int, dict[str, str]] = defaultdict(dict)
    for finding in reversed(findings):
        for row in finding.fixed.tolist():
            reasons[row][KINDS[finding.kind].fix] = f"{finding.kind}\t{finding.detail(row)}"
    kinds = {*ALWAYS, *(finding.kind for finding in findings if len(finding.fixed))}
    lines, edited = list[int](), set[int]()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row, old in enumerate(corpus.texts()):
            sides, fixes, place = old, reasons.get(row, {}), corpus.place(row)
            if "remove" in fixes:
                log.append(f"{place}\tremoved\t{fixes['remove']}")
                continue
            lines.append(int(corpus.lines[row]))
            if fixes:
                edited.add(lines[-1])
            if "swap" in fixes:
                log.append(f"{place}\tchanged\t{fixes['swap']}")
                sides = old[1], old[0]
            if "clean" in fixes:
                sides, changes = zip(*(clean(side, kinds) for side in sides), strict=True)
                for why, how in chain.from_iterable(each.items() for each in changes):
                    log.append(f"{place}\tchanged\t{why}\t{how}")
            file.write("\t".join(sides) + "\n")
    return np.array(lines), edited
