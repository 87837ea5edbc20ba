"""Confidence of a translation: the share of similar answers that were right on held-out pairs.

    N answers

The log-probability of an answer, divided by a power of its length, is −d. The confidence is
σ(offset + slope · x) with x = −log(d): Platt scaling (1999). The slope is never negative, so that
a less probable answer never has the higher confidence, even outside the range of the fit.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dragoman.config.options import SearchOptions
from dragoman.files import parse_json, reading, write_text
from dragoman.layout import CONFIDENCE
from dragoman.search.request import Translation
from dragoman.search.translator import Translator

FEWEST = 50
"""Fewest complete answers from which a confidence is fitted."""
CLOSE = 50.0
"""chrF from which an answer counts as right, where exact matches are rare."""
_EXACT, _CLOSE = "exact match", f"chrF of {CLOSE:g} or more"
_EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Powers of the length that are tried."""
_EPSILON = 1e-3
"""Added to d before its logarithm is taken, because d may be zero."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confidence:
    """The fitted numbers of one model."""

    right: str
    """The event that it predicts: an exact match, if at least half of the held-out answers were
    one; otherwise a chrF of 50 or more."""
    exponent: float
    """The power of the length that divides the log-probability."""
    slope: float
    offset: float

    def of(self, answer: Translation) -> float:
        """The confidence of one answer: 0 if cut off, 1 for an empty line and from a memory."""
        if not answer.hypotheses or answer.remembered:
            return 1.0
        if not answer.hypotheses[0].complete:
            return 0.0
        return float(_sigmoid(self.slope * _inputs([answer], self.exponent) + self.offset)[0])

    def save(self, folder: Path) -> None:
        """Write it into a model folder."""
        write_text(folder / CONFIDENCE, json.dumps(asdict(self), indent=1) + "\n")


def load_confidence(folder: Path) -> Confidence | None:
    """Read the confidence of a model folder; None where it has none.

    Raises:
        FolderError: the file is damaged.
    """
    path = folder / CONFIDENCE
    if not path.exists():
        return None
    with reading(path, "is damaged", "delete or replace it"):
        tree = parse_json(path.read_text("utf-8"))
        numbers = (float(tree[name]) for name in ("exponent", "slope", "offset"))
        return Confidence(str(tree["right"]), *numbers)


def fit_confidence(
    translator: Translator, pairs: Iterable[tuple[str, str]], options: SearchOptions
) -> Confidence | None:
    """Fit to a model's answers to ``pairs`` that it has not learned from.

    Returns:
        None where fewer than :data:`FEWEST` answers were complete.
    """
    from dragoman.evaluation.metrics import measures  # sacrebleu

    rows = list(pairs)
    found = zip(rows, translator.translate((source for source, _ in rows), options), strict=True)
    ended = [(target, a) for (_, target), a in found if a.hypotheses and a.hypotheses[0].complete]
    if len(ended) < FEWEST:
        return None
    answers = [answer for _, answer in ended]
    references = [(translator.target.normalize(target),) for target, _ in ended]
    chrf, exact = measures([a.text for a in answers], references, ("chrf", "exact"))
    kind, right = _EXACT, exact.statistics[:, 0]  # [N], 1 for each answer that is right
    if 2 * right.sum() < len(ended):
        kind = _CLOSE
        right = np.array([chrf.formula(row) >= CLOSE for row in chrf.statistics], float)
    fits = [(*_fit(_inputs(answers, exponent), right), exponent) for exponent in _EXPONENTS]
    _, slope, offset, exponent = min(fits)
    return Confidence(kind, exponent, slope, offset)


def _inputs(answers: Sequence[Translation], exponent: float) -> Values:
    """What the logistic regression reads, x = −log(d + epsilon) of each answer: [N]."""
    best = [answer.hypotheses[0] for answer in answers]
    divided = np.array([h.log_prob / (len(h.ids) + 1) ** exponent for h in best])
    return np.asarray(-np.log(_EPSILON - np.minimum(divided, 0)))


def _sigmoid(z: Values) -> Values:
    return 1 / (1 + np.exp(-np.clip(z, -500, 500)))


def _fit(x: Values, right: Values) -> tuple[float, float, float]:
    """Logistic regression by Newton's method.

    A wrong answer that is less probable than all others is added, so that confidence falls with
    probability even when all answers were right. Targets are those of Platt (1999), inside (0, 1).

    Args:
        x: inputs [N].
        right: 1 for right answers, else 0, [N].

    Returns:
        The mean loss, the slope and the offset.
    """
    x, right = np.append(x, x.min() - 1), np.append(right, 0)
    count = right.sum()
    target = np.where(right > 0, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    columns = np.column_stack((x, np.ones(len(right))))  # [N, 2]
    weights = np.array([1.0, 0.0])
    for _ in range(100):
        p = _sigmoid(columns @ weights)
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns + 1e-6 * np.eye(2)
        weights = weights - np.clip(np.linalg.solve(curvature, columns.T @ (p - target)), -1, 1)
    if weights[0] < 0:  # more probable answers were worse: predict the mean
        weights = np.array([0, np.log(target.mean() / (1 - target.mean()))])
    p = np.clip(_sigmoid(columns @ weights), 1e-12, 1 - 1e-12)
    loss = -float(np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)))
    return loss, float(weights[0]), float(weights[1])
