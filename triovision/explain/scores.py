"""Score that an explanation explains: the logit of a country, or the difference of the logits of two countries."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Final

import torch
from torch import Tensor, nn

from triovision.explain.turns import OnStep

BATCH: Final = 8
"""Changed photos in one pass. More cost memory and save no time."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is explained, by indices of logits.

    Attributes:
        label: Country that the map argues for.
        against: Country that it argues against; None for none.
    """

    label: int
    against: int | None = None

    def score(self, logits: Tensor) -> Tensor:
        """Return the score of logits of shape `(…, n_labels)`, shape `(…,)`."""
        logit = logits[..., self.label]
        return logit if self.against is None else logit - logits[..., self.against]

    def opposite(self, logits: Tensor) -> Tensor:
        """Return the score with the other sign: that of the opposite contrast."""
        return -self.score(logits)


class Scorer:
    """Score of changed photos, which calls `on_step` after each pass with the fraction that is done.

    Attributes:
        waited_s: Seconds spent in `on_step`, where other explanations take their turns.
        largest: Largest absolute score so far.

    Args:
        network: A frozen network in evaluation mode.
        target: What is explained.
        passes: Number of photos that will be scored.
        on_step: Called after each pass.
    """

    def __init__(self, network: nn.Module, target: Target, passes: int, on_step: OnStep) -> None:
        self._network, self._target, self._passes, self._on_step = network, target, passes, on_step
        self._done = 0
        self.waited_s = self.largest = 0.0

    def __call__(self, batch_nchw: Tensor) -> Tensor:
        """Return scores of shape `(n,)`; differentiable where gradients are enabled."""
        logits: Tensor = self._network(batch_nchw.contiguous(memory_format=torch.channels_last))
        score = self._target.score(logits)
        self.largest = max(self.largest, float(score.detach().abs().max()))
        self._done += len(batch_nchw)
        start = time.perf_counter()
        self._on_step(min(1.0, self._done / self._passes))
        self.waited_s += time.perf_counter() - start
        return score


def mean_colour(batch_nchw: Tensor) -> Tensor:
    """Return pictures in the mean colour of each photo, with the shape of the photos.

    It is the baseline of the perturbation and gradient methods: what a photo is without a part of it. A fixed grey or
    black could be a colour of the photo that speaks for a country, and pixels of that colour would never count.
    """
    return batch_nchw.mean(dim=(2, 3), keepdim=True).expand_as(batch_nchw)


def captum_attr() -> ModuleType:
    """Import `captum.attr`.

    It is imported when a method first needs it, because it loads Matplotlib, which takes a second and warns where the
    home folder is read-only: it looks for a place for a font cache that nothing here uses.
    """
    matplotlib = logging.getLogger("matplotlib")
    level = matplotlib.level
    matplotlib.setLevel(logging.ERROR)
    try:
        from captum import attr  # noqa: PLC0415
    finally:
        matplotlib.setLevel(level)
    return attr  # type: ignore[no-any-return]
