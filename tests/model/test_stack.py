"""What stands between two layers: worked out from the paper's formulas, by another way."""

from __future__ import annotations

import torch
from torch import nn

from tiny import BATCH, HIDDEN, TARGET, tiny_model


def built_stack(**options: bool) -> nn.ModuleList:
    """The three layers of an encoder."""
    shape = {"cell": "rnn", "encoder_layers": 3, "bidirectional": False, "embedding": HIDDEN}
    return tiny_model(**shape, **options).encoder.layers  # type: ignore[return-value]


def run(built: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
    for layer in built:
        x = layer.leave(x, layer.scan(layer.enter(x))[0])
    return x


def test_residual_and_norm_are_those_of_the_papers() -> None:
    built = built_stack(residual=True, layer_norm=True)
    x = torch.sin(torch.arange(BATCH * TARGET * HIDDEN, dtype=torch.float64)).view(
        BATCH, TARGET, HIDDEN
    )
    expected = x
    for number, layer in enumerate(built):
        entering = expected
        if number:
            norm = layer.norm
            mean = entering.mean(-1, keepdim=True)
            variance = ((entering - mean) ** 2).mean(-1, keepdim=True)
            entering = (entering - mean) / torch.sqrt(variance + 1e-5) * norm.weight + norm.bias
        reference = nn.RNN(HIDDEN, HIDDEN, batch_first=True).double()
        reference.weight_ih_l0.data = layer.weight_input[0].data
        reference.weight_hh_l0.data = layer.weight_hidden[0].data
        reference.bias_ih_l0.data = layer.bias[0].data
        reference.bias_hh_l0.data.zero_()
        out = reference(entering)[0]
        expected = expected + out if number else out  # the first layer reads embeddings
    torch.testing.assert_close(run(built, x), expected, rtol=0, atol=1e-10)


def test_without_options_layers_are_chained() -> None:
    built = built_stack()
    x = torch.cos(torch.arange(BATCH * TARGET * HIDDEN, dtype=torch.float64)).view(
        BATCH, TARGET, HIDDEN
    )
    expected = x
    for layer in built:
        expected = layer.scan(expected)[0]
    torch.testing.assert_close(run(built, x), expected, rtol=0, atol=0)
