"""Builds the model that the options describe; the only reader of :class:`ModelOptions` here."""

from dragoman.config.options import ModelOptions
from dragoman.model.attention import Attention
from dragoman.model.copying import Copying
from dragoman.model.embedding import Embedding
from dragoman.model.output import Output
from dragoman.model.recurrent.bridge import Bridge
from dragoman.model.recurrent.cells import STATE_ROWS
from dragoman.model.recurrent.decoder import RecurrentDecoder
from dragoman.model.recurrent.encoder import RecurrentEncoder
from dragoman.model.recurrent.layer import StackOptions
from dragoman.model.seq2seq import Seq2Seq


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
    source = target = Embedding(source_vocabulary, embedding, dropout)
    if not options.shared_embeddings:
        target = Embedding(target_vocabulary, embedding, dropout)
    attention = None
    if options.attention != "none":
        attention = Attention(options.score, hidden, hidden)
    layers = options.encoder_layers, options.decoder_layers
    stacks = [
        StackOptions(options.cell, hidden, n, dropout, options.residual, options.layer_norm)
        for n in layers
    ]
    encoder = RecurrentEncoder(
        source,
        stacks[0],
        bidirectional=options.bidirectional,
        directions=options.directions,
        reverse=options.reverse_source,
    )
    before, feeding = options.attention == "bahdanau", options.input_feeding
    decoder = RecurrentDecoder(target, stacks[1], attention, before=before, input_feeding=feeding)
    bridge = Bridge(options.bridge, hidden, STATE_ROWS[options.cell], *layers)
    output = Output(hidden, target_vocabulary, target.weight if options.tied_output else None)
    copying = Copying(hidden, target_vocabulary) if options.copy else None
    return Seq2Seq(encoder, bridge, decoder, output, copying)
