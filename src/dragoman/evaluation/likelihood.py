"""How probable a model finds the references (teacher forcing): loss, perplexity, token accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from dragoman.data.batches import IdPairs, assemble
from dragoman.data.plans import plan_batches
from dragoman.model.seq2seq import Seq2Seq

_BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Means over target tokens, end tokens included."""

    loss: float
    """Negative log-likelihood a token, in nats, without label smoothing."""
    token_accuracy: float
    """Share of tokens whose right value is the most probable one, given the right ones before."""
    tokens: int

    @property
    def perplexity(self) -> float:
        """``exp(loss)``; infinite when that cannot be represented."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


@torch.inference_mode()
def likelihood(model: Seq2Seq, corpus: IdPairs) -> Likelihood:
    """Score every pair of ``corpus``; the model is left in the mode it was in."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    loss, right, tokens = 0.0, 0, 0
    lengths = (corpus.source_lengths, corpus.target_lengths)
    for rows in plan_batches(*lengths, _BATCH_TOKENS, seed=0, epoch=0):
        batch = assemble(corpus, rows).to(device)
        memory = model.encode(batch.source, batch.source_mask, batch.copies)
        features, weights = model.unroll(batch.target_in, memory)  # [B, T, H], [B, T, S]
        for t in range(features.shape[1]):
            now, real = slice(t, t + 1), batch.target_mask[:, t]
            looked = None if weights is None else weights[:, now]
            log_probs = model.scores(features[:, now], looked, memory)[real, 0]  # [<= B, W]
            answer = batch.target_out[real, t]
            loss -= float(log_probs.gather(1, answer.unsqueeze(1)).cpu().double().sum())
            right += int((log_probs.argmax(1) == answer).sum())
        tokens += batch.target_tokens
    model.train(training)
    return Likelihood(loss / tokens, right / tokens, tokens)
