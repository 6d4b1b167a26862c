"""Optimisers, learning-rate schedules and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lightning.pytorch.callbacks import WeightAveraging
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined] # public, but not in its __all__
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau, StepLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from triovision.train.recipes.sections import Optimisation, Schedule, SharedOptimisation


def build_optimiser(network: nn.Module, optimisation: Optimisation) -> Optimizer:
    """The optimiser that the recipe names, over the parameters that are trained."""
    o = optimisation
    # timm leaves vectors, such as biases and the scales of normalisation, without decay, which only weakens them.
    groups = [
        {key: group[key] for key in ("params", "weight_decay")} | {"lr": o.learning_rate * group["lr_scale"]}
        for group in param_groups_layer_decay(network, o.weight_decay, layer_decay=o.layer_decay)
    ]
    return optimiser_over(groups, o)


def optimiser_over(groups: list[dict[str, Any]], optimisation: SharedOptimisation) -> Optimizer:
    """The optimiser that the recipe names, over groups of parameters that have their rates and decays."""
    match optimisation.optimiser:
        case "adam":
            return Adam(groups)
        case "adamw":
            return AdamW(groups)
        case "sgd":
            return SGD(groups, momentum=optimisation.momentum)


def build_schedule(
    optimiser: Optimizer, schedule: Schedule, optimisation: SharedOptimisation, steps_per_epoch: int
) -> dict[str, Any]:
    """Lightning's description of the schedule that the recipe names.

    Args:
        optimiser: Whose rates change.
        schedule: Names the schedule.
        optimisation: Its epochs and its warm-up.
        steps_per_epoch: Steps of the optimiser in an epoch.
    """
    match schedule.name:
        case "cosine":
            cosine = LambdaLR(optimiser, lambda step: rate_at(step, steps_per_epoch, optimisation))
            return {"scheduler": cosine, "interval": "step"}
        case "step":
            # Counted in steps: a checkpoint is written before the epoch's end is announced.
            steps = StepLR(optimiser, schedule.step_epochs * steps_per_epoch, schedule.factor)
            return {"scheduler": steps, "interval": "step"}
        case "plateau":
            plateau = ReduceLROnPlateau(
                optimiser, factor=schedule.factor, patience=schedule.patience, min_lr=schedule.floor
            )
            return {"scheduler": plateau, "interval": "epoch", "monitor": "val/loss"}


def rate_at(step: int, steps_per_epoch: int, optimisation: SharedOptimisation) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to zero."""
    warmup = optimisation.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1.0, optimisation.epochs * steps_per_epoch - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class MovingAverage(WeightAveraging):
    """Exponential moving average of weights and statistics whose decay grows with the steps.

    Step t decays by min(`decay`, (1 + t) / (10 + t)), as TensorFlow's `ExponentialMovingAverage` does, so that the
    average of a run of few steps is not mostly its start.

    Args:
        decay: Decay a step that a long run comes to, in (0, 1).
    """

    def __init__(self, decay: float) -> None:
        def update(averaged: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor | int) -> None:
            t = int(steps)
            average = get_ema_multi_avg_fn(min(decay, (1 + t) / (10 + t)))  # type: ignore[no-untyped-call] # torch's
            average(averaged, current, steps)

        super().__init__(multi_avg_fn=update)
