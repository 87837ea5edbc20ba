"""The whole model: encoder, bridge, decoder, output layer, and a pointer for models that copy.

B batch   N hypotheses   S source   T target   H hidden   V vocabulary   W words with copies
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from dragoman.data.batches import Batch
from dragoman.data.tokenizer import Ids
from dragoman.model.copying import Copying
from dragoman.model.feeding import features_with_guesses
from dragoman.model.gathered import gathered
from dragoman.model.linear import Maker, Product, plain
from dragoman.model.output import Output
from dragoman.model.protocols import (
    Cells,
    Decoder,
    Encoder,
    Features,
    Memory,
    Record,
    Step,
    discard,
)
from dragoman.model.recurrent.bridge import Bridge
from dragoman.model.sampled_softmax import sampled_loss


class Loss(NamedTuple):
    """Sums over the real tokens of a batch; divide once, by the global number of tokens."""

    total: Tensor
    """What is minimised: smoothed cross-entropy, in nats, times the objective's scale."""
    plain: Tensor
    """Negative log-likelihood of the reference, in nats."""
    tokens: Tensor
    """Real target tokens, end tokens included."""
    right: Tensor
    """Real target tokens that are the most probable word (of the sampled words, if there are)."""


class Objective(NamedTuple):
    """What is minimised; by default the cross-entropy of the reference."""

    smoothing: float = 0.0
    """Label smoothing; 0 with sampled words."""
    samples: int = 0
    """Words sampled for the softmax; 0: the whole vocabulary."""
    ranks: Tensor | None = None
    """Of the words by frequency, [V], for their sampling; None: the order of their ids."""
    feeding: str = "none"
    """Scheduled sampling: ``none``, ``sequence`` or ``token``."""
    share: float = 0.0
    """Share of the decoder's input that is its own guesses."""
    scale: float | Tensor = 1.0
    """Factor of the sum that is minimised, such as one over the number of tokens."""


class Products(NamedTuple):
    """The products of one step of search with the weights, made once for many steps."""

    decoder: Any
    """From :meth:`Decoder.products`."""
    output: Product
    gate: Product | None
    """Of the pointer; None for a model that does not copy."""


class Seq2Seq(nn.Module):
    """Encoder, bridge, decoder, output layer, and a pointer for a model that copies."""

    def __init__(
        self,
        encoder: Encoder,
        bridge: Bridge,
        decoder: Decoder,
        output: Output,
        copying: Copying | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.bridge, self.decoder, self.output = encoder, bridge, decoder, output
        self.copying = copying

    def encode(
        self,
        source: Tensor,
        mask: Tensor,
        copies: Tensor | None = None,
        lengths: Ids | None = None,
        make: Maker | None = None,
        record: Record = discard,
    ) -> tuple[Memory, Any]:
        """Encode sources.

        Args:
            source: ids [B, S].
            mask: [B, S], false on padding.
            copies: ids [B, S] of the same words in the target's vocabulary, for a model that
                copies.
            lengths: real tokens of each source, [B]. None reads them off the mask, which makes
                the program wait for a GPU.
            make: makes the products; None takes those that are fastest in training.
            record: receives intermediate values.

        Returns:
            What the decoder reads of the sources, and its first state.
        """
        states, final = self.encoder(source, mask, lengths, make, record)
        summary = self.bridge(final, make or plain)
        record("bridge", "B K H", summary)
        copies = source[:, :0] if copies is None else copies
        memory = self.decoder.remember(states, mask, copies, make or plain)
        return memory, self.decoder.start(summary)

    def forward(self, batch: Batch, objective: Objective) -> Loss:
        """The loss of a batch with known targets; padding does not count.

        Args:
            batch: B pairs, on the device of the weights.
            objective: what is minimised.
        """

        def real(x: Tensor) -> Tensor:
            """The real tokens among all positions: [B, T, ...] -> [N, ...]."""
            return x.flatten(0, 1).index_select(0, batch.real)

        memory, state = self.encode(batch.source, batch.source_mask, batch.copies, batch.lengths)
        way, share = objective.feeding, objective.share
        if way == "none" or not share:
            unrolled, weights = self.unroll(batch.target_in, state, memory)
        else:
            step = self.decoder.stepper(memory, self.decoder.products(gathered))
            target, guess = self.readable(batch.target_in), self.output.product(plain)
            unrolled, weights = features_with_guesses(step, guess, target, state, way, share)
        features, answers, mixture = real(unrolled), real(batch.target_out), None
        if self.copying is not None and weights is not None:
            words = real(_every_position(memory.copies, weights))
            mixture = self.copying.mixture(features, real(weights), words, answers)
        answers = self.readable(answers)
        if objective.samples:
            sums = sampled_loss(
                self.output, features, answers, objective.samples, mixture, objective.ranks
            )
            sums = sums[0] * objective.scale, *sums[1:]
        else:
            sums = self.output.loss(
                features, answers, objective.smoothing, mixture, objective.scale
            )
        total, log_loss, right = sums
        return Loss(total, log_loss, batch.target_mask.sum(), right)

    def unroll(self, target: Tensor, state: Any, memory: Memory) -> Features:
        """:meth:`Decoder.unroll` of ids [B, T], which may be words of a source's own."""
        return self.decoder.unroll(self.readable(target), state, memory)

    def products(self, make: Maker) -> Products:
        """The products of :meth:`step` and :meth:`best`."""
        gate = None if self.copying is None else self.copying.product(make)
        return Products(self.decoder.products(make), self.output.product(make), gate)

    def step(
        self,
        token: Tensor,
        state: Any,
        memory: Memory,
        products: Products | None = None,
        cells: Cells | None = None,
        record: Record = discard,
    ) -> Step:
        """One call of :meth:`Decoder.stepper`, for ids [N] that may be words of a source's own."""
        made = None if products is None else products.decoder
        return self.decoder.stepper(memory, made, cells, record)(self.readable(token), state)

    def scores(
        self,
        features: Tensor,
        weights: Tensor | None,
        copies: Tensor,
        products: Products | None = None,
        record: Record = discard,
    ) -> Tensor:
        """Log-probabilities of the next word, [..., W].

        Args:
            features: [B, H], or [B, T, H].
            weights: attention, [B, S] or [B, T, S].
            copies: ids of the source's words in the target's vocabulary, [B, S].
            products: from :meth:`products`; None makes plain ones.
            record: receives intermediate values.
        """
        output, gate = (None, None) if products is None else products[1:]
        log_probs: Tensor = self.output(features, output)
        if self.copying is None or weights is None:
            return log_probs
        words = _every_position(copies, weights)
        return self.copying.extend(log_probs, features, weights, words, gate, record)

    def best(
        self,
        features: Tensor,
        weights: Tensor | None,
        copies: Tensor,
        count: int | None,
        never: Sequence[int],
        products: Products,
    ) -> tuple[Tensor, Tensor | None]:
        """The most probable words of :meth:`scores`, best first, and their log-probabilities.

        Args:
            features: [N, H].
            weights: attention, [N, S].
            copies: ids of the source's words in the target's vocabulary, [N, S].
            count: how many words, C; None: all words in their order.
            never: words that are left out.
            products: from :meth:`products`.

        Returns:
            Log-probabilities and words, [N, C] both; with a count of None [N, W], and None.
        """
        if self.copying is None:
            return self.output.best(features, count, never, products.output)
        scores = self.scores(features, weights, copies, products)
        scores[:, list(never)] = -math.inf
        if count is None:
            return scores, None
        log_probs, words = scores.topk(min(count, scores.shape[1]), 1)
        return log_probs, words

    def readable(self, ids: Tensor) -> Tensor:
        """``ids`` as the decoder reads them: words of a source's own become the unknown word."""
        return ids if self.copying is None else self.copying.readable(ids)


def _every_position(copies: Tensor, weights: Tensor) -> Tensor:
    """Copies [B, S] in the shape of weights [B, S], or the same for all T of weights [B, T, S]."""
    return copies if weights.dim() == 2 else copies.unsqueeze(1).expand_as(weights)
