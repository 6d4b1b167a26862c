"""Occlusion, LIME and KernelSHAP: maps from the scores of changed photos.

All three are Captum's, which the makers of PyTorch keep. The packages `lime` and `shap` have the same two methods: the
last release of `lime` is of 2020, and `shap` brings a compiler (numba) and its own model wrappers for what is one
weighted regression here. The superpixels are scikit-image's SLIC.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triovision.errors import ExplanationError
from triovision.explain.scores import BATCH, Scorer, captum_attr, mean_colour
from triovision.explanation_settings import ExplanationSettings

_RIDGE_PENALTY = 1.0
_KERNEL_WIDTH = 0.25


def occlusion(score: Scorer, batch_nchw: Tensor, settings: ExplanationSettings) -> NDArray[np.float32]:
    """Slide a window in the photo's mean colour over it, and map how much the score drops.

    "Visualizing and Understanding Convolutional Networks" (Zeiler and Fergus, 2014).

    Args:
        score: Score of photos.
        batch_nchw: One photo.
        settings: `window` and `stride`.

    Returns:
        `float32` on the grid of the input: mean drop of the score over all windows that cover a pixel.
    """
    steps = [_occlusion_steps(settings, side) for side in batch_nchw.shape[2:]]
    drop_nchw = (
        captum_attr()
        .Occlusion(score)
        .attribute(
            batch_nchw,
            sliding_window_shapes=(batch_nchw.shape[1], *(window for window, _, _ in steps)),
            strides=(batch_nchw.shape[1], *(stride for _, stride, _ in steps)),
            baselines=mean_colour(batch_nchw),
            perturbations_per_eval=BATCH,
        )
    )
    return _array(drop_nchw[0, 0])


def occlusion_passes(settings: ExplanationSettings, sides: Sequence[int]) -> int:
    """Return how many photos an occlusion scores: one for each window on an input of `sides`, and the photo itself."""
    return 1 + math.prod(count for _, _, count in (_occlusion_steps(settings, side) for side in sides))


def _occlusion_steps(settings: ExplanationSettings, side: int) -> tuple[int, int, int]:
    """Window and stride in pixels, and number of windows, along one side; the last window may end outside.

    The stride is rounded up where needed, so that no further window covers a few last pixels.
    """
    window = max(1, round(settings.window * side))
    steps = max(1, math.ceil(round((1 - settings.window) / settings.stride, 6)))
    stride = max(1, math.ceil((side - window) / steps))
    return window, stride, math.ceil((side - window) / stride) + 1


def lime(score: Scorer, batch_nchw: Tensor, settings: ExplanationSettings) -> NDArray[np.float32]:
    """Fit a linear model of the score on superpixels that are kept or take the photo's mean colour.

    "Why Should I Trust You?" (Ribeiro, Singh and Guestrin, 2016), with the choices of its authors for images: each
    superpixel is kept with probability 1/2, samples are weighted by an exponential kernel of width 0.25 on the cosine
    distance to the whole photo, and the model is a ridge regression of penalty 1.

    Args:
        score: Score of photos.
        batch_nchw: One photo.
        settings: `segments`, `samples` and `seed`.

    Returns:
        `float32` on the grid of the input: the coefficient of each pixel's superpixel.

    Raises:
        ExplanationError: If the photo has no two superpixels.
    """
    from captum._utils.models.linear_model import SkLearnRidge  # noqa: PLC0415 - see `captum_attr`

    generator = torch.Generator().manual_seed(settings.seed)

    def masks(photo: Tensor, *, num_interp_features: int, **_: object) -> Iterator[Tensor]:
        yield torch.ones(1, num_interp_features, dtype=torch.long, device=photo.device)
        while True:
            yield torch.randint(2, (1, num_interp_features), generator=generator).to(photo.device)

    explainer = captum_attr().Lime(
        score,
        interpretable_model=SkLearnRidge(alpha=_RIDGE_PENALTY),
        similarity_func=_similarity,
        perturb_func=masks,
    )
    return _coefficients(explainer, batch_nchw, settings)


def kernel_shap(score: Scorer, batch_nchw: Tensor, settings: ExplanationSettings) -> NDArray[np.float32]:
    """Estimate the Shapley value of each superpixel by a weighted regression.

    "A Unified Approach to Interpreting Model Predictions" (Lundberg and Lee, 2017), with a sample and its complement
    in turn, which lowers the variance ("Improving KernelSHAP", Covert and Lee, 2021).

    Args:
        score: Score of photos.
        batch_nchw: One photo.
        settings: `segments`, `samples` and `seed`.

    Returns:
        `float32` on the grid of the input: the Shapley value of each pixel's superpixel. Over the superpixels they sum
        to the score of the photo less that of its mean colour.

    Raises:
        ExplanationError: If the photo has no two superpixels.
    """
    generator = torch.Generator().manual_seed(settings.seed)

    def masks(photo: Tensor, *, num_interp_features: int, **_: object) -> Iterator[Tensor]:
        yield torch.ones(1, num_interp_features, dtype=torch.long, device=photo.device)
        yield torch.zeros(1, num_interp_features, dtype=torch.long, device=photo.device)
        # The Shapley kernel as a distribution of the number of superpixels that are kept.
        kept = torch.arange(1, num_interp_features)
        weight = 1 / (kept * (num_interp_features - kept))
        while True:
            size = int(kept[torch.multinomial(weight, 1, generator=generator)])
            mask = torch.zeros(1, num_interp_features, dtype=torch.long)
            mask[0, torch.randperm(num_interp_features, generator=generator)[:size]] = 1
            mask = mask.to(photo.device)
            yield mask
            yield 1 - mask

    explainer = captum_attr().KernelShap(score)
    explainer.perturb_func = masks  # Captum's own draws from the generator that all threads share
    return _coefficients(explainer, batch_nchw, settings)


def superpixels(batch_nchw: Tensor, segments: int) -> Tensor:
    """Divide a photo into regions of similar colour ("SLIC Superpixels", Achanta et al., 2012).

    Args:
        batch_nchw: One normalised photo.
        segments: Number of regions, about.

    Returns:
        Number of the region of each pixel from zero on, shape `(1, 1, h, w)`.

    Raises:
        ExplanationError: If there are no two regions.
    """
    from skimage.segmentation import slic  # noqa: PLC0415 - it loads SciPy, and most explanations do without

    image_hwc = batch_nchw[0].permute(1, 2, 0).float().cpu().numpy()
    image_hwc = (image_hwc - image_hwc.min()) / (np.ptp(image_hwc) or 1.0)
    # Smoothed by a pixel and compact: of noise and foliage, SLIC's defaults leave few regions or a single one.
    labels_hw = slic(image_hwc, n_segments=segments, compactness=20, sigma=1, start_label=0, channel_axis=-1)
    _, numbers = np.unique(labels_hw, return_inverse=True)
    if numbers.max() < 1:
        raise ExplanationError("Superpixels", "are fewer than two in this photo", "Choose more segments")
    return torch.from_numpy(numbers.reshape(1, 1, *labels_hw.shape)).to(batch_nchw.device)


def _similarity(_photo: Tensor, _changed: Tensor, mask: Tensor, **_: object) -> float:
    """Weight of a sample by the cosine distance of its mask, shape `(1, n)`, to the mask of the whole photo."""
    distance = 1 - math.sqrt(float(mask.float().mean()))
    return math.exp(-(distance**2) / (2 * _KERNEL_WIDTH**2))


def _coefficients(explainer: object, batch_nchw: Tensor, settings: ExplanationSettings) -> NDArray[np.float32]:
    regions = superpixels(batch_nchw, settings.segments)
    coefficients: Tensor = explainer.attribute(  # type: ignore[attr-defined]
        batch_nchw,
        baselines=mean_colour(batch_nchw),
        feature_mask=regions,
        n_samples=settings.samples,
        perturbations_per_eval=BATCH,
        return_input_shape=False,
    )
    return _array(coefficients.flatten()[regions[0, 0].cpu()])


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return array
