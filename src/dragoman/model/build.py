"""Builds the model that the options describe; the other files here read no options."""

from dragoman.config.options import ModelOptions
from dragoman.model.attention import Attention
from dragoman.model.copying import Copying
from dragoman.model.embedding import Embedding
from dragoman.model.output import Output, PositionOutput, SparseOutput
from dragoman.model.protocols import Encoder
from dragoman.model.recurrent.cells import STATE_ROWS
from dragoman.model.recurrent.decoder import RecurrentDecoder
from dragoman.model.recurrent.encoder import Bridge, RecurrentEncoder
from dragoman.model.recurrent.layer import Layer
from dragoman.model.recurrent.monotonic import MonotonicDecoder
from dragoman.model.seq2seq import Parts, Seq2Seq
from dragoman.model.transformer.decoder import TransformerDecoder
from dragoman.model.transformer.encoder import Layer as TransformerLayer
from dragoman.model.transformer.encoder import TransformerEncoder


def build_model(
    options: ModelOptions, *, source_vocabulary: int, target_vocabulary: int
) -> Seq2Seq:
    """Build the model that ``options`` describe.

    Weights are drawn from torch's global generator: seed it first. The order in which the parts are
    built must stay, so that a seed keeps giving the same weights.

    Args:
        options: without ``"auto"``, except that ``attention`` then is built as ``"luong"`` and
            ``copy`` as False.
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens, V.
    """
    embedding, hidden, dropout = options.embedding, options.hidden, options.dropout
    assert embedding != "auto" and hidden != "auto" and dropout != "auto", "resolve options first"
    source = target = Embedding(source_vocabulary, embedding, dropout)
    if not options.shared_embeddings:
        target = Embedding(target_vocabulary, embedding, dropout)

    build = _transformer if options.family == "transformer" else _recurrent
    _, _, decoder = parts = build(options, source, target)
    kind = SparseOutput if options.output_probabilities == "entmax" else Output
    kind = PositionOutput if options.attention == "monotonic" else kind
    output = kind(hidden, target_vocabulary, target.weight if options.tied_output else None)
    if isinstance(decoder, MonotonicDecoder) and isinstance(output, PositionOutput):
        decoder.words = output.words
    return Seq2Seq(parts, output, Copying(hidden, target_vocabulary) if options.copies else None)


def _recurrent(options: ModelOptions, source: Embedding, target: Embedding) -> Parts:
    """A recurrent decoder; its encoder is recurrent, or a Transformer of the family hybrid."""
    embedding, hidden, dropout = int(options.embedding), int(options.hidden), float(options.dropout)

    def layers(count: int, inputs: int, width: int, directions: int = 1) -> list[Layer]:
        """Recurrent layers; the first one reads embeddings, which have their own dropout."""
        first = Layer(options.cell, inputs, width, directions)
        more = hidden, width, directions, dropout, options.residual, options.layer_norm
        return [first, *(Layer(options.cell, *more) for _ in range(1, count))]

    attends, before = options.attention != "none", options.attention == "bahdanau"
    power = {"softmax": 0, "sparsemax": 1, "entmax": 2}[options.attention_weights]
    attention = Attention(options.score, hidden, hidden, power=power) if attends else None
    rows = STATE_ROWS[options.cell], options.encoder_layers, options.decoder_layers
    if options.family == "hybrid":
        encoder: Encoder = TransformerEncoder(source, _layers(options, reads=False))
        rows = 1, 1, rows[0] * options.decoder_layers
    else:
        directions = 2 if options.bidirectional else 1
        summed = options.bidirectional and options.directions == "sum"
        width = hidden if summed else hidden // directions
        below = layers(options.encoder_layers, embedding, width, directions)
        encoder = RecurrentEncoder(source, below, summed=summed, reverse=options.reverse_source)
    fed = hidden if before or options.input_feeding else 0  # what attention feeds back
    above, feeding = layers(options.decoder_layers, embedding + fed, hidden), options.input_feeding
    kind = MonotonicDecoder if options.attention == "monotonic" else RecurrentDecoder
    decoder = kind(target, above, attention, before=before, input_feeding=feeding, dropout=dropout)
    return encoder, Bridge(options.bridge, hidden, *rows), decoder


def _transformer(options: ModelOptions, source: Embedding, target: Embedding) -> Parts:
    """A Transformer on both sides; the decoder's first state holds nothing of the source."""
    encoder = TransformerEncoder(source, _layers(options, reads=False))
    decoder = TransformerDecoder(target, _layers(options, reads=True))
    return encoder, Bridge("copy", int(options.hidden), 1, 1, 1), decoder


def _layers(options: ModelOptions, *, reads: bool) -> list[TransformerLayer]:
    """The layers of one side of a Transformer."""
    group, width, dropout = options.transformer, int(options.hidden), float(options.dropout)
    count = group.decoder_layers if reads else group.encoder_layers
    sizes = width, group.feed_forward or 4 * width, group.heads, dropout
    return [TransformerLayer(*sizes, reads=reads) for _ in range(count)]
