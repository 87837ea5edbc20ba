"""Lengths of texts that tell something: of one side against the other, and their order."""

import numpy as np

from dragoman.data.check.columns import Corpus
from dragoman.data.check.report import Finding, Rows


def length_ratio(corpus: Corpus, misplaced: Rows) -> Finding:
    """Pairs whose lengths stand in another proportion than those of the rest, farthest first.

    ``--fix`` leaves out those far beyond the limit; the others may be abbreviations. Rows that
    are known to be ``misplaced`` are not told again.
    """
    source, target = corpus.source.characters, corpus.target.characters
    # Five characters more on each side: for short texts a large ratio says little.
    ratios = np.log((target + 5) / (source + 5))
    low, middle, high = np.percentile(ratios, [16, 50, 84])
    limit = max(3 * (high - low), np.log(2.5))
    far = np.abs(ratios - middle)
    far[misplaced] = 0.0
    worst = np.argsort(-far, kind="stable")
    rows, fixed = worst[: (far > limit).sum()], worst[: (far > 1.5 * limit).sum()]
    detail = "{} against {} characters".format
    return corpus.finding("length ratio", rows, lambda row: detail(source[row], target[row]), fixed)


def sorted_by_length(corpus: Corpus) -> Finding:
    """Whether short sources come first, or last."""
    lengths = corpus.source.characters
    tenths = [float(part.mean()) for part in np.array_split(lengths, 10) if part.size >= 5]
    if not tenths or tenths[0] > tenths[-1]:
        tenths.reverse()
    found = len(tenths) == 10 and tenths == sorted(tenths) and 2 * tenths[0] < tenths[-1]
    span = f"{tenths[0]:.0f} to {tenths[-1]:.0f}" if found else ""
    meaning = f"on average from {span} characters a line; shuffle before cutting a subset"
    return Finding("sorted by length", "note", len(lengths) if found else 0, meaning)
