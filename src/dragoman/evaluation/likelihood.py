"""Loss, perplexity and token accuracy of references under teacher forcing.

B batch   T target   V vocabulary   H hidden   S source
"""

import math

import numpy as np
import numpy.typing as npt
import torch

from dragoman.data.batches import IdPairs, PairsInMemory, assemble
from dragoman.data.plans import plan_batches
from dragoman.data.source import encode_pairs
from dragoman.data.tokenizer import Tokenizer
from dragoman.evaluation.examples import Examples
from dragoman.evaluation.metrics import Measure, Sums, percentage
from dragoman.model.seq2seq import Seq2Seq

_BATCH_TOKENS = 4096


def teacher_forced(
    model: Seq2Seq, tokenizers: tuple[Tokenizer, Tokenizer], examples: Examples, *, copy: bool
) -> tuple[Measure, ...]:
    """Token accuracy and perplexity of all references.

    Their signature names the target tokenizer: numbers of other tokens are not comparable.
    """
    answers = [text for right in examples.references for text in right]
    owners = [n for n, right in enumerate(examples.references) for _ in right]
    encoded = encode_pairs([examples.sources[n] for n in owners], answers, tokenizers, copy=copy)
    sums = np.zeros((len(examples.sources), 3))
    np.add.at(sums, owners, pair_likelihoods(model, PairsInMemory(*encoded)))
    signature = f"teacher-forced|tokenizer:{tokenizers[1].digest[:8]}{'|copy' * copy}"
    return (
        Measure("token_accuracy", "token accuracy", signature, sums[:, 1:], percentage),
        Measure("perplexity", "perplexity", signature, sums[:, [0, 2]], _perplexity, higher=False),
    )


def likelihood(model: Seq2Seq, corpus: IdPairs) -> dict[str, float]:
    """Scores of all pairs, over target tokens with end tokens; the model keeps its mode.

    Returns:
        ``loss``: negative log-likelihood a token, in nats, without label smoothing. ``perplexity``:
        its exponential. ``token_accuracy``: share of tokens that are the most probable one after
        the right tokens before them.
    """
    sums = pair_likelihoods(model, corpus).sum(0)
    loss, share = float(sums[0] / sums[2]), float(sums[1] / sums[2])
    return {"loss": loss, "perplexity": _perplexity(sums[[0, 2]]), "token_accuracy": share}


def _perplexity(sums: Sums) -> float:
    """The exponential of loss / tokens; at most about the largest floating-point number."""
    return math.exp(min(sums[0] / sums[1], 709.0))


@torch.inference_mode()
def pair_likelihoods(model: Seq2Seq, corpus: IdPairs) -> npt.NDArray[np.float64]:
    """Sums of each pair by itself; the model keeps its mode (training or evaluation).

    Returns:
        Negative log-likelihood in nats, number of right tokens, number of tokens: [pairs, 3].
    """
    device, training = next(model.parameters()).device, model.training
    model.eval()
    sources, targets = corpus.source_lengths, corpus.target_lengths
    found = np.zeros((len(targets), 3))
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
    return found
