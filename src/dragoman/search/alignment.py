"""Aligns output words with source words by attention, and replaces unknown words of an output.

Luong, Sutskever, Le, Vinyals & Zaremba 2015 point at the source word of an unknown one with
position tokens; Jean 2015, section 4.1, takes the word of the highest attention weight, as here:
through a dictionary where it knows the word, else as it stands.

T target tokens   S source positions
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.tokenizer import UNK, Tokenizer
from dragoman.search.hypotheses import Hypothesis


def pharaoh(line: str, output: Sequence[Hypothesis], source: Tokenizer, target: Tokenizer) -> str:
    """Links of words in Pharaoh's format: ``0-0 1-2``, source first, words counted from 0.

    White space separates words, in the raw line and in the output text, whatever their tokens are.
    Each output word is linked to the source word that its tokens attend to most; to none if they
    attend to the end of the sentence most. The text is empty where there is no attention: for an
    empty line, and for one that was translated in pieces.

    Args:
        line: raw source text.
        output: the hypotheses of its translation, the best one first.
        source, target: the tokenizers.
    """
    best = output[0] if output else None
    if best is None or best.weights is None:
        return ""
    spans = source.spans(line)[: best.weights.shape[1] - 1]  # a line may have been cut off
    reads = [_last_word(line[:end]) for _, end in spans]
    says = [_last_word(target.decode(best.ids[: n + 1])) for n in range(len(best.ids))]
    weights = best.weights[: len(says), : len(reads) + 1]
    by_word = np.zeros((1 + max(says, default=0), 2 + max(reads)))  # the end stands last
    np.add.at(by_word, (np.array(says, int)[:, None], np.array([*reads, -1])[None]), weights)
    links = [(int(row.argmax()), word) for word, row in enumerate(by_word) if row.any()]
    return " ".join(f"{read}-{said}" for read, said in links if read <= max(reads))


def _last_word(text: str) -> int:
    """The number of the last word of ``text``; white space before the first counts to it."""
    return max(0, len(text.split()) - 1)


def read_dictionary(file: Path | None) -> dict[str, str]:
    """Read words and their translations from a file with a tab between; none without a file.

    Raises:
        DataError: the file cannot be read, or has lines that are no pairs.
    """
    if file is None:
        return {}
    pairs = read_pairs([file], DataOptions(format="tsv", header=False, tolerance=0.0), Faults())
    return {pair.source.strip(): pair.target.strip() for pair in pairs}


def copy_unknown(
    tokens: list[str],
    hypothesis: Hypothesis,
    text: str,
    sides: tuple[Tokenizer, Tokenizer],
    dictionary: Mapping[str, str],
) -> list[str]:
    """Replace each unknown token of a hypothesis by the source word with most attention.

    Args:
        tokens: the hypothesis' tokens.
        hypothesis: with its attention; without attention nothing is replaced.
        text: the source that the model read.
        sides: the tokenizers of source and target.
        dictionary: translations of source words, which are taken instead of the words.
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
