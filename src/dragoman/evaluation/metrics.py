"""Scores of output text against references, their intervals, and tests of two models.

    N sentences   K statistics of a sentence   R resamples   M scores

A score is a :class:`Measure`: the statistics of each sentence, and a formula that turns their sum
into the score. The scores of all sentences, of some, and of bootstrap resamples then need the
statistics only once (the design of sacreBLEU, Post 2018). To add a score, call it in
:func:`measures` and name it in :data:`TEXT_SCORES`.

Resamples are drawn with sacreBLEU's generator and seed, so that intervals are those of its
``--confidence``. Its ``--paired-bs`` counts the differences of one sign only; a p-value here counts
both, and counts a difference equal to the observed one, so that equal outputs have p = 1.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from dragoman.errors import DataError

TEXT_SCORES = ("bleu", "chrf", "exact", "errors")
"""The keys of all scores of text, in the order in which they are shown."""
_SCRIPTS = {
    "zh": "[\u3400-\u9fff]",
    "ja-mecab": "[\u3040-\u30ff]",
    "ko-mecab": "[\uac00-\ud7a3]",
    "char": "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]",  # Thai, Lao, Burmese, Khmer
}
"""The letters for which a tokenizer of sacreBLEU is made."""
_PACKAGES = {"ja-mecab": "ipadic", "ko-mecab": "mecab_ko"}
"""What a tokenizer needs beside sacreBLEU."""

Sums = npt.NDArray[np.float64]
Texts = Sequence[str]
"""Texts in an order, such as an output for each sentence."""
References = Sequence[Texts]
"""For each sentence the texts that are right, at least one."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A score of N sentences before their statistics are added up."""

    key: str
    """Its name in options and files: ``bleu``."""
    name: str
    """Its name for people: ``BLEU``."""
    signature: str
    """How it is computed; in sacreBLEU's notation where the score is sacreBLEU's."""
    statistics: Sums
    """What each sentence adds, [N, K]."""
    formula: Callable[[Sums], float]
    """The score of added statistics [K]."""
    higher: bool = True
    """Whether higher is better."""
    interval: tuple[float, float] | None = None
    """Bounds of the middle 95 % of bootstrap resamples; None: not computed."""

    def value(self, rows: Sequence[int] | slice = slice(None)) -> float:
        """The score of the chosen sentences (default: all), in percent."""
        return self.formula(self.statistics[rows].sum(0))


def measures(
    outputs: Texts, references: References, keys: Texts = TEXT_SCORES, *, characters: bool = False
) -> tuple[Measure, ...]:
    """Compare outputs with references.

    BLEU (Papineni et al. 2002) and chrF (Popović 2015) are sacreBLEU's.

    Args:
        outputs: what a model answered, as text.
        references: the texts that are right, for each output.
        keys: the scores that are wanted, of :data:`TEXT_SCORES`.
        characters: count edits in characters, instead of words between spaces.

    Raises:
        DataError: there are not as many outputs as references, or there are none.
    """
    if len(outputs) != len(references):
        raise DataError(f"{len(outputs)} outputs for {len(references)} references")
    if not outputs:
        raise DataError("there is nothing to score")
    texts, tokenize = (outputs, references), _bleu_tokenizer
    makers: dict[str, Callable[[], Measure]] = {
        "bleu": lambda: _sacrebleu("BLEU", BLEU(force=True, tokenize=tokenize(references)), *texts),
        "chrf": lambda: _sacrebleu("chrF", CHRF(), *texts),
        "exact": lambda: _exact(*texts),
        "errors": lambda: _errors(*texts, characters),
    }
    return tuple(make() for key, make in makers.items() if key in keys)


def _sacrebleu(name: str, metric: Any, outputs: Texts, references: References) -> Measure:
    """A metric of sacreBLEU, with its numbers and its signature."""
    ragged = [list(column) for column in zip_longest(*references)]  # None where there are fewer
    statistics = np.array(metric._extract_corpus_statistics(list(outputs), ragged), float)

    def formula(sums: Sums) -> float:
        return float(metric._compute_score_from_stats(sums.tolist()).score)

    return Measure(name.lower(), name, str(metric.get_signature()), statistics, formula)


def _bleu_tokenizer(references: References) -> str:
    """The name of sacreBLEU's tokenizer that suits the script of most letters of the references.

    Japanese and Korean are cut into words where the packages are installed that do it
    (``sacrebleu[ja]``, ``sacrebleu[ko]``), else into characters.
    """
    text = "".join(text for right in references for text in right)
    counts = {name: len(re.findall(letters, text)) for name, letters in _SCRIPTS.items()}
    if 2 * sum(counts.values()) <= len(re.findall(r"\w", text)):
        return "13a"
    if 10 * counts["ja-mecab"] > counts["zh"]:  # Japanese is written in Han and kana
        counts["zh"] = 0
    name = max(counts, key=lambda name: counts[name])
    return name if find_spec(_PACKAGES.get(name, "sacrebleu")) else "char"


def _exact(outputs: Texts, references: References) -> Measure:
    """Share of outputs that equal a reference: a sentence adds 1 if it does, and 1 to the total."""
    pairs = zip(outputs, references, strict=True)
    same = np.array([(plain(output) in map(plain, right), 1) for output, right in pairs], float)
    return Measure("exact", "exact match", "whole lines, but for white space", same, percentage)


def _errors(outputs: Texts, references: References, characters: bool) -> Measure:
    """Error rate: edits (Levenshtein 1966) as percent of the reference's length.

    A sentence adds its edits to the nearest reference (the first of several) and its length.
    """
    edits = []
    for output, right in zip(outputs, references, strict=True):
        said, texts = symbols(output, characters), [symbols(text, characters) for text in right]
        distances = [(Levenshtein.distance(said, text), len(text)) for text in texts]
        edits.append(min(distances, key=lambda pair: pair[0]))
    unit, cut = ("character", "characters") if characters else ("token", "split at white space")
    name, how = f"{unit} error rate", f"to the nearest reference, {cut}"
    return Measure("errors", name, how, np.array(edits, float), percentage, higher=False)


def percentage(sums: Sums) -> float:
    """The first statistic as percent of the second; 0 where that is 0."""
    return 100 * float(sums[0] / sums[1]) if sums[1] else 0.0


def plain(text: str) -> str:
    """``text`` with single spaces between words and none at its ends."""
    return " ".join(text.split())


def symbols(text: str, characters: bool) -> list[str]:
    """Split a text into what errors and lengths are counted in: characters, or words."""
    return list(plain(text)) if characters else text.split()


SEED, RESAMPLES = 12345, 1000
_CLOSE = 1e-9
"""Differences that are nearer to each other than this are equal, except for rounding."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A second model's score minus a first one's."""

    name: str
    value: float
    interval: tuple[float, float]
    """Bounds of the middle 95 % of the differences in resamples of the same sentences."""
    p: float
    """Two-sided p-value of the paired bootstrap test (Koehn 2004): how often a resample differs
    from the mean of all resamples by at least as much as the two scores differ."""


def with_intervals(measures: Sequence[Measure]) -> tuple[Measure, ...]:
    """Each score with its bootstrap interval (Koehn 2004); a single sentence has no interval."""
    if len(measures[0].statistics) < 2:
        return tuple(measures)
    pairs = zip(measures, _resampled(measures), strict=True)
    return tuple(replace(measure, interval=_middle(scores)) for measure, scores in pairs)


def compare(first: Sequence[Measure], second: Sequence[Measure]) -> tuple[Difference, ...]:
    """Differences of two models' scores on the same sentences.

    Only scores of equal signature are compared: perplexities of other tokens, for example, are not
    comparable.

    Raises:
        DataError: the models answered different numbers of lines.
    """
    if len(first[0].statistics) != len(second[0].statistics):
        raise DataError("these evaluations are of different lines: they do not compare")
    theirs = {(m.key, m.signature): m for m in second}
    both = [(m, theirs[key]) for m in first if (key := (m.key, m.signature)) in theirs]
    if not both:
        return ()
    ours, others = map(_resampled, zip(*both, strict=True))
    found = []
    for (a, b), differences in zip(both, others - ours, strict=True):
        value = b.value() - a.value()
        chance = np.abs(differences - differences.mean()) >= abs(value) - _CLOSE
        p = (int(chance.sum()) + 1) / (len(differences) + 1)
        found.append(Difference(a.name, value, _middle(differences), p))
    return tuple(found)


def _resampled(measures: Sequence[Measure]) -> Sums:
    """Scores of N sentences drawn with replacement, [M, R]."""
    lines, random, scores = len(measures[0].statistics), np.random.default_rng(SEED), []
    for _ in range(RESAMPLES):
        times = np.bincount(random.integers(lines, size=lines), minlength=lines)  # [N]
        scores.append([m.formula(times @ m.statistics) for m in measures])
    return np.array(scores).T


def _middle(scores: Sums) -> tuple[float, float]:
    """The bounds of the middle 95 %."""
    ordered, cut = np.sort(scores), len(scores) // 40
    return float(ordered[cut]), float(ordered[-cut - 1])
