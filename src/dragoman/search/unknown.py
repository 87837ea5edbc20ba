"""Words outside the target vocabulary: taken from the source, where attention looked.

Luong, Sutskever, Le, Vinyals & Zaremba 2015 point at the source word with position tokens; Jean
2015, section 4.1, takes the word of the highest attention weight, as here: through a dictionary
when it knows the word, else as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.tokenizer import UNK, Tokenizer
from dragoman.search.hypothesis import Hypothesis


def read_dictionary(file: Path | None) -> dict[str, str]:
    """Words and what to say for them, out of a file with a tab between; none without a file.

    Raises:
        DataError: the file cannot be read, or has lines that are no pairs.
    """
    if file is None:
        return {}
    pairs = read_pairs([file], DataOptions(format="tsv", tolerance=0.0), Faults())
    return {pair.source.strip(): pair.target.strip() for pair in pairs}


def copy_unknown(
    tokens: list[str],
    hypothesis: Hypothesis,
    text: str,
    sides: tuple[Tokenizer, Tokenizer],
    dictionary: Mapping[str, str],
) -> list[str]:
    """``tokens`` of a hypothesis with a word in the place of each unknown one.

    Args:
        tokens: as the vocabulary has them.
        hypothesis: with its attention; without it, nothing is replaced.
        text: what the model read.
        sides: the tokenizers of source and target.
        dictionary: words to say for words of the source.
    """
    if UNK not in hypothesis.ids or hypothesis.weights is None:
        return tokens
    source, target = sides
    spans, said = source.spans(text), list(tokens)
    for place, weights in enumerate(hypothesis.weights[: len(tokens)]):
        if hypothesis.ids[place] == UNK:
            first, end = spans[int(weights[: len(spans)].argmax())]
            word = text[first:end].strip()
            apart = not text[:first].strip() or text[first:end] != text[first:end].lstrip()
            known = dictionary.get(word) or dictionary.get(word.lower())
            said[place] = target.as_token(known or target.normalize(word), apart=apart)
    return said
