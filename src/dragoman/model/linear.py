"""Products of rows with a weight: ``x W' + b``.

    N rows   I inputs   O outputs   B sentences   T steps

:func:`linear` multiplies all positions of a batch at once. For loops over time, and attention, a
:data:`Product` is made from a weight once and called often: :func:`gathered` forms one gradient of
the weight a sequence.

A decoder that feeds attention back multiplies by the same weights at every step. Autograd would
form a gradient of each whole weight at every step and add up T of them. With ``gathered`` each
step's backward pass keeps its two factors, and one product over all steps forms the gradient at the
end, which makes training of such decoders 19 % faster (``docs/log.md``):

    dM = sum over steps t of x_t' dy_t = X' dY        X: the x_t, dY: the dy_t, one below another
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = 64
"""Compiled products have a multiple of so many rows: 3 % more than a batch of 1,000 tokens has."""

Product = Callable[[Tensor], Tensor]
"""Multiplies rows [..., I] by one weight, giving [..., O]."""


def filled(rows: Tensor) -> Tensor:
    """Put zeros below rows [..., N, I], where a product with them is compiled, to :data:`ROWS`.

    On a processor oneDNN multiplies bf16, and fp32 where a training allows it to. It compiles a
    program for every new shape and keeps 1,024 of them. The numbers of tokens differ from batch to
    batch: with AMX it compiled for a tenth of a training's time, and kept 1.5 GB (docs/log.md).
    """
    device = rows.device.type
    if torch.is_autocast_enabled(device):
        rows = rows.to(torch.get_autocast_dtype(device))
    rounds = rows.dtype == torch.bfloat16 or torch.get_float32_matmul_precision() != "highest"
    more = -rows.shape[-2] % ROWS if rounds and device == "cpu" else 0
    return F.pad(rows, (0, 0, 0, more)) if more else rows


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W' + b`` of all positions of a batch, [..., I] -> [..., O], by :func:`filled` rows."""
    rows = x.reshape(-1, x.shape[-1])
    return F.linear(filled(rows), weight, bias)[: len(rows)].view(*x.shape[:-1], len(weight))


class Linear(nn.Linear):
    """:class:`torch.nn.Linear` by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        return linear(x, self.weight, self.bias)


_Factors = list[tuple[Tensor, Tensor]]
"""x [..., N, I] and the gradient of its product [..., N, O], of each step."""


def gathered(weight: Tensor, bias: Tensor | None = None) -> Product:
    """A product with ``weight`` [O, I], plus ``bias`` [O], for the steps of one sequence.

    Without gradients it is a plain product.
    """
    # A gradient of one row is small, and its factors would be large.
    if len(weight) == 1 or not torch.is_grad_enabled():
        return lambda x: linear(x, weight, bias)
    multiply = gathered_matmul(weight.t())
    if bias is None:
        return multiply
    return lambda x: (y := multiply(x)) + bias.to(y.dtype)


def gathered_matmul(matrix: Tensor) -> Product:
    """``x M`` for the steps of one sequence, with a matrix [I, O] or [B, I, O].

    Without gradients it is a plain product.
    """
    if not torch.is_grad_enabled():
        return lambda x: x @ matrix
    if torch.is_autocast_enabled(matrix.device.type):
        matrix = matrix.to(torch.get_autocast_dtype(matrix.device.type))
    factors: _Factors = []
    end = _Gradient.apply(matrix, factors)  # type: ignore[no-untyped-call]
    held = matrix.detach(), factors
    return lambda x: _Step.apply(x.to(held[0].dtype), end, held)  # type: ignore[no-untyped-call]


class _Step(torch.autograd.Function):
    """One product of a loop."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, end: Tensor, held: tuple[Tensor, _Factors]) -> Tensor:
        """``x M``, where M and the factors of its gradient so far are ``held``.

        ``end`` is zero; autograd runs its backward pass after those of all steps.
        """
        ctx.save_for_backward(x)
        ctx.held = held
        return x @ held[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        """The gradient of x; the factors of the matrix's gradient are kept."""
        (grad,), (x,), (matrix, factors) = grads, ctx.saved_tensors, ctx.held
        if ctx.needs_input_grad[1]:  # a frozen matrix never takes its factors
            factors.append((x.detach(), grad))
        return grad @ matrix.transpose(-1, -2), grad.new_zeros(()), None


class _Gradient(torch.autograd.Function):
    """A zero that every step takes as input, so that autograd runs its backward pass last."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, factors: _Factors) -> Tensor:
        """Zero."""
        ctx.factors, ctx.one_each = factors, matrix.dim() == 3
        return matrix.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:
        """The gradient of the matrix, from the factors of all steps."""
        x, grad = (torch.cat(factor, -2) for factor in zip(*ctx.factors, strict=True))
        ctx.factors.clear()  # a second backward pass brings its own
        if not ctx.one_each:
            x, grad = x.flatten(0, -2), grad.flatten(0, -2)
        return x.transpose(-1, -2) @ grad, None
