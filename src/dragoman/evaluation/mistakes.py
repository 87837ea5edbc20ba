"""Finds outputs that are visibly wrong, whatever their score."""

import re
from collections.abc import Iterator, Sequence

from dragoman.data.sameness import sentence_key
from dragoman.data.tokenizer import UNK, Ids
from dragoman.evaluation.metrics import References
from dragoman.search.request import Translation

MISTAKES = ("blank", "copied", "cut off", "loop", "lost", "unknown")
"""Every kind of mistake; the help of ``dragoman evaluate --cases`` says what each means."""
_LOOP = re.compile(r"(?<!\S)(\S+(?: \S+){0,9})(?: \1){2}(?!\S)|([^\W\d_]{1,8}?)\2{3}")
"""A phrase of at most ten words three times in a row; a syllable four times."""
_NAME_OR_NUMBER = re.compile(r"\w*\d\w*|[^\W\d_]\w{2,}")


def mistakes(
    answers: Sequence[Translation], references: References, ids: Sequence[Ids]
) -> dict[str, list[int]]:
    """The lines with each kind of mistake, counted from 0.

    Args:
        answers: one for each line.
        references: the texts that are right, for each line.
        ids: the tokens of each source.
    """
    found: dict[str, list[int]] = {kind: [] for kind in MISTAKES}
    for line, (answer, right, tokens) in enumerate(zip(answers, references, ids, strict=True)):
        for kind in _kinds(answer, right, tokens):
            found[kind].append(line)
    return found


def _kinds(answer: Translation, references: Sequence[str], tokens: Ids) -> Iterator[str]:
    source, output = answer.source, answer.text
    if UNK in tokens:
        yield "unknown"
    if answer.hypotheses and not answer.hypotheses[0].complete:
        yield "cut off"
    if not output.strip():
        yield "blank"
        return
    if _LOOP.search(output) and not any(map(_LOOP.search, references)):
        yield "loop"
    key = sentence_key(output)
    if key == sentence_key(source) and key not in map(sentence_key, references):
        yield "copied"
    shared = set.intersection(*map(_names_and_numbers, (source, *references)))
    if shared - _names_and_numbers(output):
        yield "lost"


def _names_and_numbers(text: str) -> set[str]:
    words = _NAME_OR_NUMBER.findall(text)
    return {word for word in words if word[0].isupper() or any(map(str.isdigit, word))}
