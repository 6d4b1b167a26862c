"""Class activation maps of convolutional networks, and their contrasts of two countries.

A contrast ("why this country and not that one") is the map of the difference of the two logits less the map of the
opposite difference. "Contrastive Explanations in Neural Networks" (Prabhushankar et al., 2020) weights the layer by the
gradient of a difference of two outcomes and keeps what is positive; here the negative part is kept too. The maps have
these forms, where A is the layer and g the gradient of the difference:

- Grad-CAM: the map without its last ReLU, so the difference of the two countries' raw maps.
- LayerCAM: the sum of g·A over the channels, where A is not negative (HiResCAM, Draelos and Carin, 2020).
- Grad-CAM++: the difference of two maps, one from the positive, one from the negative part of g.
- Score-CAM: the softmax of the channels' score differences less the softmax of the opposite differences, times A.

Swapping the countries changes the sign and nothing else.
"""

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

from triovision.explain.methods import SCORE_CAM
from triovision.explain.scores import BATCH, Target
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
    """Score-CAM that calls `on_step` after each batch of masked photos, with the fraction that is done.

    Args:
        args: Those of torchcam's class.
        on_step: Progress callback.
        contrast: Whether the map is a contrast, with both signs.
        kwargs: Those of torchcam's class.
    """

    def __init__(self, *args: Any, on_step: OnStep, contrast: bool, **kwargs: Any) -> None:  # noqa: ANN401 - torchcam's
        super().__init__(*args, **kwargs)
        self.bs = BATCH
        self._on_step = on_step
        self._contrast = contrast
        self._relu = not contrast
        self._scored = 0

    def _score_input(self, input_tensor: Tensor, *args: Any) -> Tensor:  # noqa: ANN401 - torchcam's
        scores = super()._score_input(input_tensor, *args)
        self._scored += len(input_tensor)
        self._on_step(self._scored / sum(activation.shape[0] * activation.shape[1] for activation in self.hook_a))
        return scores

    def _get_score_weights(self, *args: Any, **kwargs: Any) -> list[Tensor]:  # noqa: ANN401 - torchcam's
        weights = super()._get_score_weights(*args, **kwargs)
        return [one - _opposite_softmax(one) for one in weights] if self._contrast else weights


def _opposite_softmax(softmax_nc: Tensor) -> Tensor:
    """Softmax of `-x` from that of `x`, so that a contrast need not score the masked photos twice."""
    tiny = torch.finfo(softmax_nc.dtype).tiny
    return torch.softmax(-softmax_nc.clamp(min=tiny).log(), dim=-1)


_EXTRACTORS: Final[Mapping[str, Extractor]] = {"LayerCAM": LayerCAM, "Grad-CAM": GradCAM, "Grad-CAM++": PaperGradCAMpp}


def activation_map(
    network: nn.Module, batch_nchw: Tensor, target: Target, method: str, layer: str, on_step: OnStep
) -> NDArray[np.float32]:
    """Map the positions of a layer's grid that raise the score of a label, or a contrast of two labels.

    Args:
        network: A network for hooks; they are removed at the end, also after an error.
        batch_nchw: One photo.
        target: What is explained.
        method: Name of a method of the kind "class activation".
        layer: Dotted name of the layer.
        on_step: Called between the steps of Score-CAM.

    Returns:
        `float32` on the layer's grid, not negative: 0 where nothing raises the score. A contrast has both signs.
    """
    contrast = target.against is not None
    slow = method == SCORE_CAM
    extractor = partial(SteppedScoreCAM, on_step=on_step, contrast=contrast) if slow else _EXTRACTORS[method]
    # Gradients are needed in any mode of the caller. The parameters are frozen, so the batch requires the gradient; a
    # copy of it, because a tensor made in inference mode cannot.
    with torch.inference_mode(mode=False), extractor(network, target_layer=layer) as extract:
        logits = network(batch_nchw.clone().requires_grad_())
        if slow:
            (cam_nhw,) = extract(targets=target.score, normalized=False)
        else:
            (cam_nhw,) = extract(scores=logits, targets=target.score, normalized=False, retain_graph=contrast)
            if contrast:
                cam_nhw -= extract(scores=logits, targets=target.opposite, normalized=False)[0]
        heatmap_hw: NDArray[np.float32] = cam_nhw[0].float().cpu().numpy()
    return heatmap_hw
