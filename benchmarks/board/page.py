"""docs/results.md, made from the records of the rows; no figure of it is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.board.rows import BUSY, LOWER, Published, Row, read_records

Record = dict[str, Any]
HEADER = """# Results

What Dragoman reaches, a row a task. Each row has a command of its own, which trains, scores and
keeps what came of it; this page is made from those records, and no figure of a measurement is typed
by hand. Names in the first column lead to the options, the machine, the signature of the score, and
how others' figures were scored.

- **score**: the mean over seeds (and over languages, where a row has several).
- **95 %**: the bootstrap interval of the first seed, which tells how much the test set leaves open;
  the lowest and the highest seed stand beside it.
- **held out**: the same score on the pairs that a training held out and chose its best weights by.
  Where the test is of another kind than the training pairs, it says more than it should.
- **published**: what others report; row by row it is said who, and how it was scored, which is not
  always on the same test set. ° where the figure is quoted and its source was not looked up.
- **no model**: the best of the answers that need no model (the source itself, the commonest target,
  the target of the nearest training source), by the same score.
- **min**: wall time of one seed's training, start and validation included, all languages together.
  *Busy machine*: others used more than a quarter of a core meanwhile, so that a training that is
  bounded by time learned less than it would alone.
"""
NOT_MEASURED = "not measured"


def page(rows: dict[str, Row], results: Path) -> str:
    """The whole page: a table a group of rows, then a section a row."""
    found = {name: records(row, results) for name, row in rows.items()}
    parts = [HEADER]
    for group, members in groupby(rows.values(), key=lambda row: row.group):
        kept = list(members)
        parts.append(f"## {group}\n")
        parts.append("\n".join(_table(kept, found)) + "\n")
    parts.append("## Row by row\n")
    parts += ["\n".join(_details(row, found[name])) + "\n" for name, row in rows.items()]
    return "\n".join(parts)


def summary(rows: dict[str, Row], results: Path) -> Iterator[str]:
    """A line a row, cheapest first: minutes of all its seeds, name, how many records it has."""
    for row in sorted(rows.values(), key=lambda one: one.expected * one.seeds):
        whole = len(row.entries()) * row.seeds
        have = len(records(row, results))
        yield f"{row.expected * row.seeds:6.1f} min  {row.name}  ({have} of {whole} measured)"


def records(row: Row, results: Path) -> list[Record]:
    """The records of a row that were made as the row is now, the first seed's first."""
    kept = read_records(results / f"{row.name}.json")
    current = [record for record in kept if record["row"] == row.identity]
    return sorted(current, key=lambda record: record["seed"])


def value(score: str, scores: dict[str, Any]) -> float:
    """A score of a record's test, or of a baseline; a word error is what exact match leaves."""
    found = scores["exact match" if score == "word error" else score]
    number = found["value"] if isinstance(found, dict) else found
    return 100 - number if score == "word error" else number


def interval(score: str, scores: dict[str, Any]) -> tuple[float, float]:
    """The 95 % interval of a score of a record's test."""
    low, high = scores["exact match" if score == "word error" else score]["interval"]
    return (100 - high, 100 - low) if score == "word error" else (low, high)


def _table(rows: list[Row], found: dict[str, list[Record]]) -> Iterator[str]:
    yield "| row | score | 95 % | held out | published | no model | min | seeds |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        link = f"[{row.title}](#{row.name})"
        others = "; ".join(f"{one.figure}{_quoted(one)}" for one in row.published)
        made = found[row.name]
        if not made:
            yield f"| {link} | {NOT_MEASURED} |  |  | {others} |  |  |  |"
        for test in made[0]["tests"] if made else ():
            score, span, held, *rest = _figures(row, made, test)
            yield "| " + " | ".join([f"{link}, {test}", score, span, held, others, *rest]) + " |"
            others = ""


def _figures(row: Row, made: list[Record], test: str) -> list[str]:
    """Score, interval, best score without a model, minutes and number of seeds, as texts."""
    languages = {record["language"] for record in made}
    by_language = [
        mean(_value(row, record, test) for record in made if record["language"] == language)
        for language in languages
    ]
    by_seed = {
        seed: [r for r in made if r["seed"] == seed] for seed in sorted({*_column(made, "seed")})
    }
    whole = [kept for kept in by_seed.values() if len(kept) == len(languages)]  # seeds of all
    means = [mean(_value(row, record, test) for record in kept) for kept in whole]
    spans = [] if row.languages else [_range(interval(row.score, made[0]["tests"][test]["scores"]))]
    spans += [f"(seeds {_range((min(means), max(means)))})"] if len(means) > 1 else []
    best = [_best(row, record["tests"][test]["baselines"]) for record in made]
    known = [one for one in best if one is not None]
    held = [value(row.score, record["held_out"]) for record in made if "held_out" in record]
    few = len(languages) < len(row.entries())
    return [
        f"{row.score} **{_number(mean(by_language))}**"
        + (f" ({len(languages)} of {len(row.entries())} languages)" if few else ""),
        " ".join(spans),
        _number(mean(held)) if held else "",
        f"{mean(known):.1f}" if known else "",
        f"{mean(sum(_column(kept, 'minutes')) for kept in whole or [made]):.1f}{_busy(made)}",
        f"{len(by_seed)}",
    ]


def _details(row: Row, made: list[Record]) -> Iterator[str]:
    yield f"### {row.title} {{ #{row.name} }}\n"
    yield f"- data: {row.data}"
    yield f"- training: {row.training}; {_seeds(row.seeds)}"
    yield f"- again: `python -m benchmarks.board DATA {row.name}`"
    if row.note:
        yield f"- {row.note}"
    for one in row.published:
        yield f"- published: {one.figure}{_quoted(one)}, {one.what} ({one.source}); {one.scored}"
    if not made:
        yield f"- {NOT_MEASURED}"
        return
    yield f"- scored by `{made[0]['commands'][-1]}`"
    signatures = {
        f"{test}: {one['search']}; " + "; ".join(_all_scores(one["scores"]))
        for test, one in made[0]["tests"].items()
    }
    yield from (f"- first record, {line}" for line in sorted(signatures))
    for record in _unlike(made):
        yield f"- {_machine(record)}"
    busiest = max(_column(made, "others"))
    yield f"- others used {busiest:.2f} cores meanwhile, at most"
    size = mean(_column(made, "model_bytes")) / 1e6
    speed = mean(_column(made, "sentences_per_second"))
    yield f"- {_steps(made)} steps; {size:.3g} MB of weights"
    yield f"- {speed:,.0f} sentences/s translated{_busy(made)}"
    yield from _measures(row, made)
    yield from (f"- `{source}` becomes `{out}`" for source, out in made[0]["watched"].items())
    if row.languages:
        yield from _languages(row, made)


def _measures(row: Row, made: list[Record]) -> Iterator[str]:
    for one in row.measures:
        values = [v for record in made if (v := record["measures"].get(one.name)) is not None]
        beside = "" if one.published is None else f"; the original: {one.published:g}"
        busy = _busy(made) if one.measure == "samples/s" else ""
        yield f"- {one.name}: " + (f"{mean(values):.3g}{busy}" if values else NOT_MEASURED) + beside


def _languages(row: Row, made: list[Record]) -> Iterator[str]:
    """A table of the languages: score of each test, interval, and what others report of them."""
    tests = list(made[0]["tests"])
    published = [one for one in row.published if one.by_language]
    heads = [
        *tests,
        "95 %",
        "held out",
        "no model",
        "min",
        *(f"{one.what}{_quoted(one)}" for one in published),
    ]
    yield "\n| language | " + " | ".join(heads) + " |\n|" + " --- |" * (len(heads) + 1)
    for language in row.languages:
        kept = [record for record in made if record["language"] == language]
        cells = [NOT_MEASURED, *[""] * (len(tests) + 3)]
        if kept:
            first = kept[0]["tests"][tests[0]]
            values = [mean(_value(row, record, test) for record in kept) for test in tests]
            best = _best(row, first["baselines"])
            held = [value(row.score, one["held_out"]) for one in kept if "held_out" in one]
            cells = [_number(one) for one in values]
            cells += [_range(interval(row.score, first["scores"]))]
            cells += [_number(mean(held)) if held else ""]
            cells += ["" if best is None else f"{best:.1f}"]
            cells += [f"{mean(record['minutes'] for record in kept):.1f}"]
        cells += [f"{one.by_language.get(language, '')}" for one in published]
        yield f"| {language} | " + " | ".join(cells) + " |"


def _all_scores(scores: dict[str, Any]) -> Iterator[str]:
    for name, one in scores.items():
        yield f"{name} {one['value']:.2f} ({_range(one['interval'])}; `{one['signature']}`)"


def _unlike(made: Iterable[Record]) -> list[Record]:
    """The first record of each machine, version and commit."""
    return list({_machine(record): record for record in reversed(list(made))}.values())[::-1]


def _machine(record: Record) -> str:
    m = record["machine"]
    return (
        f"{m['processor']}, {m['cores']} cores, {m['threads']} threads, {record['precision']}; "
        f"PyTorch {m['torch']}; Dragoman {record['version']} at {record['commit']}, "
        f"{m['time'][:10]}"
    )


def _busy(made: list[Record]) -> str:
    return ", busy machine" if max(_column(made, "others")) > BUSY else ""


def _steps(made: list[Record]) -> str:
    low, high = min(_column(made, "steps")), max(_column(made, "steps"))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _seeds(number: int) -> str:
    return "one seed" if number == 1 else f"{number} seeds"


def _value(row: Row, record: Record, test: str) -> float:
    return value(row.score, record["tests"][test]["scores"])


def _best(row: Row, baselines: dict[str, dict[str, float]]) -> float | None:
    """The score of the best answers without a model."""
    values = [value(row.score, scores) for scores in baselines.values()]
    return (min if row.score in LOWER else max)(values, default=None)


def _column(made: list[Record], key: str) -> list[Any]:
    return [record[key] for record in made]


def _range(bounds: Iterable[float]) -> str:
    return "–".join(map(_number, bounds))


def _number(score: float) -> str:
    """One decimal, but two where one would round to a perfect score that it is not."""
    perfect = 0 < score < 0.05 or 99.95 <= score < 99.995
    return f"{score:.2f}" if perfect else f"{score:.1f}"


def _quoted(one: Published) -> str:
    return "" if one.checked else "°"
