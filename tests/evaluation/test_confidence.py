"""Confidence: what is fitted to answers of known truth, and what must hold for any."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dragoman.config.options import SearchOptions
from dragoman.errors import FolderError
from dragoman.evaluation.confidence import Confidence, fit_confidence, load_confidence
from dragoman.layout import CONFIDENCE


def answer(log_prob: float, length: int = 5, complete: bool = True, text: str = "a b") -> Any:
    best = SimpleNamespace(log_prob=log_prob, ids=(7,) * (length - 1), complete=complete)
    return SimpleNamespace(hypotheses=(best,), text=text, remembered=False)


class Known:
    """A translator whose answers are given; the case of a target does not count."""

    target = SimpleNamespace(normalize=str.lower)

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    def translate(self, lines: Any, options: SearchOptions) -> list[Any]:
        return self.answers


def fit(answers: list[Any], targets: list[str]) -> Confidence | None:
    pairs = [("", target) for target in targets]
    return fit_confidence(Known(answers), pairs, SearchOptions())  # type: ignore[arg-type]


def calibration_error(found: Confidence, answers: list[Any], right: list[bool]) -> float:
    """Mean difference of confidence and the share that is right, in ten bins (Guo et al. 2017)."""
    said, truth = np.array([found.of(one) for one in answers]), np.array(right, float)
    bins = [said // 0.1 == number for number in range(11)]
    gaps = [abs(said[some].sum() - truth[some].sum()) for some in bins]
    return float(sum(gaps)) / len(answers)


def draw(seed: int, count: int) -> tuple[list[Any], list[str]]:
    """Answers that are right with p = σ(1 − 2 log(d)), d the negative log-probability a token."""
    random = np.random.default_rng(seed)
    d, lengths = random.exponential(1.5, count), random.integers(1, 30, count)
    right = random.random(count) < 1 / (1 + np.exp(2 * np.log(d) - 1))
    answers = zip(d, lengths, strict=True)
    return [answer(-x * int(n), int(n)) for x, n in answers], ["A B" if r else "c" for r in right]


def test_a_known_truth_is_found() -> None:
    found = fit(*draw(1, 2000))
    assert found is not None and found.right == "exact match" and found.exponent == 1.0
    assert found.slope == pytest.approx(2, abs=0.2) and found.offset == pytest.approx(1, abs=0.2)
    answers, targets = draw(2, 4000)
    assert calibration_error(found, answers, [text == "A B" for text in targets]) < 0.03


@pytest.mark.parametrize("kind", ["all right", "all wrong", "the probable wrong", "by chance"])
def test_confidence_never_rises_where_probability_falls(kind: str) -> None:
    d = np.linspace(0.0, 3.0, 60)
    right = {
        "all right": d >= 0,
        "all wrong": d < 0,
        "the probable wrong": d > 1.5,
        "by chance": np.arange(60) % 2 == 0,
    }[kind]
    found = fit([answer(-5 * x) for x in d], ["a b" if r else "c" for r in right])
    assert found is not None
    said = [found.of(answer(-x)) for x in (0.0, 0.1, 1.0, 10.0, 100.0, 1e6)]
    assert said == sorted(said, reverse=True) and all(0 <= p <= 1 for p in said)
    if kind == "all right":
        assert said[0] > 0.95 and said[-1] < 0.01  # unlike any that was right
    if kind == "all wrong":
        assert found.right == "chrF of 50 or more"


def test_what_needs_no_fit() -> None:
    found = Confidence("exact match", 1.0, 2.0, 1.0)
    assert found.of(SimpleNamespace(hypotheses=())) == 1.0  # type: ignore[arg-type]
    assert found.of(answer(-0.1, complete=False)) == 0.0
    remembered = SimpleNamespace(hypotheses=answer(-0.1).hypotheses, remembered=True)
    assert found.of(remembered) == 1.0  # type: ignore[arg-type]
    # σ(1 − 2 log(0.001 + 2/5))
    assert found.of(answer(-2.0)) == pytest.approx(1 / (1 + np.exp(2 * np.log(0.401) - 1)))


def test_too_few_answers_are_not_fitted() -> None:
    answers = [answer(-1.0) for _ in range(50)]
    assert fit(answers, ["a b"] * 50) is not None
    assert fit([*answers[1:], answer(-1.0, complete=False)], ["a b"] * 50) is None


def test_the_truth_of_close_answers_is_chrf() -> None:
    texts = ["the cat sat on the mat" if i < 40 else "no" for i in range(60)]
    answers = [answer(-float(i), text=text) for i, text in enumerate(texts)]
    found = fit(answers, ["the cat sat on a mat"] * 60)
    assert found is not None and found.right == "chrF of 50 or more"
    assert found.of(answer(-1)) > 0.9 and found.of(answer(-59)) < 0.1
    assert calibration_error(found, answers, [text != "no" for text in texts]) < 0.15


def test_it_is_stored_in_the_folder(tmp_path: Path) -> None:
    assert load_confidence(tmp_path) is None
    found = Confidence("exact match", 0.5, 1.25, -3.0)
    found.save(tmp_path)
    assert load_confidence(tmp_path) == found
    for damage in ("{", "{}", "[]", '{"exponent": "x"}'):
        (tmp_path / CONFIDENCE).write_text(damage)
        with pytest.raises(FolderError, match=r"confidence\.json: is damaged"):
            load_confidence(tmp_path)
