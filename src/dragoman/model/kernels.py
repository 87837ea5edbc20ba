"""A recurrent layer over whole sequences by a library's own kernels: cuDNN, or oneDNN's LSTM.

    B batch   T time   D directions   E input width   H hidden width   R rows of state

The scans of :mod:`dragoman.model.recurrence` launch some operations a step, which a GPU waits for.
Both give the same numbers for real positions; the library's are zero on padding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dragoman.data.tokenizer import Ids

if TYPE_CHECKING:
    from dragoman.model.recurrence import Recurrent

# Its cure is for torch's own modules; ours hold a layer's weights in three tensors or four. A
# filter for the moment of a call would not be safe with threads, so it is for good.
warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
_RUN: dict[str, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}


def suits(layer: Recurrent, x: Tensor, mask: Tensor | None) -> bool:
    """Whether a library's kernel is to be taken here: the faster one on a processor (see the log).

    On a GPU that is so in training (not measured yet).
    """
    if not torch.is_grad_enabled():
        return False
    if x.device.type == "cuda":
        return True
    low = torch.is_autocast_enabled(x.device.type) or x.dtype != torch.float32
    fits = layer.cell == "lstm" and mask is None and not low
    return fits and x.device.type == "cpu" and torch.backends.mkldnn.is_available()


def scan(
    layer: Recurrent, x: Tensor, state: Tensor | None, mask: Tensor | None, lengths: Ids | None
) -> tuple[Tensor, Tensor]:
    """:meth:`Recurrent.scan`, with zeros on padding.

    Args:
        layer: whose weights are used.
        x: [B, T, E].
        state: the first state, [B, R, D x H]; zeros when not given.
        mask: [B, T], false on padding.
        lengths: real positions of each row, [B]; read off the mask if None, which a GPU waits for.
    """
    device, weights = x.device.type, _weights(layer)
    if torch.is_autocast_enabled(device):  # which by itself would give cuDNN fp16, never bf16
        low = torch.get_autocast_dtype(device)
        x, weights = x.to(low), [weight.to(low) for weight in weights]
    batch, time, _ = x.shape
    if state is None:
        state = x.new_zeros(batch, layer.rows, layer.directions * layer.hidden)
    rows = state.view(batch, layer.rows, layer.directions, layer.hidden).permute(1, 2, 0, 3)
    first = [row.to(x.dtype).contiguous() for row in rows]  # R times [D, B, H]
    options = (True, 1, 0.0, layer.training, layer.directions == 2)  # has biases, layers, dropout
    run = partial(_without_autocast, device, _RUN[layer.cell])
    if mask is None:
        outputs, *last = run(x, _hx(first), weights, *options, True)
    else:
        lengths = np.maximum(mask.sum(1).cpu().numpy() if lengths is None else lengths, 1)
        order = np.argsort(-lengths, kind="stable")
        there, back = (_moved(index, x.device) for index in (order, np.argsort(order)))
        packed = pack_padded_sequence(
            x.index_select(0, there), torch.from_numpy(lengths[order]), batch_first=True
        )
        first = [row.index_select(1, there) for row in first]
        data, *last = run(packed.data, packed.batch_sizes, _hx(first), weights, *options)
        outputs, _ = pad_packed_sequence(
            PackedSequence(data, packed.batch_sizes), batch_first=True, total_length=time
        )
        outputs = outputs.index_select(0, back)
        last = [row.index_select(1, back) for row in last]
    return outputs, torch.stack(last).permute(2, 0, 1, 3).flatten(2)


def _without_autocast(device: str, run: Callable[..., Any], *given: Any) -> Any:
    with torch.autocast(device, enabled=False):
        return run(*given)


def _moved(index: npt.NDArray[np.int64], device: torch.device) -> Tensor:
    """``index`` on ``device``, without waiting for it."""
    here = torch.from_numpy(index)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here


def _hx(rows: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """The first state as the kernels take it."""
    return rows[0] if len(rows) == 1 else tuple(rows)


def _weights(layer: Recurrent) -> list[Tensor]:
    """Of each direction W, U and a bias each; only a GRU's new gate has one inside."""
    weights = []
    for direction in range(layer.directions):
        bias = layer.bias[direction]
        inner = torch.zeros_like(bias)
        if layer.bias_new is not None:
            inner = torch.cat((inner[: -layer.hidden], layer.bias_new[direction]))
        weights += [layer.weight_input[direction], layer.weight_hidden[direction], bias, inner]
    return weights
