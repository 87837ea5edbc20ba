"""The whole model: encoder, bridge, decoder, output layer, and a pointer for models that copy.

B batch   N hypotheses   S source   T target   H hidden   V vocabulary   W words with copies
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dragoman.data.batches import Batch
from dragoman.data.tokenizer import UNK, Ids
from dragoman.model.copying import Copying
from dragoman.model.output import Objective, Output
from dragoman.model.protocols import Decoder, Encoder, Features, Memory, Record, discard
from dragoman.model.sampled_softmax import sampled_loss

Parts = tuple[Encoder, nn.Module, Decoder]
"""Encoder, bridge and decoder."""


class Loss(NamedTuple):
    """Sums over the real tokens of a batch; divide once, by the global number of tokens."""

    total: Tensor
    """What is minimised: the smoothed loss of the output layer, times the objective's scale."""
    plain: Tensor
    """Negative log-likelihood of the reference, in nats; of an entmax output the entmax loss."""
    tokens: Tensor
    """Real target tokens, end tokens included."""
    right: Tensor
    """Real target tokens that are the most probable word (with sampling, of the sampled words)."""


class Seq2Seq(nn.Module):
    """Encoder, bridge, decoder, output layer, and a pointer for a model that copies.

    Args:
        parts: encoder, bridge and decoder. The bridge maps the encoder's summary [B, K, H] to the
            rows of the decoder's first state.
        output: makes scores of the decoder's features.
        copying: the pointer; None: the model does not copy.
    """

    def __init__(self, parts: Parts, output: Output, copying: Copying | None) -> None:
        super().__init__()
        self.encoder, self.bridge, self.decoder = parts
        self.output, self.copying = output, copying

    def encode(
        self,
        source: Tensor,
        mask: Tensor,
        copies: Tensor | None = None,
        lengths: Ids | None = None,
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
            record: receives intermediate values.

        Returns:
            The encoded sentences as the decoder reads them, and its first state.
        """
        states, final = self.encoder(source, mask, lengths, record)
        summary = self.bridge(final)
        record("bridge", "B K H", summary)
        copies = source[:, :0] if copies is None else copies
        memory = self.decoder.remember(states, mask, copies)
        return memory, self.decoder.start(summary, memory)

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
        read, way, share = (batch.target_in, state, memory), objective.feeding, objective.share
        if way == "none" or not share:
            unrolled, weights = self.decoder.unroll(*read)
        else:
            unrolled, weights = self.unroll_with_guesses(*read, way, share)
        features, answers, mixture = real(unrolled), real(batch.target_out), None
        if self.copying is not None and weights is not None:
            words = real(memory.copies.unsqueeze(1).expand_as(weights))
            mixture = self.copying.mixture(features, real(weights), words, answers)
            answers = answers.masked_fill(answers >= self.copying.vocabulary, UNK)
        given = features, answers, objective, mixture
        sums = sampled_loss(self.output, *given) if objective.samples else self.output.loss(*given)
        return Loss(*sums[:2], batch.target_mask.sum(), sums[2])

    def unroll_with_guesses(
        self, target: Tensor, state: Any, memory: Memory, way: str, share: float
    ) -> Features:
        """The decoder's features where it reads some of its own guesses (Bengio et al. 2015).

        The model learns to continue after its own mistakes. A guess is the best word, found without
        a gradient.

        Args:
            target: the reference as input, ids [B, T]; the begin token stays.
            state: the decoder's first state.
            memory: the encoded sentences.
            way: ``sequence``: a sentence is read from the reference, or wholly from the model's own
                guesses; ``token``: each token is chosen by itself.
            share: probability that a sentence (or a token) is guessed, in [0, 1].

        Returns:
            Features [B, T, H], and attention weights [B, T, S] or None.
        """
        drawn = torch.rand(len(target), 1 if way == "sequence" else target.shape[1]) < share
        guessed = drawn.expand(target.shape).to(target.device, non_blocking=True)  # [B, T]
        step, features, weights = self.decoder.stepper(memory), list[Tensor](), list[Tensor]()
        for t, token in enumerate(target.unbind(1)):
            read = token
            if t:  # the begin token stays
                with torch.no_grad():
                    guess = self.output(features[-1]).argmax(-1)
                    read = torch.where(guessed[:, t], guess, token)
            feature, state, looked = step(read, state)
            features.append(feature)
            if looked is not None:
                weights.append(looked)
        return torch.stack(features, 1), torch.stack(weights, 1) if weights else None

    def scores(
        self, features: Tensor, weights: Tensor | None, copies: Tensor, record: Record = discard
    ) -> Tensor:
        """Log-probabilities of the next word, [..., W].

        Args:
            features: [B, H], or [B, T, H].
            weights: attention, [B, S] or [B, T, S].
            copies: ids of the source's words in the target's vocabulary, [B, S].
            record: receives intermediate values.
        """
        log_probs: Tensor = self.output(features)
        if self.copying is None or weights is None:
            return log_probs
        words = copies if weights.dim() == 2 else copies.unsqueeze(1).expand_as(weights)
        return self.copying.extend(log_probs, features, weights, words, record)
