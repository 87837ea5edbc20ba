"""The learning rate and the share of scheduled sampling as functions of the step."""

from __future__ import annotations

import math

from dragoman.config.options import TrainingOptions


def learning_rate(options: TrainingOptions, *, step: int, done: float, cuts: int) -> float:
    """The learning rate of one step.

    Args:
        options: peak rate, schedule and warm-up.
        step: steps taken before this one.
        done: share of the run that is over, in [0, 1], by the limit (steps, epochs or time) that is
            nearest; 0 for a run without an end.
        cuts: times that validation has stopped improving (``plateau``).
    """
    warm = min(1.0, (step + 1) / options.warmup) if options.warmup else 1.0
    if options.schedule == "cosine":  # Loshchilov & Hutter 2017, eq. 5, without restarts
        shape = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    elif options.schedule == "linear":
        shape = 1 - min(1.0, done)
    elif options.schedule == "inverse_sqrt":  # Vaswani 2017, eq. 3, scaled to the peak rate
        shape = math.sqrt(max(1, options.warmup) / max(step + 1, options.warmup, 1))
    elif options.schedule == "step":
        shape = options.decay ** (step // options.decay_every)
    elif options.schedule == "plateau":
        shape = 0.5**cuts
    else:
        shape = 1.0
    assert options.learning_rate != "auto", "resolve options first"
    return options.learning_rate * warm * shape


def sampling_share(options: TrainingOptions, *, done: float) -> float:
    """The share of the decoder's input that is its own guesses (Bengio et al. 2015, section 2.4).

    ``inverse_sigmoid`` is their curve over the run, steepest in its middle.
    """
    if options.sampling_schedule == "linear":
        return options.sampling_share * done
    if options.sampling_schedule == "inverse_sigmoid":
        return options.sampling_share / (1 + math.exp(10 * (0.5 - done)))
    return options.sampling_share
