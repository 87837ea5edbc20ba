"""Replaces unknown words of an output by source words.

Luong, Sutskever, Le, Vinyals & Zaremba 2015 point at the source word of an unknown one with
position tokens; Jean 2015, section 4.1, takes the word of the highest attention weight, as here.

T target tokens   S source positions
"""

from dragoman.data.tokenizer import UNK, Tokenizer
from dragoman.search.hypotheses import Hypothesis


def copy_unknown(
    tokens: list[str], hypothesis: Hypothesis, text: str, sides: tuple[Tokenizer, Tokenizer]
) -> list[str]:
    """Replace each unknown token of a hypothesis by the source word with most attention.

    Args:
        tokens: the hypothesis' T tokens.
        hypothesis: with its attention [T, S]; without attention nothing is replaced.
        text: the source that the model read.
        sides: the tokenizers of source and target.
    """
    if UNK not in hypothesis.ids or hypothesis.weights is None:
        return tokens
    source, target = sides
    spans, said = source.spans(text), list(tokens)
    for place, weights in enumerate(hypothesis.weights[: len(tokens)]):
        if hypothesis.ids[place] == UNK:
            first, end = spans[int(weights[: len(spans)].argmax())]
            word = text[first:end]
            apart = not text[:first].strip() or word != word.lstrip()
            said[place] = target.as_token(target.normalize(word.strip()), apart=apart)
    return said
