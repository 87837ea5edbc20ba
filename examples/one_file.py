"""A whole translator in one file, for reading: data, model, loss, training, search.

    python examples/one_file.py pairs.tsv        # a source, a tab and a target on each line

It is the model that `dragoman train` builds by default (a bidirectional GRU, Luong's attention
with the score "general"), written the plain way: no speed, no options, no checkpoints. With the
same weights it gives the same loss as the package, which a test holds it to.

    B batch   S source   T target   E embedding   H hidden   V vocabulary
"""

import random
import sys
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

PAD, UNK, BOS, EOS = range(4)
EMBEDDING, HIDDEN, DROPOUT = 128, 256, 0.1


# --- text to ids -----------------------------------------------------------------------------


class Vocabulary:
    """Numbers the words: the four special tokens first, then the most frequent words."""

    def __init__(self, lines: list[str], size: int = 8000) -> None:
        counts = Counter(word for line in lines for word in line.split())
        self.words = ["<pad>", "<unk>", "<s>", "</s>"]
        self.words += [word for word, _ in counts.most_common(size - 4)]
        self.numbers = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, line: str) -> Tensor:
        """Ids of the line's words, and the end."""
        return torch.tensor([self.numbers.get(word, UNK) for word in line.split()] + [EOS])

    def decode(self, ids: list[int]) -> str:
        """The words of ``ids``."""
        return " ".join(self.words[i] for i in ids)


def batches(pairs: list[tuple[Tensor, Tensor]], size: int) -> list[tuple[Tensor, Tensor]]:
    """Padded batches of pairs of about the same length, in random order: ids [B, S], [B, T]."""
    random.shuffle(pairs)
    ordered = sorted(pairs, key=lambda pair: len(pair[1]))
    groups = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    random.shuffle(groups)
    return [
        (
            pad_sequence([s for s, _ in group], batch_first=True),
            pad_sequence([t for _, t in group], batch_first=True),
        )
        for group in groups
    ]


# --- the model -------------------------------------------------------------------------------


class Encoder(nn.Module):
    """Reads a source sentence in both directions and gives one state for each word."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(DROPOUT)
        self.rnn = nn.GRU(embedding, hidden // 2, bidirectional=True, batch_first=True)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Ids [B, S] -> states [B, S, H] and the last states of both directions [B, H]."""
        lengths = (source != PAD).sum(1)
        x = self.dropout(self.embedding(source))  # [B, S, E]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, last = self.rnn(packed)  # the backward direction begins at the last real word
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        return states, torch.cat((last[0], last[1]), -1)


class Decoder(nn.Module):
    """Scores the next target word, given the target so far and the encoded source."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(DROPOUT)
        self.bridge = nn.Linear(hidden, hidden)
        self.rnn = nn.GRU(embedding, hidden, batch_first=True)
        self.key = nn.Linear(hidden, hidden, bias=False)
        self.combine = nn.Linear(2 * hidden, hidden, bias=False)
        self.output = nn.Linear(hidden, vocabulary)

    def begin(self, last: Tensor) -> Tensor:
        """The encoder's last states [B, H] -> the decoder's first [1, B, H]."""
        return torch.tanh(self.bridge(last)).unsqueeze(0)

    def forward(
        self, target: Tensor, state: Tensor, states: Tensor, real: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read target words and score what follows each.

        Args:
            target: ids [B, T]; one word at a time in search, all at once in training, for
                attention comes after the RNN and never feeds back into it.
            state: [1, B, H].
            states: of the encoder [B, S, H].
            real: [B, S], false on padding.

        Returns:
            Scores [B, T, V], the new state, and attention weights [B, T, S].
        """
        x = self.dropout(self.embedding(target))  # [B, T, E]
        h, state = self.rnn(x, state)  # [B, T, H]
        energies = h @ self.key(states).transpose(1, 2)  # h . W s: Luong 2015, eq. 8  [B, T, S]
        weights = energies.masked_fill(~real.unsqueeze(1), -torch.inf).softmax(-1)
        context = weights @ states  # [B, T, H]
        features = torch.tanh(self.combine(torch.cat((context, h), -1)))  # eq. 5
        return self.output(self.dropout(features)), state, weights


class Translator(nn.Module):
    """Encoder and decoder together."""

    def __init__(
        self, source: int, target: int, embedding: int = EMBEDDING, hidden: int = HIDDEN
    ) -> None:
        super().__init__()
        self.encoder = Encoder(source, embedding, hidden)
        self.decoder = Decoder(target, embedding, hidden)

    def loss(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the known target [B, T], summed over its real words, and their number.

        The decoder reads the target behind a begin token and is scored on every word and the end.
        """
        begin = torch.full_like(target[:, :1], BOS)
        read = torch.cat((begin, target[:, :-1]), 1)
        states, last = self.encoder(source)
        scores, _, _ = self.decoder(read, self.decoder.begin(last), states, source != PAD)
        losses = nn.functional.cross_entropy(
            scores.flatten(0, 1), target.flatten(), reduction="none"
        )
        real = target.flatten() != PAD
        return losses[real].sum(), real.sum()

    @torch.no_grad()
    def translate(self, source: Tensor, most: int = 50) -> list[int]:
        """Greedy search for one sentence: ids [S] -> ids, without the end token."""
        states, last = self.encoder(source.unsqueeze(0))
        state, words = self.decoder.begin(last), [BOS]
        real = torch.ones(1, len(source), dtype=torch.bool)
        while len(words) <= most:
            scores, state, _ = self.decoder(torch.tensor([words[-1:]]), state, states, real)
            word = int(scores[0, -1].argmax())
            if word == EOS:
                break
            words.append(word)
        return words[1:]


# --- training --------------------------------------------------------------------------------


def train(path: str, epochs: int = 10) -> None:
    """Learn from a file of pairs; after each epoch, translate three pairs that were held out."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t")[:2] for line in lines]
    random.seed(1)
    torch.manual_seed(1)
    random.shuffle(rows)
    held_out, rows = rows[:3], rows[3:]
    source, target = (Vocabulary([row[side] for row in rows]) for side in (0, 1))
    pairs = [(source.encode(s), target.encode(t)) for s, t in rows]
    model = Translator(len(source), len(target))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        model.train()
        total = words = 0.0
        for batch in batches(pairs, 64):
            loss, count = model.loss(*batch)
            optimizer.zero_grad()
            (loss / count).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total, words = total + float(loss), words + int(count)
        model.eval()
        print(f"epoch {epoch + 1}: loss {total / words:.3f} a word")
        for text, reference in held_out:
            said = target.decode(model.translate(source.encode(text)))
            print(f"  > {text}\n  = {reference}\n  < {said}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/one_file.py pairs.tsv")
    train(sys.argv[1])
