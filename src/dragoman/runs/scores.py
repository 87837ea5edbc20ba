"""The scores of a validation: their names, and how they are shown."""

from collections.abc import Mapping
from typing import Any, NamedTuple


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
