"""The loop that the tutorials teach, in plain PyTorch: the baseline that their readers come from.

A packed GRU encoder, a decoder that is called token by token, its output layer and log-softmax
each time, teacher forcing, a masked loss, clipping. The energies of the attention are computed one
by one in two Python loops (``looped``), or those of a step at once (``batched``).

    S source   T target   B batch   D directions   L layers   E embedding   H hidden   V vocabulary

    python -m benchmarks.tutorial_loop w0 --words FOLDER --energies looped
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.words import SIDES, Words
from benchmarks.workloads import WORKLOADS, Workload

PAD, UNK, BOS, EOS = range(4)


class Encoder(nn.Module):
    """Embedding and GRU over a packed batch; two directions are summed or concatenated."""

    def __init__(self, w: Workload, vocabulary: int) -> None:
        super().__init__()
        self.ways, self.summed = 1 + w.bidirectional, w.directions == "sum"
        width = w.hidden // 2 if w.bidirectional and not self.summed else w.hidden
        self.embedding = nn.Embedding(vocabulary, w.embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(w.dropout)
        self.gru = nn.GRU(
            w.embedding,
            width,
            w.layers,
            bidirectional=w.bidirectional,
            dropout=w.dropout if w.layers > 1 else 0.0,
        )

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Ids [S, B] by falling length -> outputs [S, B, H] and final states [L, B, H]."""
        x = self.dropout(self.embedding(source))  # [S, B, E]
        outputs, last = self.gru(pack_padded_sequence(x, lengths))
        outputs, _ = pad_packed_sequence(outputs)  # [S, B, D x width]
        last = last.unflatten(0, (-1, self.ways))  # [L, D, B, width]
        if self.summed:
            return torch.stack(outputs.chunk(2, -1)).sum(0), last.sum(1)
        return outputs, last.transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Luong 2015, eq. 8: ``dot``, ``general`` or ``concat`` (with its tanh)."""

    def __init__(self, score: str, hidden: int, energies: str) -> None:
        super().__init__()
        self.score, self.looped = score, energies == "looped"
        if score != "dot":
            self.linear = nn.Linear(hidden * (2 if score == "concat" else 1), hidden)
            self.v = nn.Parameter(torch.randn(hidden) * hidden**-0.5)

    def energy(self, state: Tensor, outputs: Tensor) -> Tensor:
        """Of a state and an output, [H] and [H]; or of many: [B, H] and [S, B, H] -> [S, B]."""
        if self.score == "dot":
            return (state * outputs).sum(-1)
        if self.score == "general":
            return (state * self.linear(outputs)).sum(-1)
        both = torch.cat((state.expand_as(outputs), outputs), -1)
        return torch.tanh(self.linear(both)) @ self.v

    def energies(self, state: Tensor, outputs: Tensor) -> Tensor:
        """Of one step: [B, H] and [S, B, H] -> [B, S]."""
        if not self.looped:
            return self.energy(state, outputs).t()
        rows = state.new_zeros(outputs.shape[1], outputs.shape[0])
        for b in range(rows.shape[0]):
            for s in range(rows.shape[1]):
                rows[b, s] = self.energy(state[b], outputs[s, b])
        return rows

    def forward(self, state: Tensor, outputs: Tensor, mask: Tensor) -> Tensor:
        """The context [B, H]; ``mask`` [B, S] is false on padding."""
        weights = self.energies(state, outputs).masked_fill(~mask, -1e9).softmax(-1)
        return torch.bmm(weights.unsqueeze(1), outputs.transpose(0, 1)).squeeze(1)


class Decoder(nn.Module):
    """One token at a time."""

    def __init__(self, w: Workload, vocabulary: int, score: str, energies: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, w.embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(w.dropout)
        dropout = w.dropout if w.layers > 1 else 0.0
        self.gru = nn.GRU(w.embedding, w.hidden, w.layers, dropout=dropout)
        self.attention = None if score == "none" else Attention(score, w.hidden, energies)
        self.combine = nn.Linear(2 * w.hidden, w.hidden) if self.attention else None
        self.out = nn.Linear(w.hidden, vocabulary)

    def forward(
        self, token: Tensor, hidden: Tensor, outputs: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Ids [B] and states [L, B, H] -> log-probabilities [B, V] and the new states."""
        x = self.dropout(self.embedding(token)).unsqueeze(0)  # [1, B, E]
        if self.attention is None:
            x = F.relu(x)
        state, hidden = self.gru(x, hidden)
        features = state.squeeze(0)  # [B, H]
        if self.attention is not None and self.combine is not None:
            context = self.attention(features, outputs, mask)
            features = torch.tanh(self.combine(torch.cat((features, context), -1)))
        return F.log_softmax(self.out(features), -1), hidden


class Tutorial(nn.Module):
    """Encoder and decoder.

    Args:
        w: the sizes.
        vocabularies: numbers of source and target tokens.
        score: ``dot``, ``general``, ``concat`` or ``none``.
        energies: ``looped`` or ``batched``.
    """

    def __init__(
        self, w: Workload, vocabularies: tuple[int, int], score: str, energies: str
    ) -> None:
        super().__init__()
        self.encoder = Encoder(w, vocabularies[0])
        self.decoder = Decoder(w, vocabularies[1], score, energies)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """The mean loss over real target tokens: ids [S, B] and [T, B], each with its end token."""
        outputs, hidden = self.encoder(source, lengths)
        mask = (source != PAD).t()
        token = torch.full_like(target[0], BOS)
        loss, count = outputs.new_zeros(()), 0
        for right in target:
            scores, hidden = self.decoder(token, hidden, outputs, mask)
            real = right != PAD
            loss = loss - scores.gather(1, right.unsqueeze(1)).squeeze(1)[real].sum()
            count += int(real.sum())
            token = right
        return loss / count


def batches(
    words: Words, size: int, device: str, seed: int = 1
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Random pairs, for ever: source [S, B] by falling length, its lengths, target [T, B]."""
    numbers = [
        {word: at for at, word in enumerate(words.vocabulary(side), start=4)} for side in SIDES
    ]
    sides = [
        [torch.tensor([number.get(word, UNK) for word in line] + [EOS]) for line in lines]
        for number, lines in zip(numbers, (words.sentences("train", s) for s in SIDES), strict=True)
    ]
    draw = random.Random(seed)
    while True:
        rows = [draw.randrange(len(sides[0])) for _ in range(size)]
        rows.sort(key=lambda row: -len(sides[0][row]))
        source, target = ([side[row] for row in rows] for side in sides)
        lengths = torch.tensor([len(ids) for ids in source])
        yield pad_sequence(source).to(device), lengths, pad_sequence(target).to(device)


def main() -> None:
    """Train until killed, and say the speed of every two steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--energies", choices=("looped", "batched"), default="batched")
    parser.add_argument("--score", choices=("dot", "general", "concat"), default="general")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(1)
    w, words = WORKLOADS[asked.workload], Words(asked.words)
    sizes = len(words.vocabulary("src")) + 4, len(words.vocabulary("tgt")) + 4
    score = "none" if w.attention == "none" else asked.score
    model = Tutorial(w, sizes, score, asked.energies).to(asked.device)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters")
    rates = ((model.encoder, w.learning_rate), (model.decoder, w.learning_rate * w.decoder_rate))
    groups = [{"params": list(part.parameters()), "lr": rate} for part, rate in rates]
    rmsprop = w.optimizer == "rmsprop"
    optimizer = (
        torch.optim.RMSprop(groups, momentum=w.momentum) if rmsprop else torch.optim.Adam(groups)
    )
    began, tokens = time.perf_counter(), 0
    for step, (source, lengths, target) in enumerate(batches(words, w.batch, asked.device), 1):
        loss = model(source, lengths, target)
        optimizer.zero_grad()
        loss.backward()
        if w.clip:
            for part, _ in rates:
                nn.utils.clip_grad_norm_(part.parameters(), w.clip)
        optimizer.step()
        tokens += int((target != PAD).sum())
        if step % 2 == 0:
            speed = tokens / (time.perf_counter() - began)
            print(f"step {step}: loss {loss.item():.3f}, {speed:.1f} target tokens/s")
            began, tokens = time.perf_counter(), 0


if __name__ == "__main__":
    main()
