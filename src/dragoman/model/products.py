"""Products of rows with a weight, whose numbers do not depend on how many rows there are.

    N rows   I inputs   O outputs

A BLAS takes another kernel, or cuts its sums elsewhere, when a matrix has few rows; then a
sentence would be scored a little differently alone than in company. oneDNN's linear operator gives
a row the same bits from two rows on, so search (inference mode, fp32, on a processor) uses it.
Training uses what is fastest, and within :func:`loop` forms the gradient of a weight once.
Measured in ``docs/log.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.model.eight_bit import EightBit

_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch._C._has_mkldnn else None
_MKL = torch.ops.mkl if torch.backends.mkl.is_available() else None
_PACK = getattr(_MKL, "_mkl_reorder_linear_weight", None)
PACKED = getattr(_MKL, "_mkl_linear", None)
"""MKL's product with a weight in an order of its own: (x, packed, weight, bias, rows); or None."""
_Product = Callable[[Tensor, Tensor | None], Tensor]
_PREPARED: ContextVar[Prepared | None] = ContextVar("prepared", default=None)
_LOOP: ContextVar[dict[Any, _Repeated] | None] = ContextVar("loop", default=None)


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
        prepared = _PREPARED.get()
        multiply = _OneDNN(weight, reorder=False) if prepared is None else prepared(weight)
        return multiply(x, bias)
    if _repeated() is None or len(weight) == 1:  # whose gradient is small, and factors large
        return F.linear(x, weight, bias)
    product = times(x, weight.t())
    return product if bias is None else product + bias.to(product.dtype)


class Prepared:
    """Weights of a model in the form in which search multiplies by them fastest, each made once.

    In fp32 the same bits come out, a tenth to a third sooner. The weights must not change.

    Args:
        int8: multiply 8-bit numbers.
    """

    def __init__(self, *, int8: bool = False) -> None:
        self.int8 = int8
        self.known: dict[Any, tuple[Tensor, _Product]] = {}

    def __call__(self, weight: Tensor) -> _Product:
        """What multiplies by a weight."""
        place = (weight.data_ptr(), weight.shape, weight.stride())
        if place not in self.known:  # with the weight, lest another take its place in memory
            form = EightBit if self.int8 and weight.shape[1] > 1 else _OneDNN
            self.known[place] = weight, form(weight)
        return self.known[place][1]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within it, search multiplies by these."""
        outside = _PREPARED.set(self)
        try:
            yield
        finally:
            _PREPARED.reset(outside)


class _OneDNN:
    """Multiplies by a weight [O, I] through oneDNN, in whose own order it may be brought before."""

    def __init__(self, weight: Tensor, *, reorder: bool = True) -> None:
        weight = weight.contiguous()  # the columns of one part of the input would take a slow path
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight) if reorder else weight

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        assert _ONEDNN is not None
        result: Tensor = _ONEDNN(x, self.weight, bias, "none", [], "")
        return result


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        return linear(x, self.weight, self.bias)


def times(x: Tensor, matrix: Tensor) -> Tensor:
    """``x M``: [..., I], [I, O] -> [..., O], or [B, Q, I], [B, I, O] -> [B, Q, O]."""
    known = _repeated()
    if known is None:
        return x @ matrix
    storage = matrix.untyped_storage()._cdata  # its address is no name on the meta device
    place = (storage, matrix.storage_offset(), matrix.shape, matrix.stride())
    if place not in known:
        known[place] = _Repeated(matrix, x.shape[:-1].numel())
    return known[place](x)


@contextmanager
def loop() -> Iterator[None]:
    """Within it, a matrix that every step multiplies by gets its gradient in one product.

    Autograd would form a gradient of the whole matrix at every step and add them up.
    """
    outside = _LOOP.set({})
    try:
        yield
    finally:
        _LOOP.reset(outside)


def _repeated() -> dict[Any, _Repeated] | None:
    """The matrices that a loop has multiplied by; None outside, and where nothing is learned."""
    return _LOOP.get() if torch.is_grad_enabled() else None


class _Repeated:
    """A matrix of a loop: steps leave their factors of its gradient, which is formed at the end."""

    def __init__(self, matrix: Tensor, rows: int) -> None:
        if torch.is_autocast_enabled(matrix.device.type):
            matrix = matrix.to(torch.get_autocast_dtype(matrix.device.type))
        self.matrix = matrix.detach()
        self.multiply = multiplier(self.matrix, rows)
        self.factors: list[tuple[Tensor, Tensor]] = []
        self.end: Tensor = _Gathered.apply(matrix, self.factors)  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor) -> Tensor:
        """``x M``."""
        return _Step.apply(x.to(self.matrix.dtype), self.end, self)  # type: ignore[no-untyped-call, no-any-return]


class _Step(torch.autograd.Function):
    """One product of a :class:`_Repeated`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, end: Tensor, repeated: _Repeated) -> Tensor:
        """``end`` makes the gradient of the matrix wait for this step's."""
        ctx.save_for_backward(x)
        ctx.repeated = repeated
        return repeated.multiply(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradient of x; the factors of the matrix's are kept."""
        (grad,), (x,) = grads, ctx.saved_tensors
        if ctx.needs_input_grad[1]:  # else no one would ever take them
            ctx.repeated.factors.append((x.detach(), grad))
        return grad @ ctx.repeated.matrix.transpose(-1, -2), grad.new_zeros(()), None


class _Gathered(torch.autograd.Function):
    """A scalar that every :class:`_Step` depends on: its gradient comes after all of theirs."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, factors: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Zero."""
        ctx.factors, ctx.batched = factors, matrix.dim() == 3
        return matrix.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:
        """``sum of x' grad`` over the steps."""
        x, grad = (torch.cat(factor, -2) for factor in zip(*ctx.factors, strict=True))
        ctx.factors.clear()  # a second backward pass leaves its own
        if not ctx.batched:
            x, grad = x.flatten(0, -2), grad.flatten(0, -2)
        return x.transpose(-1, -2) @ grad, None


def multiplier(matrix: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """What multiplies by one matrix again and again.

    It is worth bringing into the BLAS's own order once: a product of 64 rows then takes a fifth
    less time, one of 32 half as long (``docs/log.md``).

    Args:
        matrix: [I, O] or [B, I, O].
        rows: N, in all.

    Returns:
        A function [..., I] -> [..., O].
    """
    packs = matrix.dim() == 2 and matrix.dtype == torch.float32 and matrix.device.type == "cpu"
    if _PACK is None or PACKED is None or not packs:
        return lambda x: x @ matrix
    weight = matrix.t().contiguous()  # mostly a weight itself, which costs nothing
    packed, product = _PACK(weight, rows), PACKED
    return lambda x: product(x, packed, weight, None, rows)


def recurrent(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """What multiplies the states of D directions by their weights at every step.

    Args:
        weight: [D, O, I].
        rows: N.

    Returns:
        A function [D, N, I] -> [D, N, O].
    """
    if in_search(weight):
        return lambda h: torch.stack([linear(*pair) for pair in zip(h, weight, strict=True)])
    if len(weight) == 1:
        multiply = multiplier(weight[0].t(), rows)
        return lambda h: multiply(h[0]).unsqueeze(0)
    across = weight.transpose(1, 2)
    if weight.dtype != torch.float32:
        across = across.contiguous()  # a quarter faster than a view; in fp32 it takes longer
    return lambda h: torch.bmm(h, across)
