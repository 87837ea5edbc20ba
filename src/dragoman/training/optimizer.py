"""The optimizer, from its options."""

from __future__ import annotations

import torch

from dragoman.config import TrainingOptions
from dragoman.model.seq2seq import Seq2Seq


def build_optimizer(model: Seq2Seq, options: TrainingOptions) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019), one fused pass an update.

    Weight decay spares the biases.
    """
    parameters = list(model.parameters())
    if options.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=float(options.learning_rate), fused=True)
    named = list(model.named_parameters())
    biases = [p for name, p in named if name.rpartition(".")[2].startswith("bias")]
    spared = {id(p) for p in biases}
    groups = [
        {"params": [p for p in parameters if id(p) not in spared],
         "weight_decay": options.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]  # fmt: skip
    return torch.optim.AdamW(groups, lr=float(options.learning_rate), fused=True)
