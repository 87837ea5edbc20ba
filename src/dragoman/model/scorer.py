"""A torch model behind the interface of :mod:`dragoman.search`: NumPy in, NumPy out.

    B sentences   N hypotheses   S source   V vocabulary   C best words   K rows of state

The numbers of a hypothesis do not depend on its company. A product gives a row the same value
whatever other rows stand beside it (:mod:`dragoman.model.products`; other libraries, as long as
their number is a multiple of 8); attention has room for the whole beam of a sentence at every step;
and a source is padded to a width that is a function of its own length.
``tests/search/test_invariance.py`` holds this bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.batches import pad
from dragoman.data.tokenizer import EOS, Ids
from dragoman.model.decoder import Memory, Places
from dragoman.model.products import reordering
from dragoman.model.seq2seq import Seq2Seq
from dragoman.scorer import Scores

GROUP = 8
"""Sentences and hypotheses are filled up with copies to a multiple of this, for that reason."""
WIDTH = 8
"""Sources are padded to a multiple of this many positions."""
_THREADS = RLock()
"""Held while torch's number of threads, which the whole process shares, is changed."""
_WORTH_LEAVING = 0.75
"""Sentences leave the memory when no more than this share of it is still needed."""


Source = Ids | tuple[Ids, Ids]


class TorchState(NamedTuple):
    """Where a batch of hypotheses stands."""

    rows: Tensor
    """[N, K, H], filling included."""
    memory: Memory
    sentences: npt.NDArray[np.int64]
    """The row of ``memory`` that each hypothesis reads, [N], without filling."""
    places: Places
    reordered: dict[Any, Tensor]
    """The batch's own copies of weights, in the order in which products are fastest."""


class TorchScorer:
    """Scores next tokens with a :class:`Seq2Seq`."""

    def __init__(self, model: Seq2Seq) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device
        self.copies = model.copying is not None

    def width(self, source: Source) -> int:
        """Positions that a source is padded to; batches hold one width only."""
        return _filled(len(source[0] if isinstance(source, tuple) else source) + 1, WIDTH)

    @contextmanager
    def at_once(self) -> Iterator[int]:
        """Give every thread that torch may use a batch of its own."""
        with _THREADS:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                yield threads if self.device.type == "cpu" else 1
            finally:
                torch.set_num_threads(threads)

    @torch.inference_mode()
    def start(self, sources: Sequence[Source], beam: int) -> TorchState:
        """Encode the sources; one hypothesis each."""
        sentences = np.arange(len(sources))
        sources = [*sources, *[sources[0]] * (_filled(len(sources), GROUP) - len(sources))]
        both = [source if isinstance(source, tuple) else (source, source[:0]) for source in sources]
        ids, mask = pad([source for source, _ in both], last=EOS, multiple=WIDTH)
        copies = None
        if self.model.copying is not None:
            copies = pad([words for _, words in both], multiple=WIDTH)[0].to(self.device)
        with reordering({}):  # steps multiply by other weights
            memory = self.model.encode(ids.to(self.device), mask.to(self.device), copies)
        return TorchState(memory.start, memory, sentences, self._places(sentences, beam), {})

    @torch.inference_mode()
    def step(
        self, tokens: npt.NDArray[np.int64], state: TorchState, top: int | None = None
    ) -> tuple[Scores, TorchState]:
        """Score what follows ``tokens`` [N]."""
        count, places = len(tokens), state.places
        filling = tokens[:1].repeat(len(state.rows) - count)
        token = self._tensor(np.concatenate((tokens, filling))).unsqueeze(1)
        memory = state.memory._replace(copies=state.memory.copies[places.at // places.width])
        words = None
        with reordering(state.reordered):
            features, rows, weights = self.model.step(
                token, state.rows.unsqueeze(1), state.memory, places
            )
            if top is None:
                log_probs = self.model.scores(features, weights, memory).squeeze(1)
            else:
                log_probs, best = self.model.best(features, weights, memory, top)
                words = best[:count].cpu().numpy()
        looked = None if weights is None else weights[:count, 0].cpu().numpy()
        scores = Scores(log_probs[:count].cpu().numpy(), words, looked)
        return scores, state._replace(rows=rows.squeeze(1))

    @torch.inference_mode()
    def select(self, state: TorchState, parents: npt.NDArray[np.int64]) -> TorchState:
        """Go on with hypotheses that continue ``parents`` [N']; their sentences stay in order."""
        filling = parents[:1].repeat(_filled(len(parents), GROUP) - len(parents))
        rows = state.rows[self._tensor(np.concatenate((parents, filling)))]
        memory, sentences = state.memory, state.sentences[parents]
        left = sentences[np.flatnonzero(np.diff(sentences, prepend=-1))]  # those with a hypothesis
        filled = _filled(len(left), GROUP)
        if filled <= _WORTH_LEAVING * len(memory.mask):
            kept = self._tensor(np.concatenate((left, left[:1].repeat(filled - len(left)))))
            memory = Memory(*(part[kept] for part in memory))
            sentences = np.searchsorted(left, sentences)
        places = self._places(sentences, state.places.width)
        return TorchState(rows, memory, sentences, places, state.reordered)

    def _places(self, sentences: npt.NDArray[np.int64], width: int) -> Places:
        """Number the hypotheses within their sentences; filling stands where the first does."""
        first = np.searchsorted(sentences, sentences)
        index = sentences * width + np.arange(len(sentences)) - first
        filling = index[:1].repeat(_filled(len(index), GROUP) - len(index))
        return Places(self._tensor(np.concatenate((index, filling))), width)

    def _tensor(self, values: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def _filled(count: int, group: int) -> int:
    """``count``, rounded up to whole groups."""
    return -(-count // group) * group
