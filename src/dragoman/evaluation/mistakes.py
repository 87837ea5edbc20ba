"""Finds outputs that are visibly wrong, whatever their score."""

import re
from collections.abc import Iterator, Sequence

from dragoman.data.sameness import sentence_key
from dragoman.data.tokenizer import UNK, Ids
from dragoman.evaluation.metrics import References, symbols
from dragoman.search.translation import Translation

MISTAKES = {
    "loop": "repeats a phrase three times, or a syllable four times, more often than a reference",
    "blank": "an empty output",
    "copied": "the output equals the source, and no reference does",
    "cut off": "the length limit ended the output, not the model",
    "too short": "less than half as long as any reference",
    "too long": "more than twice as long as any reference",
    "lost": "lacks a number or name that the source and all references have",
    "unknown": "the source has tokens outside the vocabulary",
}
"""Every kind of mistake, and what it means."""

_PHRASE = 20
"""Most symbols of a phrase whose repetitions are counted."""
_REPEATED_SYLLABLE = re.compile(r"([^\W\d_]{1,8}?)\1{3}")
_NAME_OR_NUMBER = re.compile(r"\w*\d\w*|[^\W\d_]\w{2,}")


def mistakes(
    answers: Sequence[Translation], references: References, ids: Sequence[Ids], *, characters: bool
) -> dict[str, list[int]]:
    """The lines with each kind of mistake, counted from 0.

    Args:
        answers: one for each line.
        references: the texts that are right, for each line.
        ids: the tokens of each source.
        characters: count lengths and repetitions in characters instead of words.
    """
    found: dict[str, list[int]] = {kind: [] for kind in MISTAKES}
    for line, (answer, right, tokens) in enumerate(zip(answers, references, ids, strict=True)):
        if UNK in tokens:
            found["unknown"].append(line)
        for kind in _kinds(answer, right, characters):
            found[kind].append(line)
    return found


def _kinds(answer: Translation, references: Sequence[str], characters: bool) -> Iterator[str]:
    source, output = answer.source, answer.text
    said, right = symbols(output, characters), [symbols(text, characters) for text in references]
    if answer.hypotheses and not answer.hypotheses[0].complete:
        yield "cut off"
    if not said:
        yield "blank"
        return
    times, syllable = repetitions(said), _REPEATED_SYLLABLE.search
    repeats = times >= 3 and times > max(map(repetitions, right))
    if repeats or (syllable(output) and not any(map(syllable, references))):
        yield "loop"
    key = sentence_key(output)
    if key == sentence_key(source) and key not in map(sentence_key, references):
        yield "copied"
    if 2 * len(said) < min(map(len, right)):
        yield "too short"
    if len(said) > 2 * max(map(len, right)):
        yield "too long"
    shared = set.intersection(*map(_names_and_numbers, (source, *references)))
    if shared - _names_and_numbers(output):
        yield "lost"


def repetitions(tokens: Sequence[str]) -> int:
    """The largest number of times that any phrase of ``tokens`` follows itself directly."""
    most = min(len(tokens), 1)
    for length in range(1, min(_PHRASE, len(tokens) // 2) + 1):
        run = 0  # tokens in a row that equal the token one phrase earlier
        for before, token in zip(tokens, tokens[length:], strict=False):
            run = run + 1 if before == token else 0
            most = max(most, run // length + 1)
    return most


def _names_and_numbers(text: str) -> set[str]:
    words = _NAME_OR_NUMBER.findall(text)
    return {word for word in words if word[0].isupper() or any(map(str.isdigit, word))}
