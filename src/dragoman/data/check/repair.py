"""The cleaned file, and the list of all that was removed or changed, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from dragoman.data.check.report import counted
from dragoman.data.check.survey import Hits
from dragoman.files import replacing

Sides = tuple[str, str]

CHANGES = ".changes.tsv"
"""Ending of the list, after the cleaned file's name."""


def write_cleaned(
    batches: Sequence[Any],
    place: Callable[[int], str],
    cures: Sequence[Hits],
    out: Path,
    unusable: Path,
) -> str:
    """Write the pairs that remain to ``out`` as TSV, and the list of changes beside it.

    Args:
        batches: the pairs, as Arrow record batches.
        place: ``file:line`` of a row.
        cures: what is done, in the order in which it is done to a pair.
        out: the file to write.
        unusable: the lines of the list about lines that are no pairs.

    Returns:
        What was done, in one line.
    """
    changes = out.with_name(out.name + CHANGES)
    kept = changed = 0
    with (
        replacing(out) as aside,
        replacing(changes) as beside,
        aside.open("w", encoding="utf-8", newline="\n") as file,
        beside.open("w", encoding="utf-8", newline="\n") as log,
        unusable.open(encoding="utf-8", newline="\n") as first,
    ):
        log.write("place\twhat\twhy\tdetail\n")
        log.writelines(first)
        for pair, is_new in _cleaned(batches, place, cures, log):
            file.write(f"{pair[0]}\t{pair[1]}\n")
            kept, changed = kept + 1, changed + is_new
    return f"{counted(kept, 'pair')} in {out}, {changed:,} of them changed; see {changes}"


def _cleaned(
    batches: Sequence[Any], place: Callable[[int], str], cures: Sequence[Hits], log: IO[str]
) -> Iterator[tuple[Sides, bool]]:
    rows = np.concatenate([np.zeros(0, np.int64), *(cure.rows for cure in cures)])
    which = np.repeat(np.arange(len(cures)), [len(cure.rows) for cure in cures])
    order = np.lexsort((which, rows))
    rows, which = rows[order], which[order]
    first = at = 0
    for batch in batches:
        pairs = zip(
            batch.column("source").to_pylist(), batch.column("target").to_pylist(), strict=True
        )
        for row, old in enumerate(pairs, first):
            new: Sides | None = old
            while at < len(rows) and rows[at] == row:
                cure = cures[which[at]]
                at += 1
                if new is not None:
                    before, new = new, cure.cured(*new) if cure.cured else new
                    if new != before:
                        what = "changed" if new else "removed"
                        log.write(f"{place(row)}\t{what}\t{cure.kind}\t{cure.detail(row)}\n")
            if new is not None:
                yield new, new != old
        first += len(batch)
