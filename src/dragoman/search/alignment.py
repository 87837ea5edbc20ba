"""Which words of a translation stand for which words of its source, read off the attention.

T target   S source
"""

from __future__ import annotations

import numpy as np

from dragoman.data.tokenizer import Tokenizer
from dragoman.search.translator import Translation


def pharaoh(translation: Translation, source: Tokenizer, target: Tokenizer) -> str:
    """Links of words in Pharaoh's format: ``0-0 1-2``, source first, words counted from 0.

    Words are what white space cuts, of the line as it came in and of the output as it goes out,
    whatever tokens they consist of. Each output word is linked to the source word that its tokens
    give most attention to; to none when they give most to the end of the sentence. The text is
    empty where there is no attention: an empty line, or one that was translated in pieces.
    """
    best = translation.hypotheses[0] if translation.hypotheses else None
    if best is None or best.weights is None:
        return ""
    spans = source.spans(translation.source)
    reads = [_last_word(translation.source[:end]) for _, end in spans]
    says = [_last_word(target.decode(best.ids[: n + 1])) for n in range(len(best.ids))]
    weights = best.weights[: len(says), : len(reads) + 1]
    by_word = np.zeros((1 + max(says, default=0), 2 + max(reads)))  # the end stands last
    np.add.at(by_word, (np.array(says, int)[:, None], np.array([*reads, -1])[None]), weights)
    links = [(int(row.argmax()), word) for word, row in enumerate(by_word) if row.any()]
    return " ".join(f"{read}-{said}" for read, said in links if read <= max(reads))


def _last_word(text: str) -> int:
    """The number of the last word of ``text``; white space before the first counts to it."""
    return max(0, len(text.split()) - 1)
