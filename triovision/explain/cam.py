"""Class activation maps of convolutional networks."""

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

from triovision.explain.turns import OnStep

Extractor = Callable[..., AbstractContextManager[Callable[..., list[Tensor]]]]


class PaperGradCAMpp(GradCAMpp):
    """Grad-CAM++ with the weights of its paper ("Grad-CAM++", Chattopadhay et al., 2018, equations 10 and 19).

    torchcam 0.5 divides a copy by the denominator of alpha and continues with the numerator alone, so its weights are
    sums of cubed gradients.
    """

    def _get_weights(self, class_idx: int | list[int], scores: Tensor, *_: Any, **kwargs: Any) -> list[Tensor]:  # noqa: ANN401 - torchcam's
        self._backprop(scores, class_idx, **kwargs)
        return [
            _paper_weights(activation, gradient) for activation, gradient in zip(self.hook_a, self.hook_g, strict=True)
        ]


def _paper_weights(activation_nchw: Tensor, gradient_nchw: Tensor) -> Tensor:
    """Sum over the grid of alpha·ReLU(g), where alpha = g²/(2g² + g³·ΣA): that is g/(2 + g·ΣA) for g > 0, else 0.

    The paper's A is the output of a ReLU. For a layer without one, the sum omits the negative part, which could make
    the denominator zero.
    """
    gradient_nchw = gradient_nchw.relu()
    sums = activation_nchw.relu().sum(dim=(2, 3), keepdim=True)
    return (gradient_nchw / (2 + gradient_nchw * sums)).sum(dim=(2, 3))


class SteppedScoreCAM(ScoreCAM):
    """Score-CAM that calls `on_step` after each batch of masked photos, with the fraction that is done."""

    def __init__(self, *args: Any, on_step: OnStep, **kwargs: Any) -> None:  # noqa: ANN401 - torchcam's
        super().__init__(*args, **kwargs)
        self._on_step = on_step
        self._scored = 0

    def _score_input(self, input_tensor: Tensor, *args: Any) -> Tensor:  # noqa: ANN401 - torchcam's
        scores = super()._score_input(input_tensor, *args)
        self._scored += len(input_tensor)
        self._on_step(self._scored / sum(activation.shape[0] * activation.shape[1] for activation in self.hook_a))
        return scores


SCORE_CAM: Final = "Score-CAM"
"""The method that takes many steps: it runs the network once per channel of the layer."""

# More than 8 masked photos at a time cost memory and save no time.
_EXTRACTORS: Final[Mapping[str, Extractor]] = {
    "LayerCAM": LayerCAM,
    "Grad-CAM": GradCAM,
    "Grad-CAM++": PaperGradCAMpp,
    SCORE_CAM: partial(SteppedScoreCAM, batch_size=8),
}

METHODS: Final = tuple(_EXTRACTORS)
"""Names of the methods for convolutional networks, the default first."""


def activation_map(
    network: nn.Module, batch_nchw: Tensor, label: int, method: str, layer: str, on_step: OnStep
) -> NDArray[np.float32]:
    """Map the positions of a layer's grid that raise the logit of a label.

    Args:
        network: A network for hooks; they are removed at the end, also after an error.
        batch_nchw: One photo.
        label: Index of the logit.
        method: One of `METHODS`.
        layer: Dotted name of the layer.
        on_step: Called between the steps of Score-CAM.

    Returns:
        `float32` on the layer's grid; 0 where nothing raises the logit.
    """
    extractor = partial(_EXTRACTORS[method], on_step=on_step) if method == SCORE_CAM else _EXTRACTORS[method]
    # Gradients are needed in any mode of the caller. The parameters are frozen, so the batch requires the gradient; a
    # copy of it, because a tensor made in inference mode cannot.
    with torch.inference_mode(mode=False), extractor(network, target_layer=layer) as extract:
        batch_nchw = batch_nchw.clone().requires_grad_()
        (cam_nhw,) = extract(label, network(batch_nchw), normalized=False)
        heatmap_hw: NDArray[np.float32] = cam_nhw[0].float().cpu().numpy()
    return heatmap_hw
