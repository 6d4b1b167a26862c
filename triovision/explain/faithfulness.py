"""Faithfulness of a map for its photo: deletion and insertion curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from triovision.errors import ExplanationError
from triovision.explain.country import target_of
from triovision.explain.estimates import estimate_passes_ms
from triovision.explain.methods import explained_member
from triovision.explain.model import CompositeModel, ExplainableModel
from triovision.explain.scores import BATCH, Target, mean_colour
from triovision.explain.turns import TURNS, ExplanationLimits, OnStep, taking_turns
from triovision.inference.faults import check_finite, worded_faults
from triovision.results import Explanation, Photo

Floats = NDArray[np.float64]

_CURVES: Final = 4
_POINTS: Final = 21
_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Faithfulness:
    """Deletion and insertion curves of a map, and those of a random order of the pixels.

    The probability is that of the network before calibration: of the country among all labels, or, for a contrast,
    of the country among the two.

    Attributes:
        fraction: Fraction of the pixels that were removed or put back, from 0 to 1, shape `(k,)`.
        deletion: Probability after the removal of that fraction of the pixels, the highest of the map first.
        insertion: Probability after that fraction of the pixels has been put back, the highest of the map first.
        random_deletion: The same as `deletion` for a random order of the pixels.
        random_insertion: The same as `insertion` for a random order of the pixels.
    """

    fraction: Floats
    deletion: Floats
    insertion: Floats
    random_deletion: Floats
    random_insertion: Floats

    @property
    def deletion_auc(self) -> float:
        """Area under the deletion curve; a faithful map has a low one."""
        return _area(self.deletion, self.fraction)

    @property
    def insertion_auc(self) -> float:
        """Area under the insertion curve; a faithful map has a high one."""
        return _area(self.insertion, self.fraction)

    @property
    def random_deletion_auc(self) -> float:
        """Area under the deletion curve of a random order."""
        return _area(self.random_deletion, self.fraction)

    @property
    def random_insertion_auc(self) -> float:
        """Area under the insertion curve of a random order."""
        return _area(self.random_insertion, self.fraction)


def measure_faithfulness(
    model: ExplainableModel | CompositeModel,
    photo: Photo,
    explanation: Explanation,
    *,
    on_step: OnStep = lambda _: None,
    limits: ExplanationLimits | None = None,
) -> Faithfulness:
    """Measure whether the network needs what a map shows.

    "RISE: Randomized Input Sampling for Explanation of Black-box Models" (Petsiuk, Das and Saenko, 2018). Deletion
    replaces the pixels of the photo by its mean colour, in descending order of the map; insertion puts the pixels of
    the photo into a blurred copy. The blur is the paper's, whose kernel is 1/20 of the side. A random order removes the
    texture everywhere at once, so that its deletion falls fast; its insertion is the better reference.

    Args:
        model: Model that was explained.
        photo: Photo that was explained.
        explanation: Its explanation. The map is scaled to the input; equal values keep the order of reading.
        on_step: Called with the fraction that is done. What it raises ends the measurement.
        limits: Bounds on the time; None for the defaults.

    Raises:
        ExplanationError: If the explanation is one of another model, others have the turn for too long, or the deadline
            is over.
        ModelFailure: If the model fails, whatever the reason.
    """
    model = explained_member(model)
    if explanation.model != model.card.id:
        reason = f"is an explanation of {explanation.model}, not of {model.card.id}"
        raise ExplanationError(explanation.photo, reason, "Explain the photo with this model first")
    target = target_of(model, explanation.country, explanation.against)
    with (
        worded_faults(model.card.id),
        model.private_network() as network,
        taking_turns(model.card.id, TURNS, limits or ExplanationLimits(), on_step) as step,
        torch.inference_mode(),
    ):
        photo_nchw = model.preprocess([photo])
        random_hw = np.random.default_rng(_SEED).random(tuple(photo_nchw.shape[2:]), np.float32)
        curves = [
            *deletion_and_insertion(network, target, photo_nchw, explanation.heatmap_hw, lambda done: step(done / 2)),
            *deletion_and_insertion(network, target, photo_nchw, random_hw, lambda done: step(0.5 + done / 2)),
        ]
    check_finite(model.card.id, *curves)
    deletion, insertion, random_deletion, random_insertion = curves
    return Faithfulness(
        fraction=np.linspace(0, 1, _POINTS),
        deletion=deletion,
        insertion=insertion,
        random_deletion=random_deletion,
        random_insertion=random_insertion,
    )


def estimate_faithfulness_ms(model: ExplainableModel | CompositeModel) -> float | None:
    """Estimate the time of `measure_faithfulness` before it starts.

    Returns:
        Milliseconds; None if nothing was measured yet and others have the turn now, or the model fails.
    """
    return estimate_passes_ms(model, _CURVES * _POINTS)


def deletion_and_insertion(
    network: nn.Module,
    target: Target,
    photo_nchw: Tensor,
    heatmap_hw: NDArray[np.float32],
    on_step: OnStep = lambda _: None,
) -> tuple[Floats, Floats]:
    """Return the deletion and the insertion curve of a map; see `measure_faithfulness`.

    Args:
        network: A network in evaluation mode.
        target: What the map explains.
        photo_nchw: One photo, as the network takes it.
        heatmap_hw: Map of the photo, of any size.
        on_step: Called with the fraction that is done.

    Returns:
        Two curves of 21 probabilities.
    """
    ranks_hw = _ranks(heatmap_hw, photo_nchw)
    deletion = _curve(network, target, (photo_nchw, mean_colour(photo_nchw)), ranks_hw, lambda one: on_step(one / 2))
    blurred_nchw = _blurred(photo_nchw)
    insertion = _curve(network, target, (blurred_nchw, photo_nchw), ranks_hw, lambda one: on_step(0.5 + one / 2))
    return deletion, insertion


def _area(curve: Floats, fraction: Floats) -> float:
    return float(np.trapezoid(curve, fraction))


def _ranks(heatmap_hw: NDArray[np.float32], photo_nchw: Tensor) -> Tensor:
    """Rank of each pixel in descending order of the map, shape `(h, w)`."""
    size = photo_nchw.shape[2:]
    scaled = F.interpolate(torch.from_numpy(heatmap_hw.copy())[None, None], size, mode="bilinear", align_corners=False)
    order = torch.sort(scaled.flatten(), descending=True, stable=True).indices
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))
    return ranks.reshape(size).to(photo_nchw.device)


def _blurred(photo_nchw: Tensor) -> Tensor:
    """The photo with the blur of RISE: 11 pixels wide, of deviation 5, for an input of 224 pixels."""
    shorter = min(photo_nchw.shape[2:])
    width = max(3, round(shorter * 11 / 224) | 1)
    blurred_nchw: Tensor = gaussian_blur(photo_nchw, [width, width], [width * 5 / 11] * 2)
    return blurred_nchw


def _curve(network: nn.Module, target: Target, way: tuple[Tensor, Tensor], ranks: Tensor, on_step: OnStep) -> Floats:
    """Probabilities on the way from one picture to another, pixel by pixel, shape `(k,)`."""
    before, after = way
    pixels = ranks.numel()
    replaced = [round(pixels * point / (_POINTS - 1)) for point in range(_POINTS)]
    probability: list[Tensor] = []
    for start in range(0, _POINTS, BATCH):
        batch_nchw = torch.cat([torch.where(ranks < count, after, before) for count in replaced[start : start + BATCH]])
        logits = network(batch_nchw.contiguous(memory_format=torch.channels_last)).double()
        if target.against is None:
            probability.append(logits.softmax(dim=1)[:, target.label])
        else:
            probability.append(target.score(logits).sigmoid())
        on_step(min(1.0, (start + BATCH) / _POINTS))
    curve: Floats = torch.cat(probability).cpu().numpy()
    return curve
