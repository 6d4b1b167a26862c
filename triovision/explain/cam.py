"""Class activation maps: where the layer that was read speaks for a country."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchcam.methods import GradCAM, GradCAMpp, LayerCAM, ScoreCAM

from triovision.errors import ExplanationError
from triovision.explain.model import ExplainableModel
from triovision.results import Explanation, Photo

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
"""Names of the methods, the default first."""


def explain_country(model: ExplainableModel, photo: Photo, country: str, method: str = "LayerCAM") -> Explanation:
    """Map the parts of a photo that speak for a country.

    LayerCAM (Jiang et al., 2021), Grad-CAM (Selvaraju et al., 2017), Grad-CAM++ (Chattopadhay et al., 2018) or
    Score-CAM (Wang et al., 2020; one forward pass a channel, hence slow) on the layer `model.explained_layer`. Hooks
    are put on a private copy of the network and removed whatever happens; the network that answers never has any.

    Args:
        model: Engine to explain.
        photo: Photo that the engine judged.
        country: Label to argue for, ISO 3166-1 alpha-2; it need not be the most probable one.
        method: One of `METHODS`.

    Returns:
        The map divided by its maximum: 1 where most speaks for the country, 0 where nothing does; all 0 when nothing
        in the photo does.

    Raises:
        ExplanationError: The method is unknown, the model has no such label, or its network no grid to read.
    """
    if method not in _EXTRACTORS:
        raise ExplanationError(method, "is no explanation method", f"Choose one of {', '.join(METHODS)}")
    if country not in model.labels:
        known = ", ".join(sorted(model.labels))
        raise ExplanationError(country, f"is no country that {model.card.id} knows", f"Choose one of {known}")
    layer = model.explained_layer
    if layer is None:
        reason = "has a transformer inside, whose layers class activation maps cannot read"
        raise ExplanationError(model.card.id, reason, "Choose a model with a convolutional network")
    extractor = partial(_EXTRACTORS[method], target_layer=layer)
    with model.private_network() as network:
        start = time.perf_counter()
        heatmap_hw = _heatmap(model, network, photo, model.labels.index(country), extractor)
        elapsed_ms = (time.perf_counter() - start) * 1000
    return Explanation(
        photo=photo.name,
        model=model.card.id,
        country=country,
        method=method,
        layer=layer,
        heatmap_hw=heatmap_hw,
        box=model.seen_box(photo),
        elapsed_ms=elapsed_ms,
    )


def _heatmap(
    model: ExplainableModel, network: nn.Module, photo: Photo, label: int, extractor: Extractor
) -> NDArray[np.float32]:
    # Gradients are on whatever the caller's mode is. The network is frozen, so the batch has to ask for them.
    with torch.inference_mode(mode=False), extractor(network) as extract:
        batch_nchw = model.preprocess([photo]).detach().requires_grad_()
        (cam_nhw,) = extract(label, network(batch_nchw), normalized=False)
        heatmap_hw: NDArray[np.float32] = cam_nhw[0].float().cpu().numpy()
    # Not torchcam's normalisation: it takes the minimum away, which empties an even map and hides what zero means.
    peak = heatmap_hw.max()
    return heatmap_hw / peak if peak > 0 else heatmap_hw
