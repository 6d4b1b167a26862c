"""Integrated gradients and GradientSHAP: maps from the gradients of the score on the way to the photo."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triovision.explain.scores import BATCH, Scorer, captum_attr, mean_colour
from triovision.explanation_settings import ExplanationSettings


def integrated_gradients(score: Scorer, batch_nchw: Tensor, settings: ExplanationSettings) -> NDArray[np.float32]:
    """Integrate the gradient of the score on the straight line from the photo's mean colour to the photo.

    "Axiomatic Attribution for Deep Networks" (Sundararajan, Taly and Yan, 2017), by Gauss-Legendre quadrature.

    Args:
        score: Score of photos.
        batch_nchw: One photo.
        settings: `steps`.

    Returns:
        `float32` on the grid of the input, summed over the colours. The sum of the map is the score of the photo less
        that of its mean colour, but for the error of the quadrature.
    """
    attribution_nchw = (
        captum_attr()
        .IntegratedGradients(score)
        .attribute(batch_nchw, baselines=mean_colour(batch_nchw), n_steps=settings.steps, internal_batch_size=BATCH)
    )
    return _by_pixel(attribution_nchw)


def gradient_shap(score: Scorer, batch_nchw: Tensor, settings: ExplanationSettings) -> NDArray[np.float32]:
    """Average the gradient of the score at random points between plain pictures and the photo.

    The expected gradients of SHAP's GradientExplainer ("A Unified Approach to Interpreting Model Predictions", Lundberg
    and Lee, 2017; "Improving Performance of Deep Learning Models with Axiomatic Attribution Priors and Expected
    Gradients", Erion et al., 2021). The baselines come from a distribution; here they are plain pictures, each in the
    colour of a random pixel of the photo, so that no colour of the photo is a blind spot.

    Captum's class of this name draws from the generators of NumPy and torch that all threads share, so that no seed
    would fix its maps here.

    Args:
        score: Score of photos.
        batch_nchw: One photo.
        settings: `steps` (number of samples) and `seed`.

    Returns:
        `float32` on the grid of the input, summed over the colours. The expected sum of the map is the score of the
        photo less the mean score of the plain pictures.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    pixels = batch_nchw[0].flatten(1).T
    drawn = torch.randint(len(pixels), (settings.steps,), generator=generator)
    plain_nchw = pixels[drawn.to(pixels.device)][..., None, None]
    share = torch.rand(settings.steps, 1, 1, 1, generator=generator).to(pixels.device)
    total_nchw = torch.zeros_like(batch_nchw)
    for start in range(0, settings.steps, BATCH):
        piece = slice(start, start + BATCH)
        difference_nchw = batch_nchw - plain_nchw[piece]
        points_nchw = (plain_nchw[piece] + share[piece] * difference_nchw).requires_grad_()
        (gradient_nchw,) = torch.autograd.grad(score(points_nchw).sum(), points_nchw)
        total_nchw += (difference_nchw * gradient_nchw).sum(dim=0, keepdim=True)
    return _by_pixel(total_nchw / settings.steps)


def _by_pixel(attribution_nchw: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = attribution_nchw[0].sum(dim=0).detach().float().cpu().numpy()
    return array
