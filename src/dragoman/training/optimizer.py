"""The optimizer and the clipping of gradients, over the two parts of a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dragoman.config.options import TrainingOptions
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
    2012) with momentum, Adagrad (Duchi et al. 2011). Weight decay spares biases and the gains of
    layer normalisation.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.LayerNorm)]
    gains = {p for norm in norms for p in norm.parameters()}
    groups: list[dict[str, Any]] = []
    for part, named in parts(model).items():
        scale = options.decoder_rate if part == "decoder" else 1.0
        for spared in (False, True):
            chosen = [
                p
                for n, p in named
                if p.requires_grad
                and (n.rpartition(".")[2].startswith("bias") or p in gains) == spared
            ]
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


def clip(model: Seq2Seq, options: TrainingOptions) -> dict[str, Tensor]:
    """Scale gradients down to the norm ``options.clip`` (Pascanu et al. 2013, algorithm 1).

    Returns:
        The norms before clipping: of each part, and ``total``; scalars where the gradients are.
    """
    gradients = {
        part: [p for _, p in named if p.grad is not None] for part, named in parts(model).items()
    }
    norms = {
        part: nn.utils.get_total_norm([p.grad for p in weights if p.grad is not None])
        for part, weights in gradients.items()
    }
    device = next(model.parameters()).device
    norms = {part: norm.to(device) for part, norm in norms.items()}  # of no gradients at all: 0
    norms["total"] = torch.stack(list(norms.values())).norm()
    if options.clip:
        for part, weights in gradients.items():
            norm = norms[part if options.clip_parts else "total"]
            # A GPU multiplies by one sooner than it would tell whether it needs to.
            if device.type != "cpu" or norm > options.clip:
                nn.utils.clip_grads_with_norm_(weights, options.clip, norm.float())
    return norms


def update(optimizer: torch.optim.Optimizer, norm: Tensor) -> None:
    """Take a step, unless the gradients' ``norm`` is not finite.

    On a GPU fused Adam finds out by itself, so that nobody waits for the answer.
    """
    finds_out = isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW))
    if norm.device.type == "cuda" and finds_out:
        optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif norm.isfinite():
        optimizer.step()
