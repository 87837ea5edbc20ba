"""Chooses which continuations of the open hypotheses go on: the best of a beam, or random ones.

B sentences   N hypotheses   Q most hypotheses of one sentence   C candidates of one hypothesis
M chosen continuations   V vocabulary
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.search.constraints import Constraints, Tokens
from dragoman.search.hypotheses import NOTHING, Frontier
from dragoman.search.network import WITHOUT_WEIGHT, Integers, Numbers, Scores

Asked = tuple[Constraints, list[int]]
"""The constraints of a hypothesis, and its tokens so far; :data:`NOTHING` is none."""
_BLOCK = 64
"""Scores are searched for their largest in blocks of so many."""


def best_continuations(
    scores: Scores, frontier: Frontier, room: Integers, asked: list[Asked], options: SearchOptions
) -> Frontier:
    """The best continuations of each sentence, one step of a beam search.

    Args:
        scores: of every next word, or of the ``options.beam`` best ones.
        frontier: the N hypotheses.
        room: how many continuations each sentence at work may keep.
        asked: of each hypothesis, N; empty where no words must come.
        options: with the beam and ``diversity``.
    """
    said, wanted = dict[int, Tokens](), dict[int, list[int]]()  # by hypothesis
    for n, (one, so_far) in enumerate(asked):
        if one.phrases:
            said[n] = tuple(i for i in so_far if i != NOTHING)
            wanted[n] = one.phrases.lacking(said[n])[1]
    tokens, steps = _candidates(scores, options.beam, wanted)
    totals = frontier.log_probs[:, None] + steps  # [N, C]
    first = starts(frontier.sentences)
    counts = np.diff(first, append=len(totals))
    row = np.repeat(np.arange(len(first)), counts)
    columns = totals.shape[1]
    grid = np.full((len(first), int(counts.max()), columns), -np.inf)  # [B, Q, C]
    grid[row, np.arange(len(row)) - first[row]] = totals
    if options.diversity:  # Li, Monroe & Jurafsky 2016, eq. 3: the n-th child of a parent loses n
        grid -= options.diversity * np.isfinite(grid).cumsum(2)
    flat = grid.reshape(len(first), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, : options.beam]
    best = np.take_along_axis(flat, order, 1)
    kept = best > best[:, :1] + WITHOUT_WEIGHT / 2  # words of probability 0 only without others
    for i, start in enumerate(first.tolist() if said else ()):
        (one, _), mine = asked[start], range(start, start + counts[i])
        if one.phrases is None:
            continue
        left, histories = one.max_length - len(said[start]), [said[n] for n in mine]
        ranked = one.phrases.ranked(totals[mine], tokens[mine], histories, left)[: options.beam]
        kept[i] = np.arange(order.shape[1]) < len(ranked)
        order[i, : len(ranked)] = ranked
    kept &= np.arange(order.shape[1]) < room[frontier.sentences[first], None]
    row, place = np.nonzero(kept)
    cell = order[row, place]
    parents, column = first[row] + cell // columns, cell % columns
    return frontier.grown(totals[parents, column], parents, tokens[parents, column])


def _candidates(
    scores: Scores, count: int, wanted: Mapping[int, Sequence[int]]
) -> tuple[Integers, Numbers]:
    """The ``count`` best next tokens of each hypothesis, then those it lacks, and their
    log-probabilities: [N, C], [N, C]."""
    steps, tokens = scores.log_probs, scores.tokens
    if tokens is not None:
        return tokens, steps
    tokens = largest(steps, count)
    more = np.zeros((len(tokens), max(map(len, wanted.values()), default=0)), np.int64)
    for row, lacking in wanted.items():
        new = [token for token in dict.fromkeys(lacking) if token not in tokens[row]]
        more[row, : len(new)] = new
    tokens = np.concatenate((tokens, more), 1)
    return tokens, np.take_along_axis(steps, tokens, 1)  # the filling, token 0, is never said


def drawn_continuations(
    scores: Scores, frontier: Frontier, random: list[np.random.Generator], options: SearchOptions
) -> Frontier:
    """Draw one continuation of each hypothesis; a sentence's draws do not depend on others.

    Args:
        scores: of every next word, or of the ``options.top_k`` most probable ones.
        frontier: the N hypotheses.
        random: the generator of every sentence at work.
        options: with ``temperature``, ``top_k``, ``top_p`` and ``n_best``.
    """
    rows = np.arange(len(frontier.sentences))
    sentences, first, row = np.unique(frontier.sentences, return_index=True, return_inverse=True)
    numbers = np.stack([random[i].random(options.n_best) for i in sentences])
    uniform = numbers[row, rows - first[row]]
    steps, tokens = scores.log_probs.astype(np.float64), scores.tokens
    if options.top_k and tokens is None:
        tokens = largest(steps, options.top_k)
        steps = np.take_along_axis(steps, tokens, 1)
    column = draw(steps / options.temperature, uniform, options.top_p)
    chosen = column if tokens is None else tokens[rows, column]
    totals = frontier.log_probs + steps[rows, column]
    finite = np.isfinite(totals)
    return frontier.grown(totals[finite], rows[finite], chosen[finite])


def draw(logits: Numbers, uniform: Numbers, top_p: float) -> Integers:
    """Draw one column of each row of ``logits`` [N, C] by the number ``uniform`` [N] in [0, 1).

    With ``top_p`` below 1 from the fewest columns that together have at least that probability
    (Holtzman 2020).
    """
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    if top_p < 1:
        order = np.argsort(-shares, axis=1, kind="stable")
        ordered = np.take_along_axis(shares, order, 1)
        before = ordered.cumsum(1) - ordered
        np.put_along_axis(shares, order, np.where(before < top_p, ordered, 0.0), 1)
    sums = shares.cumsum(1)
    return np.asarray((sums <= uniform[:, None] * sums[:, -1:]).sum(1), dtype=np.int64)


def largest(values: Numbers, count: int) -> Integers:
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


def starts(numbers: Integers) -> Integers:
    """Where each run of equal numbers begins in ``numbers`` [N]: [number of runs]."""
    begins = np.ones(len(numbers), np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=begins[1:])  # 15 times as fast as np.diff
    return np.flatnonzero(begins)
