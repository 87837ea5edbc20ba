"""Puts right in the pairs of a check what can be put right, and writes those that remain."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from dragoman.config.options import DataOptions
from dragoman.data.check.clean import clean
from dragoman.data.check.columns import Corpus
from dragoman.data.check.report import ALWAYS, KINDS, Finding
from dragoman.data.pairs import Fault, Pair, counted
from dragoman.data.readers import usable
from dragoman.files import replacing, write_text

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
    for place, what, kind, detail in log:
        places[what, kind].append(f"{place}: {detail}")
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
