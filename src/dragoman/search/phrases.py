"""Phrases that an output must contain, and texts that it must not.

The places in the beam go in turn to the hypotheses that lack no token of the phrases, one token,
two tokens ..., after the dynamic beam allocation of Post & Vilar 2018. A hypothesis may not end
while it lacks a token, nor grow so long that the length limit leaves no room for those it lacks.

Q hypotheses of a sentence   C candidates of each   V vocabulary
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import count

import numpy as np

from dragoman.data.tokenizer import EOS
from dragoman.search.network import Integers, Numbers

Tokens = tuple[int, ...]


class Phrases:
    """Token sequences that an output must contain: one of every group.

    Args:
        groups: the sequences; those of a group are forms of one phrase.
        starts: tokens that begin a word, if words may have several tokens: a phrase counts only if
            no other token continues its last word ("cat" + "egory"). None: any token may follow.
    """

    def __init__(self, groups: Sequence[Sequence[Tokens]], starts: frozenset[int] | None) -> None:
        self.groups, self.starts = tuple(dict.fromkeys(map(tuple, groups))), starts
        self.tokens = frozenset(i for forms in self.groups for form in forms for i in form)

    def __len__(self) -> int:
        """The most tokens that they need together."""
        return sum(max(map(len, forms)) for forms in self.groups)

    def lacking(self, history: Tokens) -> tuple[int, list[int]]:
        """How many tokens ``history`` lacks, and the next token of each sequence it may lack."""
        lacking = begun = 0
        following = []
        for forms in self.groups:
            if any(self.holds(history, form) for form in forms):
                continue
            fewest = min(map(len, forms))
            lacking += fewest
            for form in forms:
                there = min(len(form) - 1, len(history))
                while history[len(history) - there :] != form[:there]:
                    there -= 1
                begun = max(begun, fewest - len(form) + there)
                following.append(form[there])
        return lacking - begun, following

    def holds(self, history: Tokens, phrase: Tokens) -> bool:
        """Whether ``history`` contains ``phrase``, and no other token continues its last word."""
        size = len(phrase)
        return any(
            history[end - size : end] == phrase
            and (self.starts is None or end == len(history) or history[end] in self.starts)
            for end in range(size, len(history) + 1)
        )

    def ranked(
        self, totals: Numbers, tokens: Integers, histories: Sequence[Tokens], left: int
    ) -> Integers:
        """Candidates in the order in which they get a place in the beam.

        Args:
            totals: log-probability of each candidate, [Q, C]; minus infinity: none.
            tokens: [Q, C].
            histories: the tokens of each hypothesis.
            left: tokens that may still follow a candidate.

        Returns:
            Indices into Q x C, without the candidates that may not be taken.
        """
        lacks = np.full(totals.shape, -1)
        for row, column in np.argwhere(np.isfinite(totals)).tolist():
            token, history = int(tokens[row, column]), histories[row]
            ended = token == EOS
            lacks[row, column] = self.lacking(history if ended else (*history, token))[0]
            if ended and lacks[row, column]:
                lacks[row, column] = -1
        within = lacks <= left
        if (within & (lacks >= 0)).any():  # else there was too little room from the beginning
            lacks[~within] = -1
        if (lacks < 0).all():  # only an end is left: better an output that lacks words than none
            lacks[np.isfinite(totals)] = 0
        places = sorted(np.flatnonzero(lacks >= 0), key=lambda at: -totals.flat[at])
        # Banks take turns: the best candidate of each, then the second of each, and so on.
        turns, banks = defaultdict[int, Iterator[int]](count), lacks.flat
        keys = [(next(turns[banks[at]]), banks[at], at) for at in places]
        return np.array([at for _, _, at in sorted(keys)], dtype=np.int64)


class Banned:
    """Texts that an output may not contain as words, whatever tokens spell them.

    Args:
        pieces: the text of every token of the vocabulary, the space before it included.
        texts: what is banned, written in the same way.
    """

    def __init__(self, pieces: Sequence[str], texts: Sequence[str]) -> None:
        self._pieces, self._texts = pieces, tuple(texts)
        self._longest = max(map(len, texts))
        self._ends = [
            (text[:cut], text[cut:], [i for i, one in enumerate(pieces) if begins(one, text[cut:])])
            for text in texts
            for cut in range(len(text))
        ]
        self._apart = [i for i, piece in enumerate(pieces) if not piece[:1].isalnum()]

    def following(
        self, history: Integers, own: Sequence[str], wanted: Collection[int]
    ) -> list[int]:
        """Tokens that may not follow ``history`` [t]: those that complete one of the texts.

        A token of a phrase that must come ("cat" of "category") is allowed although it completes a
        banned text; a letter must then follow it.

        Args:
            history: the tokens so far.
            own: texts of the ids from V on, the words that only the source has.
            wanted: next tokens of the phrases that must still come.
        """
        known = len(self._pieces)
        last = history[-self._longest :].tolist()
        said = "".join(self._pieces[i] if i < known else own[i - known] for i in last)
        found = []
        for head, rest, ids in self._ends:
            if said.endswith(head):
                found += [i for i in ids if i not in wanted]
                found += [known + n for n, word in enumerate(own) if begins(word, rest)]
        if any(said.endswith(text) for text in self._texts):
            found += self._apart
            found += [known + n for n, word in enumerate(own) if not word[:1].isalnum()]
        return found


def begins(text: str, word: str) -> bool:
    """Whether ``text`` is ``word``, or goes on after it with something that is no letter."""
    return text.startswith(word) and not text[len(word) : len(word) + 1].isalnum()


def contains(text: str, word: str) -> bool:
    """Whether ``word`` stands in ``text`` and no letter follows it."""
    return any(begins(text[start:], word) for start in range(len(text)))
