"""The whole model, and the one function that builds it.

B batch   Q hypotheses   S source   T target   H hidden   V vocabulary   K rows of state
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dragoman.config import ModelOptions
from dragoman.model.attention import Attention
from dragoman.model.decoder import Decoder, Memory
from dragoman.model.embedding import Embedding
from dragoman.model.encoder import Encoder
from dragoman.model.feeding import features_with_guesses
from dragoman.model.output import Output
from dragoman.model.recurrence import STATE_ROWS
from dragoman.model.sampled_softmax import sampled_loss


class Loss(NamedTuple):
    """Sums over the real tokens of a batch; divide once, by the global number of tokens."""

    total: Tensor
    """What is minimised: cross-entropy with label smoothing, in nats."""
    plain: Tensor
    """Negative log-likelihood of the reference, in nats."""
    tokens: Tensor
    """Real target tokens, the end of sentence included."""


class Objective(NamedTuple):
    """What is minimised."""

    smoothing: float = 0.0
    """Label smoothing; 0 with sampled words."""
    samples: int = 0
    """Words sampled for the softmax; 0: the whole vocabulary."""
    feeding: str = "none"
    """Scheduled sampling: ``none``, ``sequence``, ``token`` or ``parallel``."""
    share: float = 0.0
    """Share of its own guesses that the decoder reads."""


class Bridge(nn.Module):
    """The encoder's final state to the decoder's first: [B, K_e, H] -> [B, K_d, H].

    ``copy`` hands the last layers over as they are, ``linear`` through ``tanh(W x + b)``
    (Bahdanau 2015, appendix A.2.2), ``zero`` starts from nothing. When the decoder has more
    layers than the encoder, the encoder's last layer is repeated.
    """

    def __init__(
        self, kind: str, *, hidden: int, rows: int, encoder: int, decoder: int, extra: int
    ) -> None:
        super().__init__()
        self.kind, self.extra = kind, extra
        self.linear: nn.Linear | None = None
        if kind == "linear":
            self.linear = nn.Linear(hidden, hidden)
            nn.init.xavier_uniform_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        last = range(max(0, encoder - decoder), encoder)
        layers = [*last, *[encoder - 1] * max(0, decoder - encoder)]
        self.order = [layer * rows + row for layer in layers for row in range(rows)]

    def forward(self, final: Tensor) -> Tensor:
        """[B, K_e, H] -> [B, K_d, H]."""
        state = final[:, self.order]
        if self.kind == "zero":
            state = torch.zeros_like(state)
        elif self.linear is not None:
            state = torch.tanh(self.linear(state))
        if self.extra:  # input feeding starts from a vector of zeros
            state = torch.cat((state, torch.zeros_like(state[:, : self.extra])), 1)
        return state


class Seq2Seq(nn.Module):
    """Encoder, bridge, decoder with attention, and output layer."""

    def __init__(self, encoder: Encoder, bridge: Bridge, decoder: Decoder, output: Output) -> None:
        super().__init__()
        self.encoder, self.bridge, self.decoder, self.output = encoder, bridge, decoder, output

    def encode(self, source: Tensor, mask: Tensor) -> Memory:
        """Read the source: ids [B, S] and mask [B, S] (false on padding)."""
        states, final = self.encoder(source, mask)
        attention = self.decoder.attention
        keys = states if attention is None else attention.keys(states)
        return Memory(states, keys, mask, self.bridge(final))

    def forward(
        self, source: Tensor, mask: Tensor, target_in: Tensor, target_out: Tensor,
        target_mask: Tensor, objective: Objective,
    ) -> Loss:  # fmt: skip
        """The loss of a batch with known targets.

        Args:
            source: ids [B, S]; ``mask`` [B, S] is false on padding.
            target_in: ids [B, T], the begin token first.
            target_out: ids [B, T], the end token last.
            target_mask: [B, T], false on padding, which never counts.
            objective: what is minimised; teacher forcing unless it says otherwise.
        """
        memory = self.encode(source, mask)
        if objective.feeding == "none" or not objective.share:
            features = self.decoder.unroll(target_in, memory)  # [B, T, H]
        else:
            features = features_with_guesses(
                self.decoder, self.output, target_in, memory, way=objective.feeding,
                share=objective.share,
            )  # fmt: skip
        real, answers = features[target_mask], target_out[target_mask]  # [N, H], [N]
        if objective.samples:
            total, plain = sampled_loss(self.output, real, answers, objective.samples)
        else:
            total, plain = self.output.loss(real, answers, objective.smoothing)
        return Loss(total, plain, target_mask.sum())

    def step(
        self, token: Tensor, state: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """One token of every hypothesis: ids [B, Q], state [B, Q, K, H].

        Returns:
            Log-probabilities [B, Q, V], the new state, and attention weights [B, Q, S] or None.
        """
        features, state, weights = self.decoder.step(token, state, memory)
        return self.output(features), state, weights


def build_model(
    options: ModelOptions, *, source_vocabulary: int, target_vocabulary: int
) -> Seq2Seq:
    """Build the model that ``options`` describe; the only reader of :class:`ModelOptions` here.

    Weights are drawn from torch's global generator: seed it first.

    Args:
        options: without ``"auto"``.
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens, V.
    """
    embedding, hidden, dropout = options.embedding, options.hidden, options.dropout
    assert embedding != "auto" and hidden != "auto" and dropout != "auto", "resolve options first"
    source_table = Embedding(source_vocabulary, embedding, dropout)
    target_table = (
        source_table
        if options.shared_embeddings
        else Embedding(target_vocabulary, embedding, dropout)
    )
    attention = None
    if options.attention != "none":
        attention = Attention(options.score, hidden, hidden)
    encoder = Encoder(
        source_table, cell=options.cell, inputs=embedding, hidden=hidden,
        layers=options.encoder_layers, bidirectional=options.bidirectional,
        directions=options.directions, reverse=options.reverse_source, dropout=dropout,
    )  # fmt: skip
    decoder = Decoder(
        target_table, cell=options.cell, inputs=embedding, hidden=hidden,
        layers=options.decoder_layers, attention=attention,
        before=options.attention == "bahdanau", input_feeding=options.input_feeding,
        dropout=dropout,
    )  # fmt: skip
    bridge = Bridge(
        options.bridge, hidden=hidden, rows=STATE_ROWS[options.cell],
        encoder=options.encoder_layers, decoder=options.decoder_layers,
        extra=int(options.input_feeding),
    )  # fmt: skip
    tied = target_table.weight if options.tied_output else None
    return Seq2Seq(encoder, bridge, decoder, Output(hidden, target_vocabulary, tied))
