"""The count of products against a counter of operations on a plain model of the same sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.limit import Limit, products
from benchmarks.words import Words
from benchmarks.workloads import Workload

SOURCE, TARGET, BATCH, EMBEDDING, HIDDEN, VOCABULARY = 7, 11, 5, 13, 34, 23


class Plain(nn.Module):
    """Every product of a workload, by torch's own layers, in the most obvious order."""

    def __init__(self, w: Workload) -> None:
        super().__init__()
        self.w, lstm = w, w.cell == "lstm"
        layer = nn.LSTM if lstm else nn.GRU
        self.encoder = layer(w.embedding, w.width, w.layers, bidirectional=w.bidirectional)
        self.decoder = layer(w.embedding, w.hidden, w.layers)
        self.fed = nn.GRUCell(w.embedding + w.hidden, w.hidden)
        self.key = nn.Linear(w.hidden, w.hidden, bias=False)
        self.query = nn.Linear(w.hidden, w.hidden)
        self.energy = nn.Linear(w.hidden, 1, bias=False)
        self.combine = nn.Linear(2 * w.hidden, w.hidden)
        self.output = nn.Linear(w.hidden, VOCABULARY)

    def join(self, ways: list[Tensor]) -> Tensor:
        return torch.stack(ways).sum(0) if self.w.directions == "sum" else torch.cat(ways, -1)

    def forward(self, source: Tensor, target: Tensor, zero: Tensor) -> Tensor:
        ways = 1 + self.w.bidirectional
        lstm = self.w.cell == "lstm"
        states, final = self.encoder(source, (zero, zero) if lstm else zero)
        states = self.join(list(states.chunk(ways, -1))).transpose(0, 1)  # [B, S, H]
        first = [
            self.join(list(state.unflatten(0, (-1, ways)).unbind(1)))  # [L, B, H]
            for state in (final if lstm else (final,))
        ]
        if self.w.attention == "bahdanau":
            keys, h, features = self.key(states), first[0][0], []
            for x in target:
                energies = self.energy(torch.tanh(keys + self.query(h).unsqueeze(1)))  # [B, S, 1]
                context = torch.bmm(energies.softmax(1).transpose(1, 2), states).squeeze(1)
                h = self.fed(torch.cat((x, context), -1), h)
                features.append(torch.cat((context, h), -1))
            return self.output(torch.tanh(self.combine(torch.stack(features, 1))))
        queries, _ = self.decoder(target, tuple(first) if lstm else first[0])
        queries = queries.transpose(0, 1)  # [B, T, H]
        if self.w.attention == "luong":
            weights = torch.bmm(queries, self.key(states).transpose(1, 2)).softmax(-1)
            both = torch.cat((torch.bmm(weights, states), queries), -1)
            queries = torch.tanh(self.combine(both))
        return self.output(queries)


class PlainTransformer(nn.Module):
    """The products of a Transformer; each target position reads those before it one by one."""

    def __init__(self, w: Workload) -> None:
        super().__init__()
        width, inner = w.hidden, w.feed_forward
        self.w = w

        def layers(count: int, products: int) -> nn.ModuleList:
            square = [nn.Linear(width, width) for _ in range(products)]
            feed = [nn.Linear(width, inner), nn.Linear(inner, width)]
            return nn.ModuleList(nn.ModuleList([*square, *feed]) for _ in range(count))

        self.encoder, self.decoder = layers(w.encoder_layers, 4), layers(w.decoder_layers, 8)
        self.output = nn.Linear(width, VOCABULARY)

    def look(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        heads = (x.unflatten(-1, (self.w.heads, -1)).transpose(1, 2) for x in (query, key, value))
        query, key, value = heads  # [B, A, T or S, D]
        return ((query @ key.transpose(2, 3)).softmax(-1) @ value).transpose(1, 2).flatten(2)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        for query, key, value, out, first, last in self.encoder:  # type: ignore[misc]
            source = out(self.look(query(source), key(source), value(source)))
            source = last(first(source).relu())
        for layer in self.decoder:
            query, key, value, out, asked, keys, values, told, first, last = layer  # type: ignore[misc]
            queries, known, read = query(target), key(target), value(target)
            seen = (
                self.look(queries[:, t : t + 1], known[:, : t + 1], read[:, : t + 1])
                for t in range(target.shape[1])
            )
            target = out(torch.cat(list(seen), 1))
            target = told(self.look(asked(target), keys(source), values(source)))
            target = last(first(target).relu())
        return self.output(target)


def test_products_of_a_transformer_are_those_that_a_plain_model_computes() -> None:
    sizes = {"encoder_layers": 3, "decoder_layers": 2, "heads": 2, "feed_forward": 29}
    w = Workload("tiny", "", family="transformer", hidden=HIDDEN, **sizes)
    source, target = (
        torch.zeros(BATCH, count, HIDDEN, requires_grad=True) for count in (SOURCE, TARGET)
    )
    with FlopCounterMode(display=False) as counter:
        PlainTransformer(w)(source, target).sum().backward()
    counted = products(w, VOCABULARY, [(SOURCE, TARGET)] * BATCH)
    assert sum(counted.values()) == counter.get_total_flops()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "lstm", "layers": 2},
        {"attention": "bahdanau"},
        {"attention": "none", "bidirectional": False},
        {"directions": "sum"},
    ],
    ids=str,
)
def test_products_are_those_that_a_plain_model_computes(options: dict[str, object]) -> None:
    w = Workload("tiny", "", embedding=EMBEDDING, hidden=HIDDEN, **options)  # type: ignore[arg-type]
    model = Plain(w).double()  # in fp32 an LSTM would go through oneDNN, which is not counted
    first = w.layers * (1 + w.bidirectional), BATCH, w.width
    inputs = [
        torch.zeros(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((SOURCE, BATCH, EMBEDDING), (TARGET, BATCH, EMBEDDING), first)
    ]
    answers = torch.randint(VOCABULARY, (BATCH * TARGET,))
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(*inputs).flatten(0, 1), answers).backward()
    counted = products(w, VOCABULARY, [(SOURCE, TARGET)] * BATCH)
    assert sum(counted.values()) == counter.get_total_flops()


def test_only_real_tokens_and_end_tokens_count(tmp_path: Path) -> None:
    for name, text in {"train.src": "a b\na\n", "train.tgt": "x y z\nx\n"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "vocabulary.tgt").write_text("x\ny\nz\n")
    w = Workload("tiny", "", embedding=2, hidden=4)
    limit = Limit.of(w, Words(tmp_path))
    assert limit.tokens == 4 + 2
    # Worked by hand: source 3 + 2, both 3 x 4 + 2 x 2, vocabulary 3 + 4 special tokens.
    assert limit.products == {
        "encoder": 6 * 5 * 2 * 3 * 2 * (2 + 2),
        "decoder": 6 * 6 * 3 * 4 * (2 + 4),
        "attention": 6 * (5 * 4 * 4 + 2 * 16 * 4),
        "combine": 6 * 6 * 8 * 4,
        "output": 6 * 6 * 4 * 7,
    }
    per_token = sum(limit.products.values()) / 6
    assert limit.tokens_per_second(per_token / 1e9) == pytest.approx(1.0)
