"""Builds the model that the options describe; the other files here read no options."""

from dragoman.config.options import ModelOptions
from dragoman.model.attention import Attention
from dragoman.model.copying import Copying
from dragoman.model.embedding import Embedding
from dragoman.model.output import Output
from dragoman.model.recurrent.cells import STATE_ROWS
from dragoman.model.recurrent.decoder import RecurrentDecoder
from dragoman.model.recurrent.encoder import Bridge, RecurrentEncoder
from dragoman.model.recurrent.layer import Layer
from dragoman.model.seq2seq import Seq2Seq


def build_model(
    options: ModelOptions, *, source_vocabulary: int, target_vocabulary: int
) -> Seq2Seq:
    """Build the model that ``options`` describe.

    Weights are drawn from torch's global generator: seed it first. The order in which the parts are
    built must stay, so that a seed keeps giving the same weights.

    Args:
        options: without ``"auto"``.
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens, V.
    """
    embedding, hidden, dropout = options.embedding, options.hidden, options.dropout
    assert embedding != "auto" and hidden != "auto" and dropout != "auto", "resolve options first"
    source = target = Embedding(source_vocabulary, embedding, dropout, beyond=options.copy)
    if not options.shared_embeddings:
        target = Embedding(target_vocabulary, embedding, dropout, beyond=options.copy)

    def layers(count: int, inputs: int, width: int, directions: int = 1) -> list[Layer]:
        """Recurrent layers; the first one reads embeddings, which have their own dropout."""
        first = Layer(options.cell, inputs, width, directions)
        more = hidden, width, directions, dropout, options.residual, options.layer_norm
        return [first, *(Layer(options.cell, *more) for _ in range(1, count))]

    attends, before = options.attention != "none", options.attention == "bahdanau"
    attention = Attention(options.score, hidden, hidden) if attends else None
    directions = 2 if options.bidirectional else 1
    summed = options.bidirectional and options.directions == "sum"
    width = hidden if summed else hidden // directions
    below = layers(options.encoder_layers, embedding, width, directions)
    encoder = RecurrentEncoder(source, below, summed=summed, reverse=options.reverse_source)
    fed = hidden if before or options.input_feeding else 0  # what attention feeds back
    decoder = RecurrentDecoder(
        target,
        layers(options.decoder_layers, embedding + fed, hidden),
        attention,
        before=before,
        input_feeding=options.input_feeding,
        dropout=dropout,
    )
    counts = options.encoder_layers, options.decoder_layers
    bridge = Bridge(options.bridge, hidden, STATE_ROWS[options.cell], *counts)
    output = Output(hidden, target_vocabulary, target.weight if options.tied_output else None)
    copying = Copying(hidden, target_vocabulary) if options.copy else None
    return Seq2Seq(encoder, bridge, decoder, output, copying)
