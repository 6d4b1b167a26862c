"""The moving average of the weights, which is what is validated and exported."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


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
