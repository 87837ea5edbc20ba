"""Words that an output must hold, or must not.

What must come in shares the beam: its places go in turn to the hypotheses that lack nothing, one
token, two tokens ..., after the dynamic beam allocation of Post & Vilar 2018. A hypothesis may not
end before it lacks nothing, and never takes a token that leaves too few for what it lacks.

Q hypotheses of a sentence   C candidates of each
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dragoman.data.tokenizer import EOS

Tokens = tuple[int, ...]


class Phrases:
    """Token sequences that an output must hold.

    Args:
        phrases: the sequences.
        starts: tokens that begin a word, where words have several: a phrase that another token
            carries on ("cat" + "egory") is not there. None: any token may follow.
    """

    def __init__(self, phrases: Sequence[Tokens], starts: frozenset[int] | None = None) -> None:
        self.phrases, self.starts = tuple(dict.fromkeys(phrases)), starts
        self.tokens = frozenset(token for phrase in phrases for token in phrase)

    def lacking(self, history: Tokens) -> tuple[int, list[int]]:
        """How many tokens ``history`` lacks, and those that would bring it nearer."""
        lacking = begun = 0
        following = []
        for phrase in self.phrases:
            if self._holds(history, phrase):
                continue
            reach = min(len(phrase) - 1, len(history))
            there = next(
                n for n in range(reach, -1, -1) if history[len(history) - n :] == phrase[:n]
            )
            lacking, begun = lacking + len(phrase), max(begun, there)
            following.append(phrase[there])
        return lacking - begun, following

    def _holds(self, history: Tokens, phrase: Tokens) -> bool:
        size = len(phrase)
        return any(
            history[end - size : end] == phrase
            and (self.starts is None or end == len(history) or history[end] in self.starts)
            for end in range(size, len(history) + 1)
        )

    def ranked(
        self,
        totals: npt.NDArray[np.float64],
        tokens: npt.NDArray[np.int64],
        histories: Sequence[Tokens],
        left: int,
    ) -> npt.NDArray[np.int64]:
        """Candidates in the order in which they get a place in the beam.

        Args:
            totals: log-probability of each candidate, [Q, C]; minus infinity: none.
            tokens: [Q, C].
            histories: the tokens of each hypothesis.
            left: tokens that may still follow a candidate.

        Returns:
            Indices into Q x C; those that may not be taken are left out.
        """
        lacks = np.full(totals.shape, -1)
        for row, column in np.argwhere(np.isfinite(totals)):
            token, history = int(tokens[row, column]), histories[row]
            ended = token == EOS
            lacks[row, column] = self.lacking(history if ended else (*history, token))[0]
            if ended and lacks[row, column]:
                lacks[row, column] = -1
        within = lacks <= left
        if (within & (lacks >= 0)).any():  # else there was too little room from the beginning
            lacks[~within] = -1
        places = sorted(np.flatnonzero(lacks >= 0), key=lambda at: -totals.flat[at])
        turns: dict[int, int] = {}
        keys = []
        for at in places:
            bank = int(lacks.flat[at])
            turns[bank] = turns.get(bank, -1) + 1
            keys.append((turns[bank], bank, at))
        return np.array([at for _, _, at in sorted(keys)], dtype=np.int64)


class Never:
    """Texts that no output may hold, whatever tokens spell them.

    Args:
        pieces: the text of every token, the space before it included.
        texts: what is ruled out, written in the same way.
    """

    def __init__(self, pieces: Sequence[str], texts: Sequence[str]) -> None:
        self._pieces = pieces
        self._longest = max(map(len, texts))
        self._endings = [
            (text[:cut], ids)
            for text in texts
            for cut in range(len(text))
            if len(ids := _beginning_with(pieces, text[cut:]))
        ]

    def completing(self, history: npt.NDArray[np.int64]) -> list[int]:
        """Tokens that would complete one of the texts after ``history`` [t]."""
        known = len(self._pieces)  # words copied from the source have ids beyond
        last = history[-self._longest :]
        said = "".join(self._pieces[token] if token < known else " " for token in last)
        return [i for head, ids in self._endings if said.endswith(head) for i in ids]


def _beginning_with(pieces: Sequence[str], text: str) -> list[int]:
    """Tokens whose text is ``text``, alone or followed by something that is no letter."""
    size = len(text)
    return [
        i
        for i, piece in enumerate(pieces)
        if piece.startswith(text) and not piece[size : size + 1].isalnum()
    ]
