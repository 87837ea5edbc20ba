"""Products of 8-bit integers, for search: about four times as fast as in fp32.

    N rows   I inputs   O outputs

Each row of a weight is scaled by its own largest absolute value and rounded once; each row of an
input is scaled and rounded when it comes:

    q(x) = round(127 x / max |x|)      x W' = max |x| max |w| q(x) q(w)' / 127^2

(the symmetric scheme of Wu et al. 2020, section 3, with the range of an input taken per row). Sums
of integers are exact, so a row's numbers do not depend on the other rows. ``docs/log.md`` has what
it costs and gains.
"""

import torch
from torch import Tensor

from dragoman.errors import OptionError
from dragoman.model.linear import Product, fixed

_LARGEST = 127.0
_TINY = 1e-30
"""Keeps a row of zeros from a division by zero."""


def has_eight_bit(device: torch.device) -> bool:
    """Whether the device has instructions for products of 8-bit integers (AVX-512 VNNI).

    Without them such products are slow, and oneDNN's sums may overflow.
    """
    supported = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and bool(supported())


def require_eight_bit(device: torch.device) -> None:
    """Refuse 8-bit search on a device where it would be slow or wrong.

    Raises:
        OptionError: the device has no instructions for it.
    """
    if not has_eight_bit(device):
        what = "this processor" if device.type == "cpu" else "a graphics card"
        cause = f"{what} has no instructions for products of 8-bit numbers (AVX-512 VNNI)"
        raise OptionError(cause, place="search.int8", cure="leave it out: --no-int8")


def eight_bit(weight: Tensor, bias: Tensor | None = None) -> Product:
    """The product with ``weight`` [O, I], plus ``bias`` [O], in 8-bit integers.

    A weight with one row or one column takes fp32: one row is cheap, and torch 2.13 returns wrong
    sums for one column.
    """
    if 1 in weight.shape:
        return fixed(weight, bias)
    each = _scale(weight)
    whole, scale = (weight / each).round_().to(torch.int8).t(), each.squeeze(1)  # [I, O], [O]

    def multiply(x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        widest = _scale(rows)
        sums = torch._int_mm((rows / widest).round_().to(torch.int8), whole)  # [N, O]
        product = sums.view(torch.float32).copy_(sums).mul_(widest)  # in its place: it is large
        if bias is None:
            product.mul_(scale)
        else:
            torch.addcmul(bias, product, scale, out=product)
        return product.view(*x.shape[:-1], -1)

    return multiply


def _scale(rows: Tensor) -> Tensor:
    """The value of one integer step in each row: [N, I] -> [N, 1]."""
    return rows.abs().amax(1, keepdim=True).clamp_(min=_TINY).div_(_LARGEST)
