"""The optimizer, its learning rate, and the clipping of gradients over the two parts of a model."""

import math
from collections.abc import Callable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from dragoman.config.options import TrainingOptions
from dragoman.model.seq2seq import Seq2Seq


def parts(model: Seq2Seq) -> dict[str, list[tuple[str, nn.Parameter]]]:
    """The named weights of the encoder, and of all the rest; a shared table counts as encoder."""
    # Two groups: the model names the weights of its encoder before all others.
    both = groupby(model.named_parameters(), lambda named: named[0].startswith("encoder."))
    return {"encoder" if own else "decoder": list(some) for own, some in both}


def build_optimizer(model: Seq2Seq, options: TrainingOptions) -> torch.optim.Optimizer:
    """Build the optimizer that ``options`` name; each group has a ``scale`` of the learning rate.

    Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019), SGD and RMSprop (Tieleman & Hinton
    2012) with momentum, Adagrad (Duchi et al. 2011). Weight decay spares biases and the gains of
    layer normalisation.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.LayerNorm)]
    gains = {p for norm in norms for p in norm.parameters()}
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for part, named in parts(model).items():
        scale = options.decoder_rate if part == "decoder" else 1.0
        for name, parameter in named:
            spared = parameter in gains or name.rpartition(".")[2].startswith("bias")
            decay = 0.0 if spared else options.weight_decay
            group = {"params": [], "scale": scale, "weight_decay": decay}
            groups.setdefault((scale, decay), group)["params"].append(parameter)
    chosen, rate, momentum = [*groups.values()], float(options.learning_rate), options.momentum
    made: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adam": lambda: torch.optim.Adam(chosen, lr=rate, fused=True),
        "adamw": lambda: torch.optim.AdamW(chosen, lr=rate, fused=True),
        "sgd": lambda: torch.optim.SGD(chosen, lr=rate, momentum=momentum, fused=True),
        "rmsprop": lambda: torch.optim.RMSprop(chosen, lr=rate, momentum=momentum),
        "adagrad": lambda: torch.optim.Adagrad(chosen, lr=rate),
    }
    return made[options.optimizer]()


def clip(model: Seq2Seq, options: TrainingOptions) -> dict[str, Tensor]:
    """Scale gradients down to the norm ``options.clip`` (Pascanu et al. 2013, algorithm 1).

    Returns:
        The norms before clipping: of each part, and ``total``; scalars where the gradients are.
    """
    norms: dict[str, Tensor] = {}
    both, device = parts(model), next(model.parameters()).device
    for part, named in both.items():
        gradients = [p.grad for _, p in named if p.grad is not None]
        norms[part] = nn.utils.get_total_norm(gradients).to(device)  # of no gradients at all: 0
    norms["total"] = torch.stack(list(norms.values())).norm()
    if options.clip:
        for part, named in both.items():
            norm = norms[part if options.clip_parts else "total"]
            # A GPU multiplies by one sooner than it would tell whether it needs to.
            if device.type != "cpu" or norm > options.clip:
                nn.utils.clip_grads_with_norm_([p for _, p in named], options.clip, norm.float())
    return norms


def update(optimizer: torch.optim.Optimizer, norm: Tensor) -> None:
    """Take a step, unless the gradients' ``norm`` is not finite.

    On a GPU fused Adam makes that test itself, so that the program does not wait for it.
    """
    if norm.device.type == "cuda" and isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif norm.isfinite():
        optimizer.step()


def learning_rate(options: TrainingOptions, *, step: int, done: float, cuts: int) -> float:
    """The learning rate of one step.

    Args:
        options: peak rate, schedule and warm-up.
        step: steps taken before this one.
        done: share of the run that is over, in [0, 1], by the limit (steps, epochs or time) that is
            nearest; 0 for a run without an end.
        cuts: times that validation has stopped improving (``plateau``).
    """
    assert options.warmup != "auto" and options.learning_rate != "auto", "resolve options first"
    warm = min(1.0, (step + 1) / options.warmup) if options.warmup else 1.0
    slowest = max(1, options.warmup)
    shapes: dict[str, Callable[[], float]] = {
        # Loshchilov & Hutter 2017, eq. 5, without restarts
        "cosine": lambda: 0.5 * (1 + math.cos(math.pi * min(1.0, done))),
        "linear": lambda: 1 - min(1.0, done),
        # Vaswani 2017, eq. 3, scaled to the peak rate
        "inverse_sqrt": lambda: math.sqrt(slowest / max(step + 1, slowest)),
        "step": lambda: options.decay ** (step // options.decay_every),
        "plateau": lambda: 0.5**cuts,
    }
    return options.learning_rate * warm * shapes.get(options.schedule, lambda: 1.0)()


def sampling_share(options: TrainingOptions, *, done: float) -> float:
    """The share of the decoder's input that is its own guesses (Bengio et al. 2015, section 2.4).

    ``inverse_sigmoid`` is their curve over the run, steepest in its middle.
    """
    if options.sampling_schedule == "linear":
        return options.sampling_share * done
    if options.sampling_schedule == "inverse_sigmoid":
        return options.sampling_share / (1 + math.exp(10 * (0.5 - done)))
    return options.sampling_share
