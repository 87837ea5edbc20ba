"""Formats what a run measures for people: scores, times, and rows of ``metrics.jsonl`` as lines."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dragoman.runs.history import History, Row


class ScoreFormat(NamedTuple):
    """How a score of a validation is shown."""

    label: str
    form: str = "{:.1f}"
    """For ``str.format``."""
    factor: float = 1
    """The score is multiplied by this first: 100 turns a share into percent."""


SCORES = {
    "loss": ScoreFormat("loss", "{:.3f}"),
    "perplexity": ScoreFormat("perplexity", "{:.2f}"),
    "token_accuracy": ScoreFormat("token accuracy", "{:.1f} %", 100),
    "free_accuracy": ScoreFormat("free-running", "{:.1f} %", 100),
    "bleu": ScoreFormat("BLEU"),
    "chrf": ScoreFormat("chrF"),
    "exact": ScoreFormat("exact", "{:.1f} %"),
}
"""Every score of a validation, by its name in ``metrics.jsonl``."""
TRANSLATION_SCORES = ("bleu", "chrf", "exact")
"""The scores that compare translations with references, in percent."""


def number_text(value: float, form: str = "{:.2f}") -> str:
    """Format a number; from 10^9 on with three digits and an exponent, such as 8.22e+300."""
    return form.format(value) if abs(value) < 1e9 else f"{value:.3g}"


def score_text(scores: Mapping[str, Any], name: str) -> str:
    """Format one score, such as ``71.2 %``; empty when it was not measured."""
    value = scores.get(name)
    return "" if value is None else number_text(SCORES[name].factor * value, SCORES[name].form)


def scores_line(scores: Mapping[str, Any], first: str = "") -> str:
    """Format all scores on one line, ``first`` first: ``loss 1.234, perplexity 3.4, BLEU 40.1``."""
    names = sorted(SCORES, key=lambda name: name != first)
    found = ((SCORES[name].label, score_text(scores, name)) for name in names)
    return ", ".join(f"{label} {text}" for label, text in found if text)


def clock(seconds: float) -> str:
    """Format a time: 75 seconds as ``1:15``, an hour more as ``1:01:15``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    head = f"{minutes // 60}:{minutes % 60:02d}" if minutes > 59 else f"{minutes}"
    return f"{head}:{rest:02d}"


def visible(text: str) -> str:
    """Spell out control characters, which could command the terminal: ``\\x1b``."""
    return "".join(c if unicodedata.category(c) != "Cc" else f"\\x{ord(c):02x}" for c in text)


def row_lines(row: Row, best: str = "") -> Iterator[str]:
    """Format a row of ``metrics.jsonl`` as lines for a user.

    A training row gives one line of progress, with ``best`` (the best score so far) in it. A
    validation row gives its scores, and each sample's source, reference and output.
    """
    if row["kind"] == "train":
        done, left = row.get("done"), row.get("remaining")
        parts = (  # the most important first: a narrow terminal cuts the others off
            f"{100 * done:.0f} %" if done else "",
            f"{clock(left)} left" if left is not None else "",
            f"{clock(row.get('elapsed') or 0)} gone, step {row['step']}",
            scores_line({"loss": row.get("loss")}),
            best,
            f"{row.get('tokens_per_second') or 0:,.0f} tokens/s",
            f"{row['memory_mb']:,.0f} MB" if "memory_mb" in row else "",
        )
        yield ", ".join(filter(None, parts))
    elif row["kind"] == "validation":
        yield f"step {row['step']}: {scores_line(row)}{' (best)' if row.get('best') else ''}"
        for name, scores in row.get("parts", {}).items():
            yield f"  pairs of {visible(name)}: {scores_line(scores)}"
        for sample in (*(row.get("samples") or ()), *(row.get("watched") or ())):
            for mark, name in ((">", "source"), ("=", "reference"), ("<", "output")):
                if sample.get(name) or name != "reference":
                    yield f"  {mark} {visible(str(sample[name]))}"


def before_and_after(run: History) -> str:
    """The scores of a continued model on its own pairs and on the new ones, at first and at best.

    Returns:
        Such as ``validation pairs of m: chrF 61.2 -> 61.0; of new.tsv: chrF 34.0 -> 72.5``; empty
        for a model that continues none.
    """
    rows, metric = run.kind("validation"), run.config.training.metric
    label, before = SCORES[metric].label, rows[0].get("parts", {}) if rows else {}
    changes = [
        f"of {name}: {label} {score_text(before[name], metric)} -> {score_text(scores, metric)}"
        for name, scores in run.best.get("parts", {}).items()
    ]
    return f"validation pairs {'; '.join(changes)}" if changes else ""
