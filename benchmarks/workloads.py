"""What is trained: words and sizes that every program is given alike."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Workload:
    """One model on one set of words (see :data:`benchmarks.words.SETS`).

    ``hidden`` is the width of the decoder and of the encoder's output: with ``concat`` each
    direction of the encoder has half of it, with ``sum`` all. Attention is ``luong`` (general,
    after the RNN), ``bahdanau`` (additive, fed into the RNN) or ``none``.

    The family ``transformer`` has numbers of layers for each side, heads and the width of the
    feed-forward part; cell, attention, ``layers`` and the two options of directions mean nothing
    there.
    """

    name: str
    summary: str
    words: str = "multi30k"
    family: str = "recurrent"
    cell: str = "gru"
    attention: str = "luong"
    embedding: int = 256
    hidden: int = 512
    layers: int = 1
    bidirectional: bool = True
    directions: str = "concat"
    encoder_layers: int = 0
    decoder_layers: int = 0
    heads: int = 0
    feed_forward: int = 0
    dropout: float = 0.2
    batch: int = 64
    optimizer: str = "adam"
    momentum: float = 0.0
    learning_rate: float = 1e-3
    decoder_rate: float = 1.0
    clip: float = 1.0

    @property
    def width(self) -> int:
        """Of one direction of the encoder."""
        halved = self.bidirectional and self.directions == "concat"
        return self.hidden // 2 if halved else self.hidden


_W1 = Workload("w1", "bi-GRU 2 x 256, GRU 512, Luong general, 8 k / 6 k words")

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "w0",
            "the tutorial's model: bi-GRU 2 x 500 summed, GRU 500, 2 layers, Luong general",
            embedding=500,
            hidden=500,
            layers=2,
            directions="sum",
            dropout=0.1,
            clip=50.0,
            learning_rate=1e-4,
            decoder_rate=5.0,
        ),
        Workload(
            "w0d",
            "the tutorial's model without attention: GRU 128, 22 k / 13 k words",
            words="tatoeba-letters",
            attention="none",
            embedding=128,
            hidden=128,
            bidirectional=False,
            batch=32,
            optimizer="rmsprop",
            momentum=0.9,
            clip=0.0,
        ),
        _W1,
        replace(_W1, name="w2", summary="W1 with LSTM, 2 layers", cell="lstm", layers=2),
        replace(_W1, name="w3", summary="W1 with Bahdanau attention", attention="bahdanau"),
        replace(_W1, name="w4", summary="W1 with 32 k words a side", words="multi30k-32k"),
        replace(_W1, name="w5", summary="W1 with 1,024 units", hidden=1024),
        Workload(
            "w6",
            "W1's words, Transformer of 4 + 2 layers, 256 / 1,024, 4 heads",
            family="transformer",
            hidden=256,
            encoder_layers=4,
            decoder_layers=2,
            heads=4,
            feed_forward=1024,
        ),
        replace(_W1, name="multi30k", summary="W1's words and sizes, to the end"),
        replace(_W1, name="tatoeba", words="tatoeba", summary="Tatoeba fr-en, W1's sizes"),
    )
}
