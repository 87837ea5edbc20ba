"""Scores of output text against references.

    N sentences   K statistics of a sentence

A score is a :class:`Measure`: the statistics of each sentence, and a formula that turns their sum
into the score. The scores of all sentences, of some, and of bootstrap resamples then need the
statistics only once (the design of sacreBLEU, Post 2018). To add a score, call it in
:func:`measures` and name it in :data:`TEXT_SCORES`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
References = Sequence[Sequence[str]]
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
    outputs: Sequence[str],
    references: References,
    keys: Sequence[str] = TEXT_SCORES,
    *,
    characters: bool = False,
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
    found = []
    bleu = BLEU(force=True, tokenize=_bleu_tokenizer(references))
    for name, metric in (("BLEU", bleu), ("chrF", CHRF())):
        if name.lower() in keys:
            found.append(_sacrebleu(name, metric, outputs, references))
    if "exact" in keys:
        found.append(_exact(outputs, references))
    if "errors" in keys:
        found.append(_errors(outputs, references, characters))
    return tuple(found)


def _sacrebleu(name: str, metric: Any, outputs: Sequence[str], references: References) -> Measure:
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


def _exact(outputs: Sequence[str], references: References) -> Measure:
    """Share of outputs that equal a reference: a sentence adds 1 if it does, and 1 to the total."""
    pairs = zip(outputs, references, strict=True)
    same = np.array([(plain(output) in map(plain, right), 1) for output, right in pairs], float)
    return Measure("exact", "exact match", "whole lines, but for white space", same, percentage)


def _errors(outputs: Sequence[str], references: References, characters: bool) -> Measure:
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
