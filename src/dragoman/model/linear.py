"""Products of rows with a weight: ``x W' + b``.

    N rows   I inputs   O outputs   B sentences

A :data:`Product` is made from a weight once and called often, by a :data:`Maker`:

    plain                          torch's own product; everywhere unless said otherwise
    gathered (model/gathered.py)   loops over time: one gradient of the weight for a whole sequence

All private operators of torch that the package needs for products are looked up here; where an
installation lacks one, torch's public operator takes its place.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

Product = Callable[[Tensor], Tensor]
"""Multiplies rows [..., I] by one weight, giving [..., O]."""
Maker = Callable[[Tensor, Tensor | None], Product]
"""Makes the product with a weight [O, I] plus a bias [O] or none, which must not change as long as
the product is used."""

_MKL = torch.ops.mkl if torch.backends.mkl.is_available() else None
_MKL_REORDER = getattr(_MKL, "_mkl_reorder_linear_weight", None)
MKL_LINEAR = getattr(_MKL, "_mkl_linear", None)
"""MKL's product with a reordered weight: (x, reordered, weight, bias, rows); None without MKL."""


def plain(weight: Tensor, bias: Tensor | None = None) -> Product:
    """Torch's own product with ``weight`` [O, I], plus ``bias`` [O]."""
    return partial(F.linear, weight=weight, bias=bias)


def matmul(matrix: Tensor) -> Product:
    """``x M`` with a matrix [I, O], or with one matrix a sentence, [B, I, O]."""
    return lambda x: x @ matrix


def reordered(matrix: Tensor, rows: int) -> Product:
    """``x M`` for many products of the same size, without a gradient.

    In fp32 on a processor the matrix is brought into MKL's own order once: a product of 64 rows
    then takes a fifth less time, one of 32 rows half (``docs/log.md``).

    Args:
        matrix: [I, O] or [B, I, O].
        rows: N, the number of rows of every ``x``.
    """
    fits = matrix.dim() == 2 and matrix.dtype == torch.float32 and matrix.device.type == "cpu"
    if _MKL_REORDER is None or MKL_LINEAR is None or not fits:
        return matmul(matrix)
    weight = matrix.t().contiguous()  # often the transposed view of a weight: then no copy
    ordered, product = _MKL_REORDER(weight, rows), MKL_LINEAR
    return lambda x: product(x, ordered, weight, None, rows)
