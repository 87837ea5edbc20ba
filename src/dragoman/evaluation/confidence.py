"""How sure a model may be of an answer: the share of such answers that held-out pairs found right.

An answer's log-probability, divided by a power of its length, is −d. Its confidence is
p = σ(offset − slope · log(d)): Platt's scaling (1999) of log(d). The slope is never negative, so
that confidence falls with the probability outside of what it was fitted on, too.

N answers
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dragoman.errors import FolderError
from dragoman.files import parse_json, write_text
from dragoman.layout import CONFIDENCE

if TYPE_CHECKING:
    from dragoman.config.options import SearchOptions
    from dragoman.evaluation.metrics import Measure
    from dragoman.search.translator import Translation, Translator

FEWEST = 50
"""Answers without which nothing is fitted."""
CLOSE = 50.0
"""chrF of an answer that counts as right where whole lines seldom are."""
_EXACT, _CLOSE = "exact match", f"chrF of {CLOSE:g} or more"
_EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_EPSILON = 1e-3
_BINS = 10

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confidence:
    """A fit for one model."""

    right: str
    """What is predicted: an exact match, where at least half the answers it was fitted on were one,
    else a chrF of 50 or more."""
    exponent: float
    """Of the length that divides the log-probability."""
    slope: float
    offset: float

    def of(self, answer: Translation) -> float:
        """Of one answer: 0 where it was cut off, 1 for the empty answer to an empty line."""
        if not answer.hypotheses:
            return 1.0
        best = answer.hypotheses[0]
        if not best.complete:
            return 0.0
        return float(_sigmoid(self.slope * _sureness([answer], self.exponent) + self.offset)[0])

    def save(self, folder: Path) -> None:
        """Store it in a model folder."""
        write_text(folder / CONFIDENCE, json.dumps(asdict(self), indent=1) + "\n")


def load_confidence(folder: Path) -> Confidence | None:
    """Read the fit of a model folder; None where it has none.

    Raises:
        FolderError: the file is damaged.
    """
    path = folder / CONFIDENCE
    if not path.exists():
        return None
    try:
        tree = parse_json(path.read_text("utf-8"))
        numbers = (float(tree[name]) for name in ("exponent", "slope", "offset"))
        return Confidence(str(tree["right"]), *numbers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(
            "is damaged", place=str(path), cure="delete it, or copy it again"
        ) from error


def fit_confidence(
    translator: Translator, pairs: Iterable[tuple[str, str]], options: SearchOptions
) -> Confidence | None:
    """Fit to what a model makes of ``pairs`` that it has not learned from; None on too few."""
    from dragoman.evaluation.metrics import measures  # not needed by who only translates

    rows = list(pairs)
    found = zip(rows, translator.translate((source for source, _ in rows), options), strict=True)
    ended = [(target, a) for (_, target), a in found if a.hypotheses and a.hypotheses[0].complete]
    if len(ended) < FEWEST:
        return None
    answers = [answer for _, answer in ended]
    references = [(translator.target.normalize(target),) for target, _ in ended]
    scores = measures([a.text for a in answers], references, ("chrf", "exact"))
    kind = _EXACT if 2 * _right(scores, _EXACT).sum() >= len(ended) else _CLOSE
    right = _right(scores, kind)
    fits = [(*_fit(_sureness(answers, exponent), right), exponent) for exponent in _EXPONENTS]
    _, slope, offset, exponent = min(fits)
    return Confidence(kind, exponent, slope, offset)


def calibration(
    confidence: Confidence, answers: Sequence[Translation], measures: Sequence[Measure]
) -> dict[str, Any]:
    """Compare with the truth.

    Returns:
        ``right``, what was predicted; ``error``, the expected calibration error (Guo 2017): the
        difference of mean confidence and share that is right in each of ten equal ranges of
        confidence, weighted by its lines; and these ``bins``.
    """
    said = np.array([confidence.of(answer) for answer in answers])
    right = _right(measures, confidence.right)
    ranges = np.minimum((said * _BINS).astype(int), _BINS - 1)
    bins = [
        {
            "lines": int(some.sum()),
            "confidence": float(said[some].mean()),
            "right": float(right[some].mean()),
        }
        for some in (ranges == number for number in range(_BINS))
        if some.any()
    ]
    error = sum(b["lines"] * abs(b["confidence"] - b["right"]) for b in bins) / len(said)
    return {"right": confidence.right, "error": error, "bins": bins}


def _right(measures: Sequence[Measure], kind: str) -> Values:
    """1 for each answer that is right, else 0: [N]."""
    by_key = {m.key: m for m in measures}
    if kind == _EXACT:
        return by_key["exact"].statistics[:, 0]
    chrf = by_key["chrf"]
    return np.array([chrf.formula(row) >= CLOSE for row in chrf.statistics], float)


def _sureness(answers: Sequence[Translation], exponent: float) -> Values:
    """−log(d) of each: [N]."""
    best = [answer.hypotheses[0] for answer in answers]
    divided = np.array([h.log_prob / (len(h.ids) + 1) ** exponent for h in best])
    sureness: Values = -np.log(_EPSILON - np.minimum(divided, 0))
    return sureness


def _sigmoid(z: Values) -> Values:
    return 1 / (1 + np.exp(-np.clip(z, -500, 500)))


def _fit(sureness: Values, right: Values) -> tuple[float, float, float]:
    """Logistic regression by Newton's method: loss, slope and offset.

    One wrong answer, less probable than all, is imagined, and the targets are moved inwards as if
    one more of each had been seen (Platt 1999): so confidence falls when all answers were right.
    """
    sureness, right = np.append(sureness, sureness.min() - 1), np.append(right, 0)
    count = right.sum()
    target = np.where(right > 0, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    columns = np.column_stack((sureness, np.ones(len(right))))  # [N, 2]
    weights = np.array([1.0, 0.0])
    for _ in range(100):
        p = _sigmoid(columns @ weights)
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns + 1e-6 * np.eye(2)
        weights = weights - np.clip(np.linalg.solve(curvature, columns.T @ (p - target)), -1, 1)
    if weights[0] < 0:  # probable answers are the worse ones: then it tells nothing
        weights = np.array([0, np.log(target.mean() / (1 - target.mean()))])
    p = np.clip(_sigmoid(columns @ weights), 1e-12, 1 - 1e-12)
    loss = -float(np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)))
    return loss, float(weights[0]), float(weights[1])
