"""Copies parts of a source into its output: those that are to stay as they are, and unknown words.

The model reads the line without what is kept, so that it need not know it. Each part comes back at
the place that attention gives it: a pair of tags around the words that stood in it, all other parts
in their order. An unknown word of the output becomes a word of the source.

T target tokens   S source tokens
"""

import re
from collections.abc import Sequence

import numpy as np

from dragoman.data.tokenizer import UNK, Tokenizer
from dragoman.errors import OptionError
from dragoman.search.hypotheses import Hypothesis
from dragoman.search.tags import MARK, OBJECT, OPENING, Alignment, Kept, arranged, tag

TEMPLATE = r"<%(?:(?!<%).)*?%>|<\?(?:php|=).*?(?:\?>|\Z)|\{[{%](?:(?!\{[{%]).)*?[%}]\}+"
"""Code in a template: ``<% ... %>``, ``<?php ... ?>``, ``{{ ... }}`` and ``{% ... %}``."""
_USUAL = (
    rf"{TEMPLATE}|"
    r"\b(?:https?://|ftp://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]"  # URLs
    r"|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++"  # e-mail addresses
    r"|\$?\{\{?[^{}\s]*\}?\}|%(?:\(\w++\)|\d++\$)?[-+#0]*+\d*+(?:\.\d++)?[sdifxuc@](?!\w)"  # fields
    r"|</?[A-Za-z][^<>]*>"  # tags
)
NAMED = {"usual": _USUAL, "numbers": r"\d+(?:[.,:/]\d+)*"}
"""Patterns that have a name."""
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
"""Scripts that write no spaces between words: Thai, Lao, Burmese, Khmer, kana and Han."""
_INSIDE = re.compile(r"(?<=\w)(?=\w|['’-]\w)|(?<=\w-)(?=\w)|(?<=\w['’])(?=\w{1,2}\b)")
"""The inside of a word, those with a hyphen or an apostrophe included: of don't, but not before the
word of l'homme."""
_OPENING, _CLOSING = "([{«„“¿¡", " .,;:!?)]}»”…"
"""Marks that stand before a word, or behind one, without a space."""


def pattern_of(names: Sequence[str]) -> re.Pattern[str] | None:
    """The pattern of what is kept; None where a user asks for nothing.

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
    return re.compile("|".join(f"(?:{part})" for part in (MARK.pattern, *parts))) if parts else None


def take_out(line: str, pattern: re.Pattern[str] | None) -> tuple[str, list[Kept]]:
    """The line without what the pattern finds in it, and what was found; marks are found always."""
    kept, left, end, before = list[Kept](), "", 0, ""
    for match in (pattern or MARK).finditer(line):
        if text := match[0]:
            left = (left + line[end : match.start()]).strip()
            # Of neighbours, each has the character before the first.
            before = line[end : match.start()][-1:] or before
            end, after = match.end(), line[match.end() : match.end() + 1]
            kept.append(Kept(text, len(left), before, after))
            # "a {0}b" leaves "a b".
            left += " " if left and before.isspace() and after not in _CLOSING else ""
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
    features = len(source.tags.cut(line).tags)  # which come first, and are no words
    spans = np.array(source.spans(line)[features:]).reshape(-1, 2)  # [S, 2]
    ends = np.array([len(target.join(tokens[:n])) for n in range(len(tokens) + 1)])  # in characters
    unspaced = re.search(f"[{UNSPACED}]", text) is not None
    inside = [] if unspaced else [match.start() for match in _INSIDE.finditer(text)]
    # No part comes before the end of the prefix, nor inside of a word.
    wrong = (ends < len(prefix.strip())) | np.isin(ends, inside)
    marks = np.array([not any(map(str.isalnum, token)) for token in tokens])  # [T]
    read = weights[: len(tokens), features : features + len(spans) + 1].copy()
    for at in np.flatnonzero(read.argmax(1) == len(spans)):  # the end, which tells nothing
        following = 1 + int(read[at - 1].argmax()) if at else 0
        read[at] = np.arange(len(spans) + 1) == min(following, len(spans) - 1)
    read = read[:, : len(spans)]
    words, end = Alignment(line, spans, read, marks, np.flatnonzero(~wrong)), len(text)
    for one, place in reversed(arranged(kept, words)):
        role, spaces = tag(one.text)[1], (one.before.isspace(), one.after.isspace())
        # Where the output has a space, the part comes behind it or before it, as in the source; in
        # doubt an opening tag comes behind it, all others before it.
        behind = spaces != (False, True) if role == OPENING else spaces == (True, False)
        end = min(int(ends[place]), end)
        end += behind and text[end : end + 1] == " "
        apart = role == OBJECT and not unspaced
        left = _space(text[:end][-1:], one.before, _OPENING) if apart else ""
        right = _space(text[end : end + 1], one.after, _CLOSING) if apart else ""
        text = f"{text[:end]}{left}{one.text}{right}{text[end:]}"
    return text


def _space(beside: str, before: str, attached: str) -> str:
    """What stands between a part and the character beside it in the output.

    Args:
        beside: the character; empty at an end of the output.
        before: the character beside the part in the source.
        attached: characters that stand beside a word without a space.
    """
    apart = beside.isalnum() or not (before.strip() or beside in attached)
    return " " if beside.strip() and apart and not before.isalnum() else ""


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
