"""Dropout against what its definition says of every value."""

from __future__ import annotations

import pytest
import torch

from dragoman.model.embedding import dropout


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_values_are_dropped_at_random_and_the_others_scaled(share: float) -> None:
    torch.manual_seed(0)
    x = torch.full((77, 31, 129), 3.0, requires_grad=True)  # no multiple of four values
    y = dropout(x, share, training=True)
    kept = y != 0
    scaled = torch.full_like(y[kept], 3 / (1 - share))
    torch.testing.assert_close(y[kept], scaled, rtol=2e-4, atol=0)
    deviation = (share * (1 - share) / y.numel()) ** 0.5
    assert abs(float((~kept).double().mean()) - share) < 4 * deviation + 2**-17
    # Neighbours share the bits of one random number, and must not know of each other.
    flat = kept.flatten().double() - kept.double().mean()
    for distance in (1, 2, 3, 4):
        together = float((flat[distance:] * flat[:-distance]).mean())
        assert abs(together) < 5 * share * (1 - share) / y.numel() ** 0.5
    (y * 2).sum().backward()
    torch.testing.assert_close(x.grad, y.detach() * 2 / 3)


def test_the_seed_decides_and_each_call_draws_anew() -> None:
    x = torch.ones(1001)
    torch.manual_seed(5)
    first, second = dropout(x, 0.3, training=True), dropout(x, 0.3, training=True)
    torch.manual_seed(5)
    torch.testing.assert_close(dropout(x, 0.3, training=True), first, rtol=0, atol=0)
    assert not torch.equal(first, second)


def test_a_rounded_share_leaves_the_mean_as_it_was() -> None:
    torch.manual_seed(0)
    share = 1 - 1 / 50_000  # 1/65,536 of the values are kept, each 65,536 times as large
    y = dropout(torch.ones(1 << 22), share, training=True)
    assert set(y.unique().tolist()) == {0.0, 65536.0}
    assert float(y.mean()) == pytest.approx(1, abs=0.6)


@pytest.mark.parametrize(("share", "training"), [(0.0, True), (0.5, False)])
def test_nothing_is_dropped_outside_training(share: float, training: bool) -> None:
    x = torch.randn(5, 7)
    assert dropout(x, share, training=training) is x
