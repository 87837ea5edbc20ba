"""Loss, perplexity and token accuracy of references under teacher forcing.

B batch   T target   V vocabulary   H hidden   S source
"""

import math

import numpy as np
import torch

from dragoman.data.batches import IdPairs, assemble
from dragoman.data.plans import plan_batches
from dragoman.model.seq2seq import Seq2Seq

_BATCH_TOKENS = 4096


@torch.inference_mode()
def likelihood(model: Seq2Seq, corpus: IdPairs) -> dict[str, float]:
    """Scores of all pairs, over target tokens with end tokens; the model keeps its mode.

    Returns:
        ``loss``: negative log-likelihood a token, in nats, without label smoothing. ``perplexity``:
        its exponential, at most about the largest floating-point number. ``token_accuracy``: share
        of tokens that are the most probable one after the right tokens before them.
    """
    device, training = next(model.parameters()).device, model.training
    model.eval()
    sources, targets = corpus.source_lengths, corpus.target_lengths
    found = np.zeros((len(targets), 3))  # loss, number of right tokens, number of tokens
    for rows in plan_batches(sources, targets, _BATCH_TOKENS, seed=0, epoch=0):
        batch = assemble(corpus, rows).to(device)
        memory, state = model.encode(batch.source, batch.source_mask, batch.copies, batch.lengths)
        # [B, T, H], [B, T, S]
        features, weights = model.decoder.unroll(batch.target_in, state, memory)
        for t in range(features.shape[1]):
            real = batch.target_mask[:, t]
            looked = None if weights is None else weights[:, t]
            log_probs = model.scores(features[:, t], looked, batch.copies)[real]  # [<= B, W]
            answer = batch.target_out[real, t]
            loss = -log_probs.gather(1, answer.unsqueeze(1)).squeeze(1)
            right = log_probs.argmax(1) == answer
            owners = rows[real.cpu().numpy()]
            found[owners] += torch.stack((loss, right, torch.ones_like(loss)), 1).cpu().numpy()
    model.train(training)
    loss_sum, right_sum, tokens = found.sum(0).tolist()
    mean = loss_sum / tokens
    perplexity = math.exp(min(mean, 709.0))
    return {"loss": mean, "perplexity": perplexity, "token_accuracy": right_sum / tokens}
