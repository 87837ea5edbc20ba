"""Builds the model that the options describe; the only reader of :class:`ModelOptions` here."""

from __future__ import annotations

from dragoman.config.options import ModelOptions
from dragoman.model.attention import Attention
from dragoman.model.copying import Copying
from dragoman.model.embedding import Embedding
from dragoman.model.output import Output
from dragoman.model.protocols import Decoder, Encoder
from dragoman.model.recurrent.bridge import Bridge
from dragoman.model.recurrent.cells import STATE_ROWS
from dragoman.model.recurrent.decoder import RecurrentDecoder
from dragoman.model.recurrent.encoder import RecurrentEncoder
from dragoman.model.recurrent.layer import StackOptions
from dragoman.model.seq2seq import Seq2Seq

FAMILY = "recurrent"
"""The only family of encoders and decoders yet."""


def _recurrent_encoder(options: ModelOptions, embedding: Embedding, sizes: _Sizes) -> Encoder:
    return RecurrentEncoder(
        embedding,
        _stack(options, options.encoder_layers, sizes),
        bidirectional=options.bidirectional,
        directions=options.directions,
        reverse=options.reverse_source,
    )


def _recurrent_decoder(
    options: ModelOptions, embedding: Embedding, sizes: _Sizes, attention: Attention | None
) -> Decoder:
    return RecurrentDecoder(
        embedding,
        _stack(options, options.decoder_layers, sizes),
        attention,
        before=options.attention == "bahdanau",
        input_feeding=options.input_feeding,
    )


def _stack(options: ModelOptions, layers: int, sizes: _Sizes) -> StackOptions:
    hidden, dropout = sizes
    return StackOptions(options.cell, hidden, layers, dropout, options.residual, options.layer_norm)


_Sizes = tuple[int, float]
"""The hidden width and the share of dropout, when they are no longer "auto"."""
ENCODERS = {FAMILY: _recurrent_encoder}
"""What builds the encoder of each family."""
DECODERS = {FAMILY: _recurrent_decoder}
"""What builds the decoder of each family."""


def build_model(
    options: ModelOptions, *, source_vocabulary: int, target_vocabulary: int
) -> Seq2Seq:
    """Build the model that ``options`` describe.

    Weights are drawn from torch's global generator: seed it first. The parts are built in an order
    that stays, because a seed stands for the weights that it draws.

    Args:
        options: without ``"auto"``.
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens, V.
    """
    embedding, hidden, dropout = options.embedding, options.hidden, options.dropout
    assert embedding != "auto" and hidden != "auto" and dropout != "auto", "resolve options first"
    source = Embedding(source_vocabulary, embedding, dropout)
    target = source
    if not options.shared_embeddings:
        target = Embedding(target_vocabulary, embedding, dropout)
    attention = None
    if options.attention != "none":
        attention = Attention(options.score, hidden, hidden)
    encoder = ENCODERS[FAMILY](options, source, (hidden, dropout))
    decoder = DECODERS[FAMILY](options, target, (hidden, dropout), attention)
    bridge = Bridge(
        options.bridge,
        hidden=hidden,
        rows=STATE_ROWS[options.cell],
        encoder=options.encoder_layers,
        decoder=options.decoder_layers,
    )
    output = Output(hidden, target_vocabulary, target.weight if options.tied_output else None)
    copying = Copying(hidden, target_vocabulary) if options.copy else None
    return Seq2Seq(encoder, bridge, decoder, output, copying)
