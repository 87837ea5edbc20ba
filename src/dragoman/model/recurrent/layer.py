"""One recurrent layer: tanh RNN, GRU or LSTM, over whole sequences or one step at a time.

    B batch   N hypotheses   T time   D directions (1 or 2)   E input width   H hidden width
    G gates   R rows of state

The two ways give the same numbers: :meth:`Layer.scan` runs sequences, by torch's operators or, on a
processor, a GRU by the scan of :mod:`dragoman.model.recurrent.cells`; :meth:`Layer.step` runs one
step with plain autograd, for decoders that feed attention back and for search.

The state of a layer is a tensor [B, R, H]: row 0 is the hidden vector h, and for an LSTM row 1 is
the cell c (R = 2; otherwise R = 1).

The input of a layer goes through layer normalisation (Ba et al. 2016) and dropout; a residual
connection adds it to the output (Wu et al. 2016, section 3.1):
``x' = x + RNN(dropout(norm(x)))``. The first layer of a stack has none of them: its input is the
embeddings, which have their own dropout.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import dropout
from dragoman.model.linear import Product, gathered, linear
from dragoman.model.recurrent import cells, kernels
from dragoman.model.recurrent.cells import GATES, STATE_ROWS, GruScan


class Layer(nn.Module):
    """A recurrent layer, in one direction or in both at once.

    Args:
        cell: ``rnn``, ``gru`` or ``lstm``.
        inputs: width E of the input.
        hidden: width H of the state, for each direction.
        directions: 1, or 2 to read the sequence backwards as well.
        dropout: share of the input's values that dropout sets to zero.
        residual: add the input to the output.
        norm: normalise the input.
    """

    def __init__(
        self,
        cell: str,
        inputs: int,
        hidden: int,
        directions: int = 1,
        dropout: float = 0.0,
        residual: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.cell, self.hidden, self.directions = cell, hidden, directions
        self.rows, self.dropout, self.residual = STATE_ROWS[cell], dropout, residual
        width = GATES[cell] * hidden
        self.weight_input = nn.Parameter(torch.empty(directions, width, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(directions, width, hidden))
        self.bias = nn.Parameter(torch.empty(directions, width))
        # Only the GRU's new gate needs a bias inside its reset product; elsewhere two would add up.
        self.bias_new = nn.Parameter(torch.empty(directions, hidden)) if cell == "gru" else None
        self.norm = nn.LayerNorm(inputs) if norm else None
        # Xavier for the input, orthogonal for the recurrence, zero biases, forget bias 1.
        for direction in range(directions):
            for gate in range(GATES[cell]):
                rows = slice(gate * hidden, (gate + 1) * hidden)
                nn.init.xavier_uniform_(self.weight_input.data[direction, rows])
                nn.init.orthogonal_(self.weight_hidden.data[direction, rows])
        nn.init.zeros_(self.bias)
        if cell == "lstm":
            nn.init.ones_(self.bias.data[:, hidden : 2 * hidden])
        if self.bias_new is not None:
            nn.init.zeros_(self.bias_new)

    def enter(self, x: Tensor) -> Tensor:
        """Normalise the input [..., E] and apply dropout, before the recurrence reads it."""
        if self.norm is not None:
            x = self.norm(x)
        return dropout(x, self.dropout, self.training)

    def leave(self, x: Tensor, y: Tensor) -> Tensor:
        """The output: what the recurrence made, ``y``, plus the input ``x`` if ``residual``."""
        return x + y if self.residual else y

    def products(self, width: int | None = None) -> tuple[Product, Product]:
        """``W x + b`` and ``U h`` of direction 0, for a loop over :meth:`step`.

        Args:
            width: multiply only the first so many values of x; None: all.
        """
        weight = self.weight_input[0, :, :width]
        return gathered(weight, self.bias[0]), gathered(self.weight_hidden[0])

    def step(self, projected: Tensor, state: Tensor, hidden: Product) -> Tensor:
        """One step of direction 0.

        Args:
            projected: W x + b, [N, GH].
            state: [N, R, H].
            hidden: the product U h, from :meth:`products`.

        Returns:
            The new state, [N, R, H].
        """
        across = hidden(state[:, 0])  # [N, GH]
        bias = None if self.bias_new is None else self.bias_new[0].to(across.dtype)
        return cells.step(self.cell, projected, across, state, bias)

    def scan(
        self, x: Tensor, state: Tensor | None = None, lengths: Ids | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run whole sequences.

        Args:
            x: [B, T, E].
            state: the first state, [B, R, D x H]; zeros when not given.
            lengths: real positions of each sequence, [B]; None where there is no padding. Padding
                stands at the end and neither changes a state nor is read: the backward direction
                starts at the last real position, and the final state is the one after it.

        Returns:
            Outputs [B, T, D x H] and the final state [B, R, D x H].
        """
        if self.bias_new is None or kernels.suits_gru(x):  # only a GRU has bias_new
            return kernels.scan(self.cell, self._weights(), x, state, lengths)
        real = None if lengths is None else torch.from_numpy(lengths).to(x.device)
        inputs = self._project(x.transpose(0, 1), real)  # [D, T, B, 3H]
        if state is None:
            state = inputs.new_zeros(len(x), 1, self.directions * self.hidden)
        first = state[:, 0].unflatten(1, (self.directions, -1)).transpose(0, 1)  # [D, B, H]
        weight, bias = (one.to(inputs.dtype) for one in (self.weight_hidden, self.bias_new))
        states = GruScan.apply(inputs, first, weight, bias.unsqueeze(1))  # type: ignore[no-untyped-call]
        # Direction 1 ran from the last position to the first.
        forward, *backward = states.unbind(0)  # [T, B, H]
        rows = torch.arange(len(x), device=x.device)
        last = forward[-1] if real is None else forward[real - 1, rows]
        last = torch.cat((last, *(way[-1] for way in backward)), -1)
        outputs = torch.cat((forward, *(way.flip(0) for way in backward)), -1)
        return outputs.transpose(0, 1), last.unsqueeze(1)

    def _weights(self) -> list[Tensor]:
        """W, U and two biases of each direction; only a GRU's new gate has a second one."""
        inner = torch.zeros_like(self.bias)
        if self.bias_new is not None:
            inner = F.pad(self.bias_new, (2 * self.hidden, 0))
        each = zip(self.weight_input, self.weight_hidden, self.bias, inner, strict=True)
        return [weight for direction in each for weight in direction]

    def _project(self, x: Tensor, real: Tensor | None) -> Tensor:
        """``W x + b`` of every step and direction in its order of time: [T, B, E] -> [D, T, B, GH].

        For a GRU. On padding, behind the ``real`` positions [B], the update gate is infinite before
        its sigmoid, so that the state stays exactly as it is.
        """
        ways = (x, x.flip(0)) if self.directions > 1 else (x,)
        inputs = list(map(linear, ways, self.weight_input, self.bias))
        stacked = torch.stack(inputs) if self.directions > 1 else inputs[0].unsqueeze(0)
        if real is not None:
            padding = torch.arange(len(x), device=x.device).unsqueeze(1) >= real  # [T, B]
            padding = torch.stack((padding, padding.flip(0))[: self.directions])
            with torch.no_grad():  # GruScan gives such a gate a gradient of zero
                stacked.chunk(3, -1)[1].masked_fill_(padding.unsqueeze(-1), math.inf)
        return stacked
