"""The table of vectors."""

from __future__ import annotations

import torch

from dragoman.data.tokenizer import PAD
from dragoman.model.embedding import Embedding


def test_padding_is_zero_and_learns_nothing() -> None:
    table = Embedding(5, 3)
    vectors = table(torch.tensor([[4, PAD], [4, 1]]))
    assert (vectors[0, 1] == 0).all()
    (vectors + 1).sum().backward()
    expected = torch.zeros(5, 3)
    expected[4], expected[1] = 2.0, 1.0
    torch.testing.assert_close(table.weight.grad, expected)


def test_a_vector_has_length_one_on_average() -> None:
    torch.manual_seed(0)
    lengths = Embedding(4000, 30).weight.detach()[PAD + 1 :].square().sum(1)
    assert abs(float(lengths.mean()) - 1) < 0.02
