"""Products of 8-bit numbers, for search: about four times as fast as in fp32.

    N rows   I inputs   O outputs

Each row of a weight is scaled by its own largest value and rounded once, each row of an input when
it comes:

    q(x) = round(127 x / max |x|)      x W' = max |x| max |w| q(x) q(w)' / 127^2

(the symmetric scheme of Wu et al. 2020, section 3, with the input's range taken per row). Sums of
integers are exact, so a row's numbers do not depend on its company. What it costs and gains is in
``docs/log.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dragoman.errors import OptionError

_LARGEST = 127.0
_TINY = 1e-30
"""Keeps a row of zeros from a division by zero."""


def has_eight_bit(device: torch.device) -> bool:
    """Whether it multiplies 8-bit numbers by instructions of its own (AVX-512 VNNI).

    Without them that is slow, and oneDNN may let sums run over.
    """
    supported = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and bool(supported())


def require_eight_bit(device: torch.device) -> None:
    """Refuse to search with 8-bit numbers where that would be slow, or wrong.

    Raises:
        OptionError: it would.
    """
    if not has_eight_bit(device):
        what = "this processor" if device.type == "cpu" else "a graphics card"
        raise OptionError(
            f"{what} has no instructions for products of 8-bit numbers (AVX-512 VNNI)",
            place="search.int8",
            cure="leave it out: --no-int8",
        )


class EightBit:
    """Multiplies by one weight [O, I], which must not change; I > 1 (torch 2.13 is wrong at 1)."""

    def __init__(self, weight: Tensor) -> None:
        scale = _scale(weight)
        self.weight = (weight / scale).round_().to(torch.int8).t()  # [I, O]
        self.scale = scale.squeeze(1)  # [O]

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """``x W' + b``: [..., I], [O] -> [..., O]."""
        rows = x.reshape(-1, x.shape[-1])
        scale = _scale(rows)
        whole = (rows / scale).round_().to(torch.int8)
        sums = torch._int_mm(whole, self.weight)  # [N, O]
        product = sums.view(torch.float32).copy_(sums).mul_(scale)  # in its place: it is large
        if bias is None:
            product.mul_(self.scale)
        else:
            torch.addcmul(bias, product, self.scale, out=product)
        return product.view(*x.shape[:-1], -1)


def _scale(rows: Tensor) -> Tensor:
    """What one step of the whole numbers stands for in each row: [N, I] -> [N, 1]."""
    return rows.abs().amax(1, keepdim=True).clamp_(min=_TINY).div_(_LARGEST)
