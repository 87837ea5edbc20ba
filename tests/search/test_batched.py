"""The book-keeping of batches against every hypothesis computed alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.data.source import Source
from dragoman.data.tokenizer import BOS
from dragoman.search.batched import WIDTH, BatchedScorer, padded_width
from table_network import WORDS, TableNetwork


class WideNetwork(TableNetwork):
    """Its first sentence id is its number; the others only make a source longer."""


def sources(lengths: list[int], first: int, members: int) -> list[tuple[Source, ...]]:
    return [
        tuple(
            Source(np.full(length + 3 * member, first + n, np.int32)) for member in range(members)
        )
        for n, length in enumerate(lengths)
    ]


lengths = st.lists(st.integers(1, WIDTH - 4), min_size=1, max_size=20)


@given(st.integers(0, 999), lengths, lengths, st.sampled_from([1, 2]), st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_any_way_of_hypotheses_scores_as_alone(
    seed: int, begun: list[int], later: list[int], members: int, slots: int
) -> None:
    draw = np.random.default_rng(seed)
    networks = [WideNetwork(seed + member) for member in range(members)]
    scorer, shift = BatchedScorer(*networks), WIDTH * (seed % 3)
    begun, later = ([length + shift for length in some] for some in (begun, later))  # one width
    state = scorer.start(sources(begun, 0, members), slots)
    open_ = [(n, ()) for n in range(len(begun))]  # sentence and history of each hypothesis
    last = np.full(len(begun), BOS)
    for step in range(6):
        scores, state = scorer.step(last, state)
        open_ = [(n, (*old, int(t))) for (n, old), t in zip(open_, last, strict=True)]
        for row, (number, history) in enumerate(open_):
            parts = [np.exp(one.log_probs(number, history)) for one in networks]
            np.testing.assert_allclose(np.exp(scores.log_probs[row]), np.mean(parts, 0), atol=1e-6)
        # Some sentences end, and others are continued up to `slots` times.
        parents: list[int] = []
        for number in sorted({n for n, _ in open_}):
            mine = [row for row, (n, _) in enumerate(open_) if n == number]
            parents += sorted(draw.choice(mine, draw.integers(0, slots + 1)).tolist())
        parents = parents or [0]
        state = scorer.select(state, np.array(parents))
        open_ = [open_[row] for row in parents]
        last = draw.choice(WORDS, len(parents))
        if step == 2:
            state = scorer.join(state, scorer.start(sources(later, 100, members), slots))
            open_ += [(100 + n, ()) for n in range(len(later))]
            last = np.concatenate((last, np.full(len(later), BOS)))


def test_a_width_holds_the_longest_source_and_its_end() -> None:
    for length, width in ((0, 16), (15, 16), (16, 32), (40, 48)):
        short, long = (Source(np.full(n, 5, np.int32)) for n in (0, length))
        assert padded_width((short, long)) == width == padded_width((long,))
