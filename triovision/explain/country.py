"""Why a country: the methods that an engine can be asked with, and their answer."""

from __future__ import annotations

import time
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from triovision.errors import ExplanationError
from triovision.explain import attention, cam
from triovision.explain.model import AttendingModel, CompositeModel, ExplainableModel
from triovision.results import Explanation, Photo


def methods_for(model: ExplainableModel | CompositeModel) -> tuple[str, ...]:
    """Names of the methods that can explain an engine, the default first; none where no method can."""
    model = _explained_member(model)
    if isinstance(model, AttendingModel):
        return attention.METHODS
    return () if model.target_layer is None else cam.METHODS


def explain_country(
    model: ExplainableModel | CompositeModel, photo: Photo, country: str, method: str | None = None
) -> Explanation:
    """Map the parts of a photo that speak for a country.

    A convolutional network by LayerCAM (Jiang et al., 2021), Grad-CAM (Selvaraju et al., 2017), Grad-CAM++
    (Chattopadhay et al., 2018) or Score-CAM (Wang et al., 2020; one forward pass a channel, hence slow) on the layer
    `model.target_layer`; a transformer that shows its attention by gradient-weighted attention (Chefer et al.,
    2021). Hooks are put on a private copy of the network and removed whatever happens; the network that answers never
    has any.

    Args:
        model: Engine to explain. Of several models in one, the first that can be explained gives its own reasons, and
            the explanation names that one.
        photo: Photo that the engine judged.
        country: Label to argue for, ISO 3166-1 alpha-2; it need not be the most probable one.
        method: One of `methods_for(model)`; the first when None.

    Returns:
        The map divided by its maximum: 1 where most speaks for the country, 0 where nothing does; all 0 when nothing
        in the photo does.

    Raises:
        ExplanationError: The method is unknown, the model has no such label, or its network nothing to read.
    """
    model = _explained_member(model)
    methods = methods_for(model)
    if not methods:
        reason = "has a transformer inside, whose layers class activation maps cannot read"
        raise ExplanationError(model.card.id, reason, "Choose a model with a convolutional network")
    chosen = methods[0] if method is None else method
    if chosen not in methods:
        raise ExplanationError(
            chosen, f"is no method that explains {model.card.id}", f"Choose one of {', '.join(methods)}"
        )
    if country not in model.labels:
        known = ", ".join(sorted(model.labels))
        raise ExplanationError(country, f"is no country that {model.card.id} knows", f"Choose one of {known}")
    layer = model.attention_layers if isinstance(model, AttendingModel) else cast(str, model.target_layer)
    with model.private_network() as network:
        start = time.perf_counter()
        heatmap_hw = _heatmap(model, network, photo, model.labels.index(country), chosen, layer)
        elapsed_ms = (time.perf_counter() - start) * 1000
    return Explanation(
        photo=photo.name,
        model=model.card.id,
        country=country,
        method=chosen,
        layer=layer,
        heatmap_hw=heatmap_hw,
        box=model.seen_box(photo),
        elapsed_ms=elapsed_ms,
    )


def _explained_member(model: ExplainableModel | CompositeModel) -> ExplainableModel:
    if not isinstance(model, CompositeModel):
        return model
    return next((one for one in model.members_by_weight if methods_for(one)), model.members_by_weight[0])


def _heatmap(
    model: ExplainableModel, network: nn.Module, photo: Photo, label: int, method: str, layer: str
) -> NDArray[np.float32]:
    batch_nchw = model.preprocess([photo])
    if method in attention.METHODS:
        heatmap_hw = attention.attention_map(cast(attention.AttendingNetwork, network), batch_nchw, label)
    else:
        heatmap_hw = cam.activation_map(network, batch_nchw, label, method, layer)
    # Divided and not stretched: taking the minimum away empties an even map and hides what zero means.
    peak = heatmap_hw.max()
    return heatmap_hw / peak if peak > 0 else heatmap_hw
