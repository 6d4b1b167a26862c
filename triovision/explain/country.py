"""Explanation of a country, or of one country against another, by the methods that fit a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triovision.errors import ExplanationError
from triovision.explain import attention, cam, estimates, gradients, perturbation
from triovision.explain.methods import Method, explained_member, method_named, methods_for
from triovision.explain.model import AttendingModel, CompositeModel, ExplainableModel
from triovision.explain.scores import Scorer, Target
from triovision.explain.turns import TURNS, ExplanationLimits, OnStep, taking_turns
from triovision.explanation_settings import ExplanationSettings
from triovision.inference.faults import check_finite, worded_faults
from triovision.results import Explanation, Photo

_ROUNDING: Final = 1e-5

_PixelMap = Callable[[Scorer, Tensor, ExplanationSettings], NDArray[np.float32]]
_PIXEL_MAPS: Final[dict[str, _PixelMap]] = {
    "Occlusion": perturbation.occlusion,
    "LIME": perturbation.lime,
    "KernelSHAP": perturbation.kernel_shap,
    "GradientSHAP": gradients.gradient_shap,
    "Integrated gradients": gradients.integrated_gradients,
}


def _ignore(fraction: float) -> None:
    """Progress callback that does nothing."""


def explain_country(  # noqa: PLR0913 - four of them name the map, the others have defaults
    model: ExplainableModel | CompositeModel,
    photo: Photo,
    country: str,
    method: str | None = None,
    *,
    against: str | None = None,
    settings: ExplanationSettings | None = None,
    on_step: OnStep = _ignore,
    limits: ExplanationLimits | None = None,
) -> Explanation:
    """Map the parts of a photo that raise the score of a country, or of a country against another one.

    Convolutional networks use Grad-CAM (Selvaraju et al., 2017), LayerCAM (Jiang et al., 2021), Grad-CAM++
    (Chattopadhay et al., 2018) or Score-CAM (Wang et al., 2020; slow, one forward pass per channel) on the layer
    `model.target_layer`. Transformers that return their attention use gradient-weighted attention (Chefer et al.,
    2021). Every network has occlusion, LIME, KernelSHAP, GradientSHAP and integrated gradients on its input. Hooks are
    set on a private copy of the network and always removed; the network that predicts has none.

    The score is the logit of the country (for attention, its log-odds), or the difference of the two logits.

    Args:
        model: Model to explain. One member stands for a composite model, and the explanation names that member.
        photo: Photo to explain.
        country: Label to explain, ISO 3166-1 alpha-2; any label, not only the most probable one.
        method: One of `methods_for(model)`; None for the first.
        against: Label that the country is compared with: "why this country and not that one". The map is then signed.
        settings: Settings of the perturbation and gradient methods; None for the defaults.
        on_step: Called with the fraction that is done between the steps of methods that run the network many times.
            Explanations of other threads take their turns meanwhile. What it raises ends the explanation.
        limits: Bounds on the time; None for the defaults.

    Returns:
        The map divided by its greatest absolute value: 1 (or -1) at the strongest position, 0 where nothing changes the
        score; all 0 where nothing in the photo does. Maps that are not signed show only what raises the score.

    Raises:
        ExplanationError: If the method is unknown or fits another kind of model, a country is no label of the model,
            both are the same, others have the turn for too long, or the deadline is over.
        ModelFailure: If the model fails, whatever the reason.
    """
    model = explained_member(model)
    chosen = _method(model, method)
    target = target_of(model, country, against)
    settings = settings or ExplanationSettings()
    with (
        worded_faults(model.card.id),
        model.private_network() as network,
        taking_turns(model.card.id, TURNS, limits or ExplanationLimits(), on_step) as step,
    ):
        start = time.perf_counter()
        heatmap_hw = _heatmap(model, network, photo, target, chosen, settings, step)
        elapsed_ms = (time.perf_counter() - start) * 1000
    return Explanation(
        photo=photo.name,
        model=model.card.id,
        country=country,
        against=against,
        method=chosen.name,
        layer=_layer(model, chosen),
        heatmap_hw=heatmap_hw,
        signed=chosen.signed or against is not None,
        box=model.seen_box(photo),
        elapsed_ms=elapsed_ms,
    )


def target_of(model: ExplainableModel, country: str, against: str | None) -> Target:
    """Return the logits that an explanation compares.

    Raises:
        ExplanationError: If a country is no label of the model, or both are the same.
    """
    for code in (country, against):
        if code is not None and code not in model.labels:
            known = ", ".join(sorted(model.labels))
            raise ExplanationError(code, f"is no label of {model.card.id}", f"Choose one of {known}")
    if country == against:
        raise ExplanationError(country, "is compared with itself", "Choose two different countries")
    labels = list(model.labels)
    return Target(labels.index(country), None if against is None else labels.index(against))


def _method(model: ExplainableModel, name: str | None) -> Method:
    fitting = methods_for(model)
    if name is not None and name not in fitting:
        raise ExplanationError(name, f"is no method for {model.card.id}", f"Choose one of {', '.join(fitting)}")
    return method_named(name or fitting[0])


def _layer(model: ExplainableModel, method: Method) -> str:
    """Dotted name of the layer that a method reads; "input" for methods that read none."""
    if method.kind == "attention":
        return cast(AttendingModel, model).attention_layers
    return cast(str, model.target_layer) if method.kind == "class activation" else "input"


def _heatmap(
    model: ExplainableModel,
    network: nn.Module,
    photo: Photo,
    target: Target,
    method: Method,
    settings: ExplanationSettings,
    on_step: OnStep,
) -> NDArray[np.float32]:
    with torch.inference_mode(mode=False), torch.enable_grad():  # whatever the mode of the caller
        batch_nchw = model.preprocess([photo])
        if method.kind == "attention":
            heatmap_hw = attention.attention_map(cast(attention.AttendingNetwork, network), batch_nchw, target)
        elif method.kind == "class activation":
            layer = _layer(model, method)
            heatmap_hw = cam.activation_map(network, batch_nchw, target, method.name, layer, on_step)
        else:
            passes = estimates.number_of_passes(method, settings, batch_nchw.shape[2:])
            score = Scorer(network, target, passes, on_step)
            start = time.perf_counter()
            heatmap_hw = _PIXEL_MAPS[method.name](score, batch_nchw, settings)
            estimates.record(model, method, time.perf_counter() - start - score.waited_s, passes)
            # Of a photo that changes nothing, the map holds rounding errors of the scores, which are `float32`.
            total = np.abs(heatmap_hw).max() if method.kind == "perturbation" else np.abs(heatmap_hw).sum()
            if total < _ROUNDING * score.largest:
                heatmap_hw = np.zeros_like(heatmap_hw)
    check_finite(model.card.id, heatmap_hw)
    # Divide without subtracting the minimum, which would empty an even map and change the meaning of zero.
    peak = np.abs(heatmap_hw).max()
    return heatmap_hw / peak if peak > 0 else heatmap_hw
