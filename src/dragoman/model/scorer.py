"""A torch model behind the interface of :mod:`dragoman.search`: NumPy in, NumPy out.

    B sentences   Q hypotheses a sentence   S source   V vocabulary   K rows of state

The numbers of a sentence do not depend on its company. A product gives a row the same value
whatever other rows stand beside it, as long as their number is a multiple of 8 (for odd numbers,
libraries take other kernels, which round otherwise); and a source is padded to a width that is a
function of its own length. ``tests/search/test_invariance.py`` holds this bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dragoman.data.batches import pad
from dragoman.data.tokenizer import EOS, Ids
from dragoman.model.decoder import Memory
from dragoman.model.seq2seq import Seq2Seq
from dragoman.scorer import Scores

GROUP = 8
"""A batch is filled up with copies to a multiple of so many sentences, for the reason above."""
WIDTH = 8
"""Sources are padded to a multiple of this many positions."""


class TorchState(NamedTuple):
    """Where a batch of hypotheses stands."""

    rows: Tensor
    """[B, Q, K, H]."""
    memory: Memory
    sentences: int
    """Real sentences; those after them are filling."""


class TorchScorer:
    """Scores next tokens with a :class:`Seq2Seq`."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device

    def width(self, tokens: int) -> int:
        """Positions that a source of ``tokens`` ids is padded to; batches hold one width only."""
        return -(-(tokens + 1) // WIDTH) * WIDTH

    @torch.inference_mode()
    def start(self, sources: Sequence[Ids]) -> TorchState:
        """Encode the sources; one hypothesis each."""
        filling = -len(sources) % GROUP
        ids, mask = pad([*sources, *[sources[0]] * filling], last=EOS, multiple=WIDTH)
        memory = self.model.encode(ids.to(self.device), mask.to(self.device))
        return TorchState(memory.start.unsqueeze(1), memory, len(sources))

    @torch.inference_mode()
    def step(self, tokens: np.ndarray, state: TorchState) -> tuple[Scores, TorchState]:
        """Score what follows ``tokens`` [B, Q]."""
        token = torch.from_numpy(tokens).to(self.device)
        filling = state.rows.shape[0] - len(token)
        if filling:
            token = torch.cat((token, token[:1].expand(filling, -1)))
        log_probs, rows, weights = self.model.step(token, state.rows, state.memory)
        real = state.sentences
        return (
            Scores(
                log_probs[:real].cpu().numpy(),
                None if weights is None else weights[:real].cpu().numpy(),
            ),
            TorchState(rows, state.memory, real),
        )

    @torch.inference_mode()
    def select(
        self, state: TorchState, sentences: np.ndarray | None, parents: np.ndarray
    ) -> TorchState:
        """Keep ``sentences`` (all: None), each with the hypotheses ``parents`` [B', Q']."""
        rows, memory, real = state
        if sentences is not None:
            real = len(sentences)
            filling = np.repeat(sentences[:1], -real % GROUP)
            kept = torch.from_numpy(np.concatenate((sentences, filling))).to(self.device)
            rows, memory = rows[kept], Memory(*(part[kept] for part in memory))
        index = torch.from_numpy(parents).to(self.device)
        if len(index) < len(rows):
            index = torch.cat((index, index[:1].expand(len(rows) - len(index), -1)))
        if rows.shape[1] > 1 or index.shape[1] > 1:
            rows = rows[torch.arange(len(rows), device=self.device).unsqueeze(1), index]
        return TorchState(rows, memory, real)
