"""Beam search over a batch; with a beam of one it is greedy search.

B sentences still open   Q beam   V vocabulary   C = 2 Q candidates
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dragoman.config import SearchOptions
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK, Ids
from dragoman.scorer import Scorer

NEVER = (PAD, UNK, BOS)
"""Tokens that are no text: no hypothesis contains them."""
_BLOCK = 64
"""Scores are searched for their largest in blocks of so many."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One output for one source."""

    ids: tuple[int, ...]
    """Target ids, without begin and end tokens."""
    log_prob: float
    """Natural logarithm of its probability, end token included."""
    score: float
    """``log_prob / length ** length_penalty``, by which hypotheses are ranked; the length counts
    the end token (Wu 2016, section 7, without its constant)."""
    complete: bool
    """It ended by itself, not at the length limit."""
    weights: npt.NDArray[np.float32] | None
    """Attention over the source at each of its tokens and, if it is complete, the end: [T + 1, S]
    or [T, S]; None unless asked for."""


@dataclass(slots=True)
class _Open:
    """The hypotheses of all sentences that are still being extended."""

    sentences: npt.NDArray[np.int64]  # [B] index into the batch
    limits: npt.NDArray[np.int64]  # [B] most tokens before the last
    log_probs: npt.NDArray[np.float64]  # [B, Q]
    history: npt.NDArray[np.int64]  # [B, Q, t]
    weights: npt.NDArray[np.float32] | None  # [B, Q, t, S]
    found: list[list[Hypothesis]] = field(default_factory=list)  # of every sentence of the batch


def beam_search(
    scorer: Scorer[Any], sources: Sequence[Ids], options: SearchOptions, *, attention: bool = False
) -> list[list[Hypothesis]]:
    """Find the best outputs of a batch.

    A sentence is done when as many hypotheses as the beam is wide have ended, or when none that
    is open can still beat the best that has. Ties go to the lower token.

    Args:
        scorer: the model.
        sources: ids of each source, of one :meth:`Scorer.width`.
        options: beam, length penalty and limit.
        attention: keep the attention weights.

    Returns:
        For each source its hypotheses, best first: at least one, at most ``options.beam``.
    """
    state = scorer.start(sources)
    batch = len(sources)
    limits = np.array([int(options.max_ratio * len(ids)) + 20 for ids in sources])
    now = _Open(
        np.arange(batch), limits, np.zeros((batch, 1)), np.zeros((batch, 1, 0), np.int64), None,
        [[] for _ in sources],
    )  # fmt: skip
    tokens = np.full((batch, 1), BOS, dtype=np.int64)
    while True:
        scores, state = scorer.step(tokens, state)
        if attention and scores.weights is not None:
            last = scores.weights[:, :, None]
            old = now.weights
            now.weights = last if old is None else np.concatenate((old, last), 2)
        totals, parents, tokens = _candidates(scores.log_probs, now.log_probs, 2 * options.beam)
        _collect(now, totals, parents, tokens, options)
        parents, tokens = _extend(now, totals, parents, tokens, options.beam)
        going = _unfinished(now, options)
        if not len(going):
            break
        everything = len(going) == len(now.sentences)
        if not everything:
            parents, tokens = parents[going], tokens[going]
            _keep(now, going)
        state = scorer.select(state, None if everything else going, parents)
    return [sorted(found, key=lambda h: -h.score)[: options.beam] for found in now.found]


def _candidates(
    log_probs: npt.NDArray[np.float32], totals: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The best continuations of each sentence: totals, parents and tokens, [B, C], best first."""
    log_probs[..., list(NEVER)] = -np.inf
    batch, queries, vocabulary = log_probs.shape
    best = largest(log_probs.reshape(batch * queries, vocabulary), count)  # [BQ, C]
    best = best.reshape(batch, queries, -1)
    width = best.shape[2]
    all_totals = totals[:, :, None] + np.take_along_axis(log_probs, best, 2)
    all_totals = all_totals.reshape(batch, -1)
    order = np.argsort(-all_totals, axis=1, kind="stable")[:, :count]
    return (
        np.take_along_axis(all_totals, order, 1),
        order // width,
        np.take_along_axis(best.reshape(batch, -1), order, 1),
    )


def largest(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """Columns of the ``count`` largest values of each row, largest first, ties to the left.

    The largest values lie in the blocks with the largest maxima: only those are sorted.
    """
    rows, columns = values.shape
    count = min(count, columns)
    if columns > 4 * count * _BLOCK:
        blocks = columns // _BLOCK
        maxima = values[:, : blocks * _BLOCK].reshape(rows, blocks, _BLOCK).max(2)
        # A stable order keeps the leftmost of equal blocks; what is left of the row is always read.
        chosen = np.sort(np.argsort(-maxima, axis=1, kind="stable")[:, :count], axis=1)
        near = (chosen[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(rows, -1)
        rest = np.broadcast_to(np.arange(blocks * _BLOCK, columns), (rows, columns % _BLOCK))
        near = np.concatenate((near, rest), 1)
        inside = np.argsort(-np.take_along_axis(values, near, 1), axis=1, kind="stable")
        return np.take_along_axis(near, inside[:, :count], 1)
    return np.argsort(-values, axis=1, kind="stable")[:, :count]


def _collect(
    now: _Open,
    totals: npt.NDArray[np.float64],
    parents: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int64],
    options: SearchOptions,
) -> None:
    """Put aside the candidates that end here: by the end token, or at the length limit."""
    length = now.history.shape[2]
    at_limit = (length >= now.limits)[:, None]
    ends = ((tokens == EOS) | at_limit)[:, : options.beam] & np.isfinite(totals[:, : options.beam])
    for row, column in np.argwhere(ends):
        parent, total = parents[row, column], float(totals[row, column])
        complete = bool(tokens[row, column] == EOS)
        ids = now.history[row, parent].tolist()
        if not complete:
            ids.append(int(tokens[row, column]))
        weights = None if now.weights is None else now.weights[row, parent].copy()
        score = total / (length + 1) ** options.length_penalty
        hypothesis = Hypothesis(tuple(ids), total, score, complete, weights)
        now.found[now.sentences[row]].append(hypothesis)


def _extend(
    now: _Open,
    totals: npt.NDArray[np.float64],
    parents: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int64],
    beam: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Make the best candidates that go on the open hypotheses; returns parents, tokens [B, Q]."""
    ended = tokens == EOS
    on = np.argsort(ended, axis=1, kind="stable")[:, :beam]
    totals = np.where(ended, -np.inf, totals)
    now.log_probs = np.take_along_axis(totals, on, 1)
    parents, tokens = np.take_along_axis(parents, on, 1), np.take_along_axis(tokens, on, 1)
    old = np.take_along_axis(now.history, parents[:, :, None], 1)
    now.history = np.concatenate((old, tokens[:, :, None]), 2)
    if now.weights is not None:
        now.weights = np.take_along_axis(now.weights, parents[:, :, None, None], 1)
    return parents, tokens


def _unfinished(now: _Open, options: SearchOptions) -> npt.NDArray[np.int64]:
    """Rows of ``now`` whose sentences go on."""
    length = now.history.shape[2]
    going = []
    for row, (sentence, limit) in enumerate(zip(now.sentences, now.limits, strict=True)):
        found = now.found[sentence]
        hopeful = now.log_probs[row].max()
        if length > limit or len(found) >= options.beam or hopeful == -np.inf:
            continue
        # Log-probabilities only fall: the best that can come is today's at the greatest length.
        bound = hopeful / (limit + 1) ** options.length_penalty
        if not found or bound > max(h.score for h in found):
            going.append(row)
    return np.array(going, dtype=np.int64)


def _keep(now: _Open, rows: npt.NDArray[np.int64]) -> None:
    now.sentences, now.limits = now.sentences[rows], now.limits[rows]
    now.log_probs, now.history = now.log_probs[rows], now.history[rows]
    if now.weights is not None:
        now.weights = now.weights[rows]
