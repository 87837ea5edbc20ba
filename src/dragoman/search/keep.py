"""Copies parts of a source into its output: those that are to stay as they are, and unknown words.

The model reads the line without what is kept, so that it need not know it. Each part comes back at
the place that attention gives it, and all in their order: an opening tag stays before its closing
one. An unknown word of the output becomes a word of the source.

T target tokens   S source tokens
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dragoman.data.tokenizer import UNK, Tokenizer
from dragoman.errors import OptionError
from dragoman.search.hypotheses import Hypothesis

_USUAL = (
    r"\b(?:https?://|ftp://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]"  # URLs
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # e-mail addresses
    r"|\$?\{\{?[^{}\s]*\}?\}|%(?:\(\w+\)|\d+\$)?[-+#0]*\d*(?:\.\d+)?[sdifxuc@](?!\w)"  # fields
    r"|</?[A-Za-z][^<>]*>"  # tags
)
NAMED = {"usual": _USUAL, "numbers": r"\d+(?:[.,:/]\d+)*"}
"""Patterns that have a name."""
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
"""Scripts that write no spaces between words: Thai, Lao, Burmese, Khmer, kana and Han."""
_UNSPACED = re.compile(f"[{UNSPACED}]")
_OPENING, _CLOSING = "([{«„“¿¡", " .,;:!?)]}»”…"
"""Marks that stand before a word, or behind one, without a space."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A part of a line that was taken out."""

    text: str
    at: int
    """Its place: the number of characters before it in the line that is left."""
    before: str
    """The character before it in the line; empty at the beginning."""
    after: str
    """The character after it in the line; empty at the end."""


def pattern_of(names: Sequence[str]) -> re.Pattern[str] | None:
    """The pattern of what is kept; None where nothing is.

    Args:
        names: each a name or a regular expression: ``usual`` are URLs, e-mail addresses, fields
            (``{0}``, ``%s``) and tags (``<b>``), ``numbers`` are numbers.

    Raises:
        OptionError: an expression is wrong.
    """
    try:
        parts = [re.compile(NAMED.get(name, name)).pattern for name in names]
    except re.error as error:
        cure = f"write a regular expression, {' or '.join(NAMED)}"
        raise OptionError(f"{error.pattern!r}: {error}", place="keep", cure=cure) from None
    return re.compile("|".join(f"(?:{part})" for part in parts)) if parts else None


def take_out(line: str, pattern: re.Pattern[str] | None) -> tuple[str, list[Kept]]:
    """The line without what the pattern finds in it, and what was found."""
    kept, left, end = list[Kept](), "", 0
    for match in pattern.finditer(line) if pattern else ():
        if text := match[0]:
            left = (left + line[end : match.start()]).strip()
            end = match.end()
            before, after = line[: match.start()][-1:], line[end : end + 1]
            kept.append(Kept(text, len(left), before, after))
            left += " " if left and before.isspace() and after.isalnum() else ""  # "a {0}b"
    return (left + line[end:]).lstrip() if kept else line, kept


def put_back(
    tokens: Sequence[str],
    hypothesis: Hypothesis,
    line: str,
    kept: Sequence[Kept],
    sides: tuple[Tokenizer, Tokenizer],
    prefix: str,
) -> str:
    """The text of an output with what was taken out of its source.

    A part comes to the place where the fewest tokens change sides: those before it that attend to
    what was behind it, and those behind it that attend to what was before it. Of equal places it
    takes one beside a token that attends to its neighbour in the source.

    Args:
        tokens: the output's T tokens.
        hypothesis: with its attention.
        line: the line that is left, which the model read.
        kept: the parts, in their order.
        sides: the tokenizers of source and target.
        prefix: the text with which the output begins; parts come behind it.
    """
    source, target = sides
    text, weights = target.join(tokens), hypothesis.weights
    if not kept or weights is None or not tokens:
        return " ".join(filter(None, (text, *(one.text for one in kept))))
    starts = np.array([start for start, _ in source.spans(line)])  # [S]
    reads = starts[weights[: len(tokens), : len(starts)].argmax(1)]  # [T]
    ends = np.array([len(target.join(tokens[:n])) for n in range(len(tokens) + 1)])  # in characters
    unspaced = _UNSPACED.search(text) is not None
    inside = [text[max(0, end - 1) : end + 1].isalnum() and 0 < end < len(text) for end in ends]
    wrong = (ends < len(prefix.strip())) | (np.array(inside) & (not unspaced))
    last = len(tokens)
    for one in reversed(kept):
        late = reads >= one.at
        changes = np.append(0.0, np.where(late, 1, -1).cumsum())  # [T + 1], but for a constant
        changes[1:] -= 0.3 * (reads == starts[starts < one.at].max(initial=-1))
        changes[:-1] -= 0.3 * (reads == starts[starts >= one.at].min(initial=len(line)))
        last = int(np.where(wrong, np.inf, changes)[: last + 1].argmin())
        end = ends[last]
        head, tail = text[:end], text[end:]
        left = "" if unspaced else _space(head[-1:], one.before, _OPENING)
        right = "" if unspaced else _space(tail[:1], one.after, _CLOSING)
        text = f"{head}{left}{one.text}{right}{tail}"
    return text


def _space(beside: str, before: str, attached: str) -> str:
    """What stands between a part and the character beside it in the output.

    Args:
        beside: the character; empty at an end of the output.
        before: the character beside the part in the source.
        attached: characters that stand beside a word without a space.
    """
    apart = beside.isalnum() or not (before.strip() or beside in attached)
    return " " if beside and apart and not before.isalnum() else ""


def copy_unknown(
    tokens: list[str], hypothesis: Hypothesis, text: str, sides: tuple[Tokenizer, Tokenizer]
) -> list[str]:
    """Replace each unknown token of a hypothesis by the source word with most attention.

    Luong, Sutskever, Le, Vinyals & Zaremba 2015 point at the source word of an unknown one with
    position tokens. Jean 2015, section 4.1, takes the word of the highest attention weight, as this
    does.

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
