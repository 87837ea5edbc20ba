"""Products of rows with a weight: ``x W' + b``.

    N rows   I inputs   O outputs   B sentences

A :data:`Product` is made from a weight once and called often. The caller of a model chooses how
its products are made and passes a :class:`Maker`:

    plain                          torch's own product; everywhere unless said otherwise
    fixed                          search: a row's numbers do not depend on the other rows
    gathered (model/gathered.py)   training loops: one gradient of the weight for a whole sequence

A BLAS takes another kernel, or splits its sums elsewhere, when a matrix has few rows, so that a
sentence gets slightly different scores alone and in a batch. With oneDNN's linear operator a row
has the same bits in every matrix of at least two rows. Measurements are in ``docs/log.md``.

All private operators of torch that the package needs for products are looked up here; where an
installation lacks one, torch's public operator takes its place.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

Product = Callable[[Tensor], Tensor]
"""Multiplies rows [..., I] by one weight, giving [..., O]."""

_ONEDNN = torch.ops.mkldnn if torch.backends.mkldnn.is_available() else None
_ONEDNN_LINEAR = getattr(_ONEDNN, "_linear_pointwise", None)
_ONEDNN_REORDER = getattr(_ONEDNN, "_reorder_linear_weight", None)
_MKL = torch.ops.mkl if torch.backends.mkl.is_available() else None
_MKL_REORDER = getattr(_MKL, "_mkl_reorder_linear_weight", None)
MKL_LINEAR = getattr(_MKL, "_mkl_linear", None)
"""MKL's product with a reordered weight: (x, reordered, weight, bias, rows); None without MKL."""


class Maker(Protocol):
    """Makes the product with one weight, which must not change as long as the product is used."""

    def __call__(self, weight: Tensor, bias: Tensor | None = None) -> Product:
        """The product with ``weight`` [O, I], plus ``bias`` [O]."""


def plain(weight: Tensor, bias: Tensor | None = None) -> Product:
    """Torch's own product with ``weight`` [O, I], plus ``bias`` [O]."""
    return partial(F.linear, weight=weight, bias=bias)


def fixed(weight: Tensor, bias: Tensor | None = None) -> Product:
    """A product in which a row's bits do not depend on the other rows, of which there must be one.

    That holds in fp32 on a processor with oneDNN; elsewhere this is :func:`plain`. The weight is
    brought into oneDNN's own order once, which makes each product a tenth to a third faster.

    Args:
        weight: [O, I].
        bias: [O].
    """
    if _ONEDNN_LINEAR is None or weight.dtype != torch.float32 or weight.device.type != "cpu":
        return plain(weight, bias)
    if len(weight) == 1:  # oneDNN is slow for one column
        return partial(_one_column, weight=weight[0], bias=bias)
    weight = weight.contiguous()  # else some columns of a larger weight take a slow path
    ordered = weight if _ONEDNN_REORDER is None else _ONEDNN_REORDER(weight)
    product = _ONEDNN_LINEAR
    return lambda x: product(x, ordered, bias, "none", [], "")


def _one_column(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``w . x + b``: [..., I], [I], [1] -> [..., 1]."""
    total = (x * weight).sum(-1, keepdim=True)
    return total if bias is None else total + bias


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
