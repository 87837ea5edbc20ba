"""Scores of output text against references, each with the signature that makes it comparable.

N sentences   K numbers that each of them adds to a score
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from dragoman.errors import DataError

Sums = npt.NDArray[np.float64]
References = Sequence[Sequence[str]]
"""For each sentence what would be right: at least one text."""

TEXT_SCORES = ("bleu", "chrf", "ter", "exact", "errors")
_TER_WORK = 2e7
"""TER tries to shift every span of words, which takes time with the cube of a line's length: about
half a microsecond times this."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One score."""

    name: str
    value: float
    """In percent, but for perplexity."""
    signature: str
    """How it was computed, in sacreBLEU's notation where the score is sacreBLEU's."""
    interval: tuple[float, float] | None = None
    """Holds 95 % of its bootstrap resamples; None where it was not asked for."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A score before its sentences are added up: any choice of them can be scored."""

    key: str
    name: str
    signature: str
    statistics: Sums
    """What each sentence adds, [N, K]."""
    formula: Callable[[Sums], float]
    """From sums [K] to the score."""
    higher: bool = True
    """Whether higher is better."""

    def value(self, rows: Sequence[int] | slice = slice(None)) -> float:
        """The score of the chosen sentences."""
        return self.formula(self.statistics[rows].sum(0))


def measures(
    outputs: Sequence[str],
    references: References,
    keys: Sequence[str] = TEXT_SCORES,
    *,
    characters: bool = False,
) -> tuple[Measure, ...]:
    """Compare outputs with references.

    BLEU (Papineni 2002), chrF (Popović 2015) and TER (Snover 2006) are sacreBLEU's (Post 2018),
    number for number; TER is left out where lines are so long that it would take minutes. A line
    is an exact match when it equals a reference but for white space; ``errors`` are edits
    (Levenshtein) to the nearest reference, a share of its length.

    Args:
        outputs: what the model said, detokenised.
        references: what was expected, for each output.
        keys: which scores, of ``TEXT_SCORES``.
        characters: edits are counted in characters, not in what stands between spaces.

    Raises:
        DataError: not as many outputs as references, or none at all.
    """
    if len(outputs) != len(references):
        raise DataError(f"{len(outputs)} outputs for {len(references)} references")
    if not outputs:
        raise DataError("there is nothing to score")
    found = [
        _sacrebleu(key, metric, outputs, references)
        for key, metric in (("bleu", BLEU(force=True)), ("chrf", CHRF()), ("ter", TER()))
        if key in keys and (key != "ter" or _ter_work(outputs, references) <= _TER_WORK)
    ]
    pairs = list(zip(outputs, references, strict=True))
    if "exact" in keys:
        how = "whole lines, but for white space"
        same = [(plain(output) in map(plain, right), 1) for output, right in pairs]
        found.append(Measure("exact", "exact match", how, np.array(same, float), share))
    if "errors" in keys:
        unit = "character" if characters else "token"
        how = f"to the nearest reference, {'characters' if characters else 'split at white space'}"
        edits = np.array([_edits(output, right, characters) for output, right in pairs], float)
        found.append(Measure("errors", f"{unit} error rate", how, edits, share, higher=False))
    return tuple(found)


def share(sums: Sums) -> float:
    """The first number as percent of the second."""
    return 100 * float(sums[0] / sums[1]) if sums[1] else 0.0


def plain(text: str) -> str:
    """``text`` with single spaces, and none at its ends."""
    return " ".join(text.split())


def symbols(text: str, characters: bool) -> list[str]:
    """What errors and lengths are counted in: characters, or what stands between white space."""
    return list(plain(text)) if characters else text.split()


def _sacrebleu(key: str, metric: Any, outputs: Sequence[str], references: References) -> Measure:
    ragged = [list(column) for column in zip_longest(*references)]  # None: it has no further one
    statistics = metric._extract_corpus_statistics(list(outputs), ragged)

    def formula(sums: Sums) -> float:
        return float(metric._compute_score_from_stats(sums.tolist()).score)

    name = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}[key]
    signature = str(metric.get_signature())
    return Measure(key, name, signature, np.array(statistics, float), formula, key != "ter")


def _ter_work(outputs: Sequence[str], references: References) -> int:
    lengths = (
        max(len(output.split()), len(text.split()))
        for output, right in zip(outputs, references, strict=True)
        for text in right
    )
    return sum(length**3 for length in lengths)


def _edits(output: str, references: Sequence[str], characters: bool) -> tuple[int, int]:
    """Edits to the nearest reference (the first of several) and its length."""
    said = symbols(output, characters)
    right = [symbols(text, characters) for text in references]
    distances = [(Levenshtein.distance(said, tokens), len(tokens)) for tokens in right]
    return min(distances, key=lambda pair: pair[0])
