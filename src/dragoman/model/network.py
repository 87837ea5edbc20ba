"""A model in torch as a :class:`dragoman.search.network.Network`.

B sentences   N hypotheses   S source positions   V vocabulary   C best words   K rows of state
"""

import math
from collections.abc import Sequence
from threading import Lock, Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.batches import pad
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS
from dragoman.model.linear import fixed
from dragoman.model.protocols import Cells, Memory
from dragoman.model.seq2seq import Seq2Seq
from dragoman.search.network import Integers, Scores

_PREPARING = Lock()
"""Held while a thread is prepared, because that changes torch's default number of threads."""


class TorchNetwork:
    """Encodes and steps with a :class:`Seq2Seq`, whose weights must not change meanwhile.

    Args:
        model: the model; this puts it into evaluation mode.
    """

    multiple = 16
    """Matrix libraries compute the last rows of other numbers by other instructions."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self.products = model.decoder.products(fixed)
        self.output = model.output.product(fixed)
        self.gate = None if model.copying is None else model.copying.product(fixed)
        self.copies = model.copying is not None
        self.attends = model.decoder.attends

    @property
    def concurrency(self) -> int:
        """On a processor, one batch for each thread that torch uses."""
        return torch.get_num_threads() if self.device.type == "cpu" else 1

    def prepare_thread(self) -> None:
        """Let torch use one thread for what the calling thread computes.

        OpenMP keeps a number of threads for each thread. Torch's setter also changes the default
        for threads that start later: a second, empty thread sets the default back.
        """
        with _PREPARING:
            threads = torch.get_num_threads()  # also keeps torch from setting it later
            torch.set_num_threads(1)
            other = Thread(target=torch.set_num_threads, args=(threads,))
            other.start()
            other.join()

    @torch.inference_mode()
    def encode(self, sources: Sequence[Source], width: int) -> tuple[Memory, Any]:
        """Encode B sources, padded to ``width`` positions: their memory, and the first states."""
        ids, mask = pad([source.ids for source in sources], last=EOS, multiple=width)
        copies, _ = pad([source.copies for source in sources], multiple=width)
        ids, mask, copies = (tensor.to(self.device) for tensor in (ids, mask, copies))
        return self.model.encode(ids, mask, copies, make=fixed)

    @torch.inference_mode()
    def step(
        self,
        tokens: Integers,
        state: Any,
        memory: Memory,
        cells: Integers,
        slots: int,
        top: int | None = None,
        never: Sequence[int] = (),
    ) -> tuple[Scores, Any]:
        """Score what follows ``tokens`` [N]."""
        model, at = self.model, Cells(self._tensor(cells), slots)
        step = model.decoder.stepper(memory, self.products, at)
        features, state, weights = step(self._tensor(tokens), state)
        words = None
        if model.copying is None:
            log_probs, words = model.output.best(features, top, never, self.output)
        else:
            copies = memory.copies[at.places // slots]
            log_probs = model.scores(features, weights, copies, self.output, self.gate)
            log_probs[:, list(never)] = -math.inf
            if top is not None:
                log_probs, words = log_probs.topk(min(top, log_probs.shape[1]), 1)
        looked = None if weights is None else weights.cpu().numpy()
        best = None if words is None else words.cpu().numpy()
        return Scores(log_probs.cpu().numpy(), best, looked), state

    def _tensor(self, values: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self.device)
