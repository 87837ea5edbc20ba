"""Constraints on one output, and the step that makes forbidden next words impossible.

N hypotheses   V vocabulary and a source's own words   t tokens so far
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS, UNK
from dragoman.search.hypotheses import NOTHING
from dragoman.search.network import Integers, Numbers
from dragoman.search.phrases import Banned, Phrases, Tokens

USUALLY_ADDED = 20
"""``search.max_added`` where no training pair needs more."""


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
