"""A recurrent layer over whole sequences by torch's operators, on a GPU by cuDNN.

    B batch   T time   D directions   E input width   H hidden width   R rows of state

LSTMs and tanh RNNs always run so. A GRU does in training on a GPU, where cuDNN runs all steps at
once. On a processor our own :class:`dragoman.model.recurrent.cells.GruScan` is faster than torch's
GRU in bf16 and as fast in fp32 (``docs/log.md``). Both give the same numbers at real positions; on
padding torch's operators give zeros.
"""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dragoman.data.tokenizer import Ids
from dragoman.model.recurrent.cells import FUSED, STATE_ROWS

# The warning's advice is for torch's own modules; ours hold a layer's weights in three or four
# tensors. The filter stays: one that is set for the moment of a call is not safe with threads.
warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")


def suits_gru(x: Tensor) -> bool:
    """Whether to run a GRU over ``x`` by cuDNN: it is on a GPU, and gradients are needed."""
    return torch.is_grad_enabled() and x.device.type == "cuda"


def scan(
    cell: str, weights: list[Tensor], x: Tensor, state: Tensor | None, lengths: Ids | None
) -> tuple[Tensor, Tensor]:
    """Run whole sequences by torch's fused operators, with zeros on padding.

    Args:
        cell: ``rnn``, ``gru`` or ``lstm``.
        weights: W, U and two biases of each direction.
        x: [B, T, E].
        state: the first state, [B, R, D x H]; zeros when not given.
        lengths: real positions of each row, [B]; None where there is no padding.

    Returns:
        Outputs [B, T, D x H] and the final state [B, R, D x H].
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):  # autocast itself would give cuDNN fp16, never bf16
        low = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            return scan(cell, [one.to(low) for one in weights], x.to(low), state, lengths)
    batch, time, _ = x.shape
    directions, hidden = len(weights) // 4, weights[1].shape[1]
    if state is None:
        state = x.new_zeros(batch, STATE_ROWS[cell], directions * hidden)
    rows = state.view(batch, -1, directions, hidden).permute(1, 2, 0, 3)
    first = [row.to(x.dtype).contiguous() for row in rows]  # R times [D, B, H]
    # has biases, layers, dropout, keeps what the backward pass needs, two directions
    options = (True, 1, 0.0, True, directions == 2)
    if lengths is None:
        outputs, *last = FUSED[cell](x, _first(first), weights, *options, True)
    else:
        order = np.argsort(-lengths, kind="stable")
        both = torch.from_numpy(np.stack((order, np.argsort(order))))
        both = both.pin_memory() if device == "cuda" else both  # no waiting for a GPU
        there, back = both.to(x.device, non_blocking=True)
        given, sizes = x.index_select(0, there), torch.from_numpy(lengths[order])
        packed = pack_padded_sequence(given, sizes, batch_first=True)
        first = [row.index_select(1, there) for row in first]
        sizes = packed.batch_sizes
        data, *last = FUSED[cell](packed.data, sizes, _first(first), weights, *options)
        sequence = PackedSequence(data, sizes)
        padded, _ = pad_packed_sequence(sequence, batch_first=True, total_length=time)
        outputs = padded.index_select(0, back)
        last = [row.index_select(1, back) for row in last]
    return outputs, torch.stack(last).permute(2, 0, 1, 3).flatten(2)


def _first(rows: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """The first state in the form of torch's operators: one tensor, or h and c."""
    return rows[0] if len(rows) == 1 else tuple(rows)
