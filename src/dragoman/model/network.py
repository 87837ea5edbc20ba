"""A model in torch as a :class:`dragoman.search.network.Network`: how a GPU searches.

B sentences   N hypotheses   S source positions   V vocabulary   C best words
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.source import Source, pad
from dragoman.data.tokenizer import EOS
from dragoman.model.protocols import Cells, Memory
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.network import Query, Scores


class TorchNetwork:
    """Encodes and steps with a :class:`Seq2Seq`, whose weights must not change meanwhile.

    On a processor :class:`dragoman.runtime.network.OnnxNetwork` is faster, and there a sentence's
    numbers do not depend on the others of a batch.

    Args:
        model: the model; this puts it into evaluation mode.
    """

    multiple = 16
    """Matrix libraries compute the last rows of other numbers by other instructions."""
    concurrency = 1
    """Torch uses the whole device for one batch."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self.copies, self.attends = model.copying is not None, model.decoder.attends

    @torch.inference_mode()
    def encode(self, sources: Sequence[Source], width: int) -> tuple[Memory, Any]:
        """Encode B sources, padded to ``width`` positions: their memory, and the first states."""
        ids, mask = pad([source.ids for source in sources], last=EOS, multiple=width)
        copies, _ = pad([source.copies for source in sources], multiple=width)
        return self.model.encode(self._tensor(ids), self._tensor(mask), self._tensor(copies))

    @torch.inference_mode()
    def step(self, query: Query, state: Any, memory: Memory) -> tuple[Scores, Any]:
        """Score what follows the last tokens of N hypotheses."""
        tokens, cells, slots, top, never = query
        at, words = Cells(self._tensor(cells), slots), None
        step = self.model.decoder.stepper(memory, at)
        features, state, weights = step(self._tensor(tokens), state)
        log_probs = self.model.scores(features, weights, memory.copies[at.places // slots])
        log_probs[:, list(never)] = -math.inf
        if top:
            log_probs, words = log_probs.topk(min(top, log_probs.shape[1]), 1)
        found = log_probs, words, weights
        return Scores._make(None if one is None else one.cpu().numpy() for one in found), state

    def _tensor(self, values: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.device)
