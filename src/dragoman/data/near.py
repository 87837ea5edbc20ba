"""Held-out words that are spelt nearly like words to learn from: scores on them say too much.

Where a file has many forms of a word (Bulgarian has a dozen), a random word has another form of its
own among the pairs to learn from, which a word that is new to the language would not have.
"""

from collections.abc import Iterable, Sequence

from rapidfuzz.distance.Levenshtein import normalized_similarity
from rapidfuzz.process import extractOne

MANY = 0.5
"""Share of near copies above which scores on held-out words say too much."""


def near_copies(held_out: Sequence[str], learned: Iterable[str]) -> float:
    """The share of held-out sources, of which 200 are looked at, that nearly copy a learned one.

    Of two near copies at least 0.8 of the longer one's letters stay without an edit. The share is 0
    where most sources have spaces, and so are no words, and where fewer than 20 are held out.
    """
    some = held_out[:: 1 + len(held_out) // 200]
    words = [source for source in some if len(source.split()) < 2]
    known = list(learned) if len(words) > max(19, len(some) // 2) else []
    best = (extractOne(w, known, scorer=normalized_similarity, score_cutoff=0.8) for w in words)
    return sum(map(bool, best)) / max(1, len(some))
