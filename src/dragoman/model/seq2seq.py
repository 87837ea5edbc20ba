"""The whole model, and the one function that builds it.

B batch   S source   T target   H hidden   V vocabulary   K rows of state
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dragoman.config.options import ModelOptions
from dragoman.data.batches import Batch
from dragoman.data.tokenizer import Ids
from dragoman.model.attention import Attention
from dragoman.model.copying import Copying
from dragoman.model.decoder import Decoder, Memory, Part
from dragoman.model.embedding import Embedding
from dragoman.model.encoder import Encoder
from dragoman.model.feeding import features_with_guesses
from dragoman.model.output import Output, largest
from dragoman.model.products import Linear
from dragoman.model.recurrence import STATE_ROWS
from dragoman.model.sampled_softmax import sampled_loss


class Loss(NamedTuple):
    """Sums over the real tokens of a batch; divide once, by the global number of tokens."""

    total: Tensor
    """What is minimised: cross-entropy with label smoothing, in nats, times the scale asked for."""
    plain: Tensor
    """Negative log-likelihood of the reference, in nats."""
    tokens: Tensor
    """Real target tokens, the end of sentence included."""
    right: Tensor
    """Of these, those whose reference was the most probable (of the sampled words, if they are)."""


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
    scale: float | Tensor = 1.0
    """Factor of the sum that is minimised, such as one over the number of tokens."""


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
            self.linear = Linear(hidden, hidden)
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

    def __init__(
        self,
        encoder: Encoder,
        bridge: Bridge,
        decoder: Decoder,
        output: Output,
        copying: Copying | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.bridge, self.decoder, self.output = encoder, bridge, decoder, output
        self.copying = copying

    def encode(
        self, source: Tensor, mask: Tensor, copies: Tensor | None = None, lengths: Ids | None = None
    ) -> Memory:
        """Read the source.

        Args:
            source: ids [B, S].
            mask: [B, S], false on padding.
            copies: ids [B, S] of the same words in the target's vocabulary, to copy them.
            lengths: real tokens of each source, [B]: a GPU would have to be waited for to learn
                them from the mask.
        """
        states, final = self.encoder(source, mask, lengths)
        attention = self.decoder.attention
        keys = states if attention is None else attention.keys(states)
        copies = source[:, :0] if copies is None else copies
        return Memory(states, keys, mask, self.bridge(final), copies)

    def forward(self, batch: Batch, objective: Objective) -> Loss:
        """The loss of a batch with known targets; padding does not count.

        Args:
            batch: B pairs, on the device of the weights.
            objective: what is minimised.
        """
        memory = self.encode(batch.source, batch.source_mask, batch.copies, batch.lengths)
        if objective.feeding == "none" or not objective.share:
            features, weights = self.unroll(batch.target_in, memory)  # [B, T, H], [B, T, S]
        else:
            features, weights = features_with_guesses(
                self.decoder,
                self.output,
                self._readable(batch.target_in),
                memory,
                way=objective.feeding,
                share=objective.share,
            )
        real = batch.real
        features = features.flatten(0, 1).index_select(0, real)  # [N, H]
        answers = batch.target_out.flatten().index_select(0, real)
        mixture = None
        if self.copying is not None and weights is not None:
            words = _every_position(memory.copies, weights)
            looked, words = (x.flatten(0, 1).index_select(0, real) for x in (weights, words))
            mixture = self.copying.mixture(features, looked, words, answers)  # [N, S] both
        answers = self._readable(answers)
        if objective.samples:
            total, plain, right = sampled_loss(
                self.output, features, answers, objective.samples, mixture
            )
            total = total * objective.scale
        else:
            total, plain, right = self.output.loss(
                features, answers, objective.smoothing, mixture, objective.scale
            )
        return Loss(total, plain, batch.target_mask.sum(), right)

    def unroll(self, target_in: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Features [B, T, H] and attention weights [B, T, S] of a known target: ids [B, T]."""
        return self.decoder.unroll(self._readable(target_in), memory)

    def step(
        self, token: Tensor, state: Tensor, memory: Memory | Sequence[Part]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """:meth:`Decoder.step` for tokens that may be words of a source's own."""
        return self.decoder.step(self._readable(token), state, memory)

    def scores(self, features: Tensor, weights: Tensor | None, copies: Tensor) -> Tensor:
        """Log-probabilities of what follows: [B, Q, W].

        Args:
            features: [B, Q, H].
            weights: [B, Q, S].
            copies: ids of the source's words in the target's vocabulary, [B, S].
        """
        log_probs: Tensor = self.output(features)
        if self.copying is None or weights is None:
            return log_probs
        words = _every_position(copies, weights)
        return self.copying.extend(log_probs, features, weights, words)

    def best(
        self,
        features: Tensor,
        weights: Tensor | None,
        copies: Tensor,
        count: int | None,
        never: Sequence[int] = (),
    ) -> tuple[Tensor, Tensor | None]:
        """The most probable words of :meth:`scores` but ``never``, and their log-probabilities.

        ``features`` are [N, 1, H], ``weights`` [N, 1, S], and ``copies`` [N, S].

        Returns:
            Log-probabilities and words, falling, [N, C] both; with a count of None all words in
            their order, [N, W], and None.
        """
        if self.copying is None:
            return self.output.best(features.squeeze(1), count, never)
        scores = self.scores(features, weights, copies).squeeze(1)
        scores[:, list(never)] = -math.inf
        return (scores, None) if count is None else largest(scores, count)

    def _readable(self, ids: Tensor) -> Tensor:
        return ids if self.copying is None else self.copying.readable(ids)


def _every_position(copies: Tensor, weights: Tensor) -> Tensor:
    """[B, S] beside weights [B, Q, S]: the same for all Q."""
    return copies.unsqueeze(1).expand_as(weights)


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
        source_table,
        cell=options.cell,
        inputs=embedding,
        hidden=hidden,
        layers=options.encoder_layers,
        bidirectional=options.bidirectional,
        directions=options.directions,
        reverse=options.reverse_source,
        dropout=dropout,
        residual=options.residual,
        layer_norm=options.layer_norm,
    )
    decoder = Decoder(
        target_table,
        cell=options.cell,
        inputs=embedding,
        hidden=hidden,
        layers=options.decoder_layers,
        attention=attention,
        before=options.attention == "bahdanau",
        input_feeding=options.input_feeding,
        dropout=dropout,
        residual=options.residual,
        layer_norm=options.layer_norm,
    )
    bridge = Bridge(
        options.bridge,
        hidden=hidden,
        rows=STATE_ROWS[options.cell],
        encoder=options.encoder_layers,
        decoder=options.decoder_layers,
        extra=int(options.input_feeding),
    )
    tied = target_table.weight if options.tied_output else None
    output = Output(hidden, target_vocabulary, tied)
    copying = Copying(hidden, target_vocabulary) if options.copy else None
    return Seq2Seq(encoder, bridge, decoder, output, copying)
