"""Constraints on one output, and the step that makes forbidden next words impossible.

Among them are phrases that an output must contain, and texts that it must not. The places in the
beam go in turn to the hypotheses that lack no token of the phrases, one token, two tokens ...,
after the dynamic beam allocation of Post & Vilar 2018. A hypothesis may not end while it lacks a
token, nor grow so long that the length limit leaves no room for those it lacks.

N hypotheses   Q hypotheses of a sentence   C candidates of each   t tokens so far
V vocabulary and a source's own words
"""

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS, UNK
from dragoman.search.hypotheses import NOTHING
from dragoman.search.network import Integers, Numbers

Tokens = tuple[int, ...]
USUALLY_ADDED = 20
"""``search.max_added`` where no training pair needs more."""


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


def holds(text: str, word: str) -> bool:
    """Whether ``word`` stands in ``text`` and no letter follows it."""
    return any(begins(text[start:], word) for start in range(len(text)))


@dataclass(frozen=True, slots=True)
class Constraints:
    """Constraints on the output for one source, in target tokens."""

    source_length: int
    """Number of source tokens."""
    min_length: int
    """Minimum number of tokens before the end token."""
    max_length: int
    """Maximum number of tokens before the end token; an output that goes on is cut."""
    seed: int
    """Seed of the random draws."""
    prefix: Tokens = ()
    """The tokens that it begins with."""
    not_after_prefix: list[int] | None = None
    """Tokens that may not follow the prefix: those that would continue its last word."""
    phrases: Phrases | None = None
    """Phrases that it must contain."""
    banned: Banned | None = None
    """Texts that it must not contain."""
    own: tuple[str, ...] = ()
    """Texts of the source's own words, which have ids after the vocabulary's."""

    @property
    def by_history(self) -> bool:
        """Whether they depend on the tokens so far, so that every next word must be scored."""
        return bool(self.min_length or self.prefix or self.phrases or self.banned)


def constraints_of(options: SearchOptions, source: Source) -> Constraints:
    """The constraints that the options set for ``source``; its seed depends on these two alone."""
    tokens = len(source)
    added = USUALLY_ADDED if options.max_added == "auto" else options.max_added
    shortest, longest = round(options.min_ratio * tokens), int(options.max_ratio * tokens) + added
    seed = zlib.crc32(source.ids.tobytes(), options.sampling_seed)
    return Constraints(tokens, shortest, longest, seed)


def constrain(
    log_probs: Numbers, history: Integers, asked: Sequence[Constraints], no_repeat: int
) -> None:
    """Set the words that may not follow to minus infinity.

    The prefix takes precedence over the other constraints. Where these leave no word at all, the
    output ends.

    Args:
        log_probs: [N, V], changed in place.
        history: tokens of the hypotheses, [N, t], as
            :meth:`dragoman.search.hypotheses.Trail.history` gives them.
        asked: the constraints of each, N.
        no_repeat: length of the n-grams that may not come twice; 0: they may.
    """
    lengths = (history != NOTHING).sum(1)
    begun = [row for row, c in enumerate(asked) if lengths[row] < len(c.prefix)]
    prefix = [asked[row].prefix[lengths[row]] for row in begun]
    kept, end = log_probs[begun, prefix], log_probs[:, EOS].copy()
    if no_repeat and history.shape[1] >= no_repeat:
        _forbid_repeats(log_probs, history, asked, no_repeat)
    log_probs[np.array([c.min_length for c in asked]) > lengths, EOS] = -np.inf
    for row, c in enumerate(asked):
        if c.not_after_prefix is not None and lengths[row] == len(c.prefix):
            log_probs[row, c.not_after_prefix] = -np.inf
        if c.banned is not None:
            log_probs[row, UNK] = -np.inf  # it would be copied from the source unseen
            said = history[row, history.shape[1] - lengths[row] :]
            wanted = c.phrases.lacking(tuple(said.tolist()))[1] if c.phrases else ()
            log_probs[row, c.banned.following(said, c.own, wanted)] = -np.inf
    ending = np.flatnonzero(log_probs[:, EOS] == -np.inf)
    stuck = ending[(log_probs[ending] == -np.inf).all(1)]
    log_probs[stuck, EOS] = end[stuck]
    log_probs[begun] = -np.inf
    log_probs[begun, prefix] = kept


def _forbid_repeats(
    log_probs: Numbers, history: Integers, constraints: Sequence[Constraints], size: int
) -> None:
    """Forbid words that would repeat an n-gram, except words of the phrases that must come."""
    grams = np.lib.stride_tricks.sliding_window_view(history, size, axis=1)  # [N, t - n + 1, n]
    begun = history[:, None, history.shape[1] - size + 1 :]
    rows, places = np.nonzero((grams[:, :, :-1] == begun).all(2) & (grams[:, :, 0] != NOTHING))
    for row, token in zip(rows.tolist(), grams[rows, places, -1].tolist(), strict=True):
        phrases = constraints[row].phrases
        if phrases is None or token not in phrases.tokens:
            log_probs[row, token] = -np.inf
