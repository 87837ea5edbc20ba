"""Scores of output text against references, each with the signature that makes it comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from dragoman.errors import DataError


@dataclass(frozen=True, slots=True)
class Metric:
    """One score."""

    name: str
    value: float
    """Between 0 and 100, higher is better; but for perplexity, from 1, lower is better."""
    signature: str
    """How it was computed, in sacreBLEU's notation; empty where there is only one way."""


def score_texts(outputs: Sequence[str], references: Sequence[str]) -> dict[str, Metric]:
    """BLEU (Papineni 2002), chrF (Popović 2015) and exact matches of whole lines.

    Args:
        outputs: what the model said, detokenised.
        references: what was expected, one for each output.

    Raises:
        DataError: not as many outputs as references, or none at all.
    """
    if len(outputs) != len(references):
        raise DataError(f"{len(outputs)} outputs for {len(references)} references")
    if not outputs:
        raise DataError("there is nothing to score")
    scores = {}
    for name, shown, metric in (("bleu", "BLEU", BLEU()), ("chrf", "chrF", CHRF())):
        value = float(metric.corpus_score(list(outputs), [list(references)]).score)
        scores[name] = Metric(shown, value, str(metric.get_signature()))
    same = sum(a.strip() == b.strip() for a, b in zip(outputs, references, strict=True))
    scores["exact"] = Metric("exact match", 100 * same / len(outputs), "")
    return scores
