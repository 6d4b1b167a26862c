"""Explanation of a country by the methods that fit a model."""

from __future__ import annotations

import time
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from triovision.errors import ExplanationError
from triovision.explain import attention, cam
from triovision.explain.model import AttendingModel, CompositeModel, ExplainableModel
from triovision.explain.turns import ExplanationLimits, OnStep, Turns, taking_turns
from triovision.inference.faults import check_finite, worded_faults
from triovision.results import Explanation, Photo

#: Explanations compute one at a time, whatever the model: they share the cores.
_TURNS: Final = Turns()


def _ignore(fraction: float) -> None:
    """Progress callback that does nothing."""


def methods_for(model: ExplainableModel | CompositeModel) -> tuple[str, ...]:
    """Return the names of the methods that fit a model, the default first; empty where none does."""
    model = _explained_member(model)
    if isinstance(model, AttendingModel):
        return attention.METHODS
    return () if model.target_layer is None else cam.METHODS


def explain_country(
    model: ExplainableModel | CompositeModel,
    photo: Photo,
    country: str,
    method: str | None = None,
    *,
    on_step: OnStep = _ignore,
    limits: ExplanationLimits | None = None,
) -> Explanation:
    """Map the parts of a photo that raise the score of a country.

    Convolutional networks use LayerCAM (Jiang et al., 2021), Grad-CAM (Selvaraju et al., 2017), Grad-CAM++
    (Chattopadhay et al., 2018) or Score-CAM (Wang et al., 2020; slow, one forward pass per channel) on the layer
    `model.target_layer`. Transformers that return their attention use gradient-weighted attention (Chefer et al.,
    2021). Hooks are set on a private copy of the network and always removed; the network that predicts has none.

    Args:
        model: Model to explain. The first explainable member stands for a composite model, and the explanation names
            that member.
        photo: Photo to explain.
        country: Label to explain, ISO 3166-1 alpha-2; any label, not only the most probable one.
        method: One of `methods_for(model)`; None for the first.
        on_step: Called between the steps of Score-CAM with the fraction that is done. Explanations of other threads
            take their turns meanwhile. What it raises ends the explanation.
        limits: Bounds on the time; None for the defaults.

    Returns:
        The map divided by its maximum: 1 at the strongest position, 0 where nothing raises the score; all 0 where
        nothing in the photo does.

    Raises:
        ExplanationError: If the method is unknown, the country is no label of the model, no method fits the model,
            others have the turn for too long, or the deadline is over.
        ModelFailure: If the model fails, whatever the reason.
    """
    model = _explained_member(model)
    methods = methods_for(model)
    if not methods:
        reason = "is a transformer, and class activation maps need convolutional layers"
        raise ExplanationError(model.card.id, reason, "Choose a model with a convolutional network")
    chosen = methods[0] if method is None else method
    if chosen not in methods:
        reason = f"is no method for {model.card.id}"
        raise ExplanationError(chosen, reason, f"Choose one of {', '.join(methods)}")
    if country not in model.labels:
        known = ", ".join(sorted(model.labels))
        raise ExplanationError(country, f"is no label of {model.card.id}", f"Choose one of {known}")
    layer = model.attention_layers if isinstance(model, AttendingModel) else cast(str, model.target_layer)
    label = model.labels.index(country)
    with (
        worded_faults(model.card.id),
        model.private_network() as network,
        taking_turns(model.card.id, _TURNS, limits or ExplanationLimits(), on_step) as step,
    ):
        start = time.perf_counter()
        heatmap_hw = _heatmap(model, network, photo, label, chosen, layer, step)
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
    model: ExplainableModel, network: nn.Module, photo: Photo, label: int, method: str, layer: str, on_step: OnStep
) -> NDArray[np.float32]:
    batch_nchw = model.preprocess([photo])
    if method in attention.METHODS:
        heatmap_hw = attention.attention_map(cast(attention.AttendingNetwork, network), batch_nchw, label)
    else:
        heatmap_hw = cam.activation_map(network, batch_nchw, label, method, layer, on_step)
    check_finite(model.card.id, heatmap_hw)
    # Divide without subtracting the minimum, which would empty an even map and change the meaning of zero.
    peak = heatmap_hw.max()
    return heatmap_hw / peak if peak > 0 else heatmap_hw
