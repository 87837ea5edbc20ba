"""What is asked of one output, and the rules that follow from it: scores of words ruled out.

N hypotheses   V vocabulary   t tokens so far
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dragoman.config.options import SearchOptions
from dragoman.data.tokenizer import EOS, UNK, Ids
from dragoman.search.constraints import Never, Phrases
from dragoman.search.trail import NOTHING, Integers, Open

LogProbs = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of the output for one source, in target tokens."""

    source: int
    """Tokens of the source."""
    least: int
    """Fewest tokens before the end."""
    most: int
    """Most tokens before the last."""
    seed: int
    """Of what is drawn at random."""
    prefix: tuple[int, ...] = ()
    """How it begins."""
    must: Phrases | None = None
    """What it must hold."""
    never: Never | None = None
    """What it must not hold."""


def plain_demand(options: SearchOptions, source: Ids) -> Demand:
    """What the options ask of the output for ``source``; its seed depends on nothing else."""
    tokens = len(source)
    least, most = round(options.min_ratio * tokens), int(options.max_ratio * tokens) + 20
    return Demand(tokens, least, most, zlib.crc32(source.tobytes(), options.sampling_seed))


class Rules:
    """The demands of a batch that rule out words, one step after another."""

    def __init__(self, options: SearchOptions, demands: Sequence[Demand]) -> None:
        self.demands, self.no_repeat = demands, options.no_repeat
        self.least = np.array([demand.least for demand in demands])
        self.active = bool(
            self.no_repeat
            or self.least.any()
            or any(d.prefix or d.must or d.never for d in demands)
        )

    def apply(self, log_probs: LogProbs, now: Open, history: Integers) -> None:
        """Set what must not follow ``history`` [N, t] to minus infinity in ``log_probs`` [N, V]."""
        if self.no_repeat and history.shape[1] >= self.no_repeat:
            self._no_repeats(log_probs, now, history)
        log_probs[self.least[now.sentences] > now.lengths, EOS] = -np.inf
        for row, (sentence, length) in enumerate(zip(now.sentences, now.lengths, strict=True)):
            demand = self.demands[sentence]
            if length < len(demand.prefix):
                token = demand.prefix[length]
                kept = log_probs[row, token].copy()
                log_probs[row] = -np.inf
                log_probs[row, token] = kept
            elif demand.never is not None:
                log_probs[row, UNK] = -np.inf  # it would be copied from the source unseen
                said = history[row, history.shape[1] - length :]
                log_probs[row, demand.never.completing(said)] = -np.inf

    def _no_repeats(self, log_probs: LogProbs, now: Open, history: Integers) -> None:
        """Rule out the ends of n-grams that are already there; what must come may come again."""
        size = self.no_repeat
        grams = np.lib.stride_tricks.sliding_window_view(history, size, axis=1)  # [N, t - n + 1, n]
        begun = history[:, None, history.shape[1] - size + 1 :]
        again = (grams[:, :, :-1] == begun).all(2) & (grams[:, :, 0] != NOTHING)
        rows, places = np.nonzero(again)
        for row, token in zip(rows, grams[rows, places, -1], strict=True):
            must = self.demands[now.sentences[row]].must
            if must is None or token not in must.tokens:
                log_probs[row, token] = -np.inf
