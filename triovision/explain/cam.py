"""Class activation maps: where the layer that was read speaks for a country."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchcam.methods import GradCAM, GradCAMpp, LayerCAM, ScoreCAM

Extractor = Callable[..., AbstractContextManager[Callable[..., list[Tensor]]]]


class PaperGradCAMpp(GradCAMpp):
    """Grad-CAM++ with the weights of its paper ("Grad-CAM++", Chattopadhay et al., 2018, equations 10 and 19).

    torchcam 0.5 divides a copy by the denominator of alpha and goes on with the numerator alone, which makes its
    weights sums of cubed gradients.
    """

    def _get_weights(self, class_idx: int | list[int], scores: Tensor, *_: Any, **kwargs: Any) -> list[Tensor]:  # noqa: ANN401 - torchcam's
        self._backprop(scores, class_idx, **kwargs)
        return [
            _paper_weights(activation, gradient) for activation, gradient in zip(self.hook_a, self.hook_g, strict=True)
        ]


def _paper_weights(activation_nchw: Tensor, gradient_nchw: Tensor) -> Tensor:
    """Sum over the grid of alpha·ReLU(g), where alpha = g²/(2g² + g³·ΣA): that is g/(2 + g·ΣA) for g > 0, else 0.

    The paper's A is the output of a ReLU. A layer without one has its negative part left out of the sum, which could
    otherwise bring the denominator to zero.
    """
    gradient_nchw = gradient_nchw.relu()
    sums = activation_nchw.relu().sum(dim=(2, 3), keepdim=True)
    return (gradient_nchw / (2 + gradient_nchw * sums)).sum(dim=(2, 3))


# Score-CAM runs the network once for each channel of the layer. More than 8 at a time take memory and save no time.
_EXTRACTORS: Final[Mapping[str, Extractor]] = {
    "LayerCAM": LayerCAM,
    "Grad-CAM": GradCAM,
    "Grad-CAM++": PaperGradCAMpp,
    "Score-CAM": partial(ScoreCAM, batch_size=8),
}

METHODS: Final = tuple(_EXTRACTORS)
"""Names of the methods for convolutional networks, the default first."""


def activation_map(network: nn.Module, batch_nchw: Tensor, label: int, method: str, layer: str) -> NDArray[np.float32]:
    """Map where a layer speaks for a label.

    Args:
        network: May carry hooks; they are removed whatever happens.
        batch_nchw: One photo.
        label: Index of the logit.
        method: One of `METHODS`.
        layer: Dotted name of the layer.

    Returns:
        `float32` of the layer's grid; 0 where nothing speaks for the label.
    """
    extractor = _EXTRACTORS[method]
    # Gradients are on whatever the caller's mode is. The network is frozen, so the batch has to ask for them; a copy
    # of it, because one that was made in inference mode could not.
    with torch.inference_mode(mode=False), extractor(network, target_layer=layer) as extract:
        batch_nchw = batch_nchw.clone().requires_grad_()
        (cam_nhw,) = extract(label, network(batch_nchw), normalized=False)
        heatmap_hw: NDArray[np.float32] = cam_nhw[0].float().cpu().numpy()
    return heatmap_hw
