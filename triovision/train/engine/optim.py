"""Optimisers, learning-rate schedules and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch.callbacks import WeightAveraging
from timm.optim import param_groups_layer_decay, param_groups_weight_decay  # type: ignore[attr-defined] # public
from torch import Tensor, nn
from torch.optim import SGD, Adam, Adamax, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau, StepLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from triovision.train.recipes.sections import Optimisation, Schedule, SharedOptimisation


def build_optimiser(network: nn.Module, optimisation: Optimisation) -> Optimizer:
    """Build the optimiser of a country recipe, with layer-wise learning rates, over the trained parameters."""
    o = optimisation
    # timm applies no weight decay to vectors: biases and the scales of normalisation.
    if hasattr(network, "group_matcher"):
        layers = param_groups_layer_decay(network, o.weight_decay, layer_decay=o.layer_decay)
    else:  # an own network, whose layers timm cannot order
        layers = param_groups_weight_decay(network, o.weight_decay)
    groups = [
        {key: group[key] for key in ("params", "weight_decay")} | {"lr": o.learning_rate * group.get("lr_scale", 1.0)}
        for group in layers
    ]
    return optimiser_over(groups, o)


def optimiser_over(groups: list[dict[str, Any]], optimisation: SharedOptimisation) -> Optimizer:
    """Build the optimiser of a recipe over parameter groups with their learning rates and weight decays."""
    # In one pass over each weight instead of ten: on a CPU, a step over 5 million weights takes a quarter of the time.
    # On a GPU, Lightning does not clip gradients in 16-bit precision with it.
    fused = all(weights.device.type == "cpu" for group in groups for weights in group["params"])
    match optimisation.optimiser:
        case "adam":
            return Adam(groups, fused=fused)
        case "adamax":
            return Adamax(groups)
        case "adamw":
            return AdamW(groups, fused=fused)
        case "sgd":
            return SGD(groups, momentum=optimisation.momentum)


def build_schedule(
    optimiser: Optimizer, schedule: Schedule, optimisation: SharedOptimisation, steps_per_epoch: int
) -> dict[str, Any]:
    """Build the learning-rate schedule of a recipe, as Lightning's scheduler config.

    Args:
        optimiser: Optimiser to schedule.
        schedule: Section `schedule` of the recipe.
        optimisation: Section `optimisation`, for the epochs and the warm-up.
        steps_per_epoch: Optimiser steps an epoch.
    """
    match schedule.name:
        case "cosine":
            cosine = LambdaLR(optimiser, lambda step: rate_at(step, steps_per_epoch, optimisation))
            return {"scheduler": cosine, "interval": "step"}
        case "step":
            # Counted in steps, because the checkpoint of an epoch is written before Lightning steps epoch schedules.
            steps = StepLR(optimiser, schedule.step_epochs * steps_per_epoch, schedule.factor)
            return {"scheduler": steps, "interval": "step"}
        case "plateau":
            plateau = ReduceLROnPlateau(
                optimiser, factor=schedule.factor, patience=schedule.patience, min_lr=schedule.floor
            )
            return {"scheduler": plateau, "interval": "epoch", "monitor": "val/loss"}


def rate_at(step: int, steps_per_epoch: int, optimisation: SharedOptimisation) -> float:
    """Factor of the peak learning rate at a step: linear warm-up, then half a cosine down to zero."""
    warmup = optimisation.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1.0, optimisation.epochs * steps_per_epoch - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class MovingAverage(WeightAveraging):
    """Exponential moving average of weights and batch statistics, with a decay that grows with the steps.

    The decay of step t is min(`decay`, (1 + t) / (10 + t)), as in TensorFlow's `ExponentialMovingAverage`, so that
    initial weights do not dominate the average of a short run.

    Args:
        decay: Largest decay, in (0, 1).
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=growing_average(decay))


def growing_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Update of `MovingAverage`, for an `AveragedModel` of torch where only a part of a module is averaged.

    Args:
        decay: Largest decay, in (0, 1).
    """

    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor | int) -> None:
        t = int(steps)
        average = get_ema_multi_avg_fn(min(decay, (1 + t) / (10 + t)))  # type: ignore[no-untyped-call] # torch's
        average(averaged, current, steps)

    return update
