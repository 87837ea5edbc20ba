"""The optimizer and the clipping of gradients, over the two parts of a model."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from dragoman.config import TrainingOptions
from dragoman.model.seq2seq import Seq2Seq


def parts(model: Seq2Seq) -> dict[str, list[tuple[str, nn.Parameter]]]:
    """The named weights of the encoder, and of all the rest; a shared table counts as encoder."""
    named = list(model.named_parameters())
    return {
        "encoder": [(name, p) for name, p in named if name.startswith("encoder.")],
        "decoder": [(name, p) for name, p in named if not name.startswith("encoder.")],
    }


def build_optimizer(model: Seq2Seq, options: TrainingOptions) -> torch.optim.Optimizer:
    """The optimizer that ``options`` name, over groups that carry their own ``scale`` of the rate.

    Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019), SGD and RMSprop (Tieleman & Hinton
    2012) with momentum, Adagrad (Duchi et al. 2011). Weight decay spares the biases.
    """
    groups: list[dict[str, Any]] = []
    for part, named in parts(model).items():
        scale = options.decoder_rate if part == "decoder" else 1.0
        for spared in (False, True):
            chosen = [
                p for n, p in named
                if p.requires_grad and n.rpartition(".")[2].startswith("bias") == spared
            ]  # fmt: skip
            decay = 0.0 if spared else options.weight_decay
            if chosen:
                groups.append({"params": chosen, "scale": scale, "weight_decay": decay})
    rate, momentum = float(options.learning_rate), options.momentum
    if options.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=True)
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=True)
    if options.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=rate, momentum=momentum)
    return torch.optim.Adagrad(groups, lr=rate)


def clip(model: Seq2Seq, options: TrainingOptions) -> dict[str, float]:
    """Scale gradients down to the norm ``options.clip`` (Pascanu et al. 2013, algorithm 1).

    Returns:
        The norms before clipping: of each part, and ``total``.
    """
    gradients = {
        part: [p for _, p in named if p.grad is not None] for part, named in parts(model).items()
    }
    norms = {
        part: float(nn.utils.get_total_norm([p.grad for p in weights if p.grad is not None]))
        for part, weights in gradients.items()
    }
    norms["total"] = math.hypot(*norms.values())
    if options.clip:
        for part, weights in gradients.items():
            norm = norms[part if options.clip_parts else "total"]
            if not norm <= options.clip:  # else every gradient would be multiplied by one
                nn.utils.clip_grads_with_norm_(weights, options.clip, torch.tensor(norm))
    return norms
