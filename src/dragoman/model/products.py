"""Products of rows with a weight, whose numbers do not depend on how many rows there are.

    N rows   I inputs   O outputs

A BLAS takes another kernel, or cuts its sums elsewhere, when a matrix has few rows; then a
sentence would be scored a little differently alone than in company. oneDNN's linear operator gives
a row the same bits from two rows on, so search (inference mode, fp32, on a processor) uses it.
Training uses what is fastest. Measured in ``docs/log.md``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch._C._has_mkldnn else None


def in_search(x: Tensor) -> bool:
    """Whether ``x`` is being searched with where rows must not depend on their company."""
    return (
        _ONEDNN is not None
        and torch.is_inference_mode_enabled()
        and x.dtype == torch.float32
        and x.device.type == "cpu"
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W' + b``: [..., I], [O, I], [O] -> [..., O]."""
    if in_search(x) and len(weight) == 1:  # a sum per row; oneDNN is slow for one column
        total = (x * weight[0]).sum(-1, keepdim=True)
        return total if bias is None else total + bias
    if in_search(x):
        assert _ONEDNN is not None
        # Strided weights (the columns of one part of the input) would take its slow path.
        result: Tensor = _ONEDNN(x, weight.contiguous(), bias, "none", [], "")
        return result
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        return linear(x, self.weight, self.bias)


def recurrent(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """What multiplies the states of D directions by their weights at every step.

    Args:
        weight: [D, O, I].

    Returns:
        A function [D, N, I] -> [D, N, O].
    """
    if in_search(weight):
        return lambda h: torch.stack([linear(*pair) for pair in zip(h, weight, strict=True)])
    across = weight.transpose(1, 2).contiguous()  # [D, I, O]: a quarter faster than a view
    return lambda h: torch.bmm(h, across)
