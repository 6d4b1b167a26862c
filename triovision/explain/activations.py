"""Activations inside a network: the outputs of its stages for a photo, strongest channels first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triovision.explain.methods import explained_member
from triovision.explain.model import AttendingModel, CompositeModel, ExplainableModel
from triovision.explain.turns import TURNS, ExplanationLimits, OnStep, taking_turns
from triovision.inference.faults import check_finite, worded_faults
from triovision.results import Photo


@dataclass(frozen=True, slots=True, eq=False)
class StageActivations:
    """Outputs of one stage of a network for one photo.

    Attributes:
        layer: Dotted name of the stage.
        channels: Indices of the channels that are shown, strongest first by mean absolute activation.
        maps_khw: Their activations as the network computed them, `float32`, shape `(len(channels), height, width)`.
        total_channels: Number of all channels of the stage.
    """

    layer: str
    channels: tuple[int, ...]
    maps_khw: NDArray[np.float32]
    total_channels: int


def layer_activations(network: nn.Module, batch_nchw: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Run a network on photos and return the outputs of some of its layers.

    Args:
        network: Any network. Its hooks are removed at the end, also after an error.
        batch_nchw: Input of the network.
        layers: Dotted names of the layers. A layer that returns a tuple is represented by the first element.

    Returns:
        Output of each layer, detached, in the order of `layers`; of the last call for a layer that ran several times.

    Raises:
        ValueError: If the network has no layer of a name, or did not run one.
    """
    modules = dict(network.named_modules())
    if unknown := [layer for layer in layers if layer not in modules]:
        raise ValueError(f"the network has no layer {', '.join(unknown)}")
    outputs: dict[str, Tensor] = {}

    def keep(layer: str, _module: nn.Module, _inputs: object, output: Any) -> None:  # noqa: ANN401 - of any layer
        tensor: Tensor = output[0] if isinstance(output, tuple) else output
        outputs[layer] = tensor.detach().clone()  # a copy: the next layer may write in place

    handles = [modules[layer].register_forward_hook(partial(keep, layer)) for layer in layers]
    try:
        with torch.no_grad():
            network(batch_nchw)
    finally:
        for handle in handles:
            handle.remove()
    if idle := [layer for layer in layers if layer not in outputs]:
        raise ValueError(f"the network did not run its layer {', '.join(idle)}")
    return {layer: outputs[layer] for layer in layers}


def network_activations(
    model: ExplainableModel | CompositeModel,
    photo: Photo,
    *,
    channels: int = 16,
    on_step: OnStep = lambda _: None,
    limits: ExplanationLimits | None = None,
) -> tuple[StageActivations, ...]:
    """Return the activations of each stage of a model for a photo, from the input to the output.

    The stages are those that timm's networks name (`feature_info`); of a transformer, its blocks, whose tokens lie on
    the grid of patches. A network of several backbones has the stages of each in turn.

    Args:
        model: Model; one member stands for a composite model, as for explanations.
        photo: Photo.
        channels: Largest number of channels of each stage.
        on_step: Called with the fraction that is done; what it raises ends the work.
        limits: Bounds on the time; None for the defaults.

    Raises:
        ExplanationError: If others have the turn for too long, or the deadline is over.
        ModelFailure: If the model fails, whatever the reason.
    """
    model = explained_member(model)
    with (
        worded_faults(model.card.id),
        model.private_network() as network,
        taking_turns(model.card.id, TURNS, limits or ExplanationLimits(), on_step) as step,
        torch.inference_mode(),
    ):
        stages = _stages(model, network)
        outputs = layer_activations(network, model.preprocess([photo]), list(stages))
        step(0.5)
        shown = tuple(strongest_channels(layer, _grid(outputs[layer][0], stages[layer]), channels) for layer in stages)
        check_finite(model.card.id, *(stage.maps_khw for stage in shown))
        step(1.0)
    return shown


def _stages(model: ExplainableModel, network: nn.Module) -> dict[str, bool]:
    """Dotted names of the stages, each with whether the channels come last in its output."""
    stages: dict[str, bool] = {}
    for name, module in network.named_modules():
        named = getattr(module, "feature_info", None)
        for stage in named if isinstance(named, list) else ():  # timm's blocks have a method of this name
            prefix = f"{name}." if name else ""
            stages[f"{prefix}{stage['module']}"] = getattr(module, "output_fmt", None) == "NHWC"
    if not stages and isinstance(model, AttendingModel):
        blocks = network.get_submodule(model.attention_layers)
        stages = {f"{model.attention_layers}.{name}": False for name, _ in blocks.named_children()}
    if not stages:
        stages = {name: False for name, _ in network.named_children()}
    return stages


def _grid(output: Tensor, channels_last: bool) -> Tensor:
    """Output of a stage for one photo as channels, rows and columns.

    Tokens `(tokens, channels)` lie row by row on a square grid, after the class token and other tokens without a place.
    A vector has channels of one cell.
    """
    if output.ndim == 3:
        return output.permute(2, 0, 1) if channels_last else output
    if output.ndim == 1:
        return output[:, None, None]
    side = math.isqrt(len(output))
    return output[len(output) - side**2 :].T.reshape(-1, side, side)


def strongest_channels(layer: str, maps_chw: Tensor, channels: int) -> StageActivations:
    """Choose the channels with the largest mean absolute activation.

    Args:
        layer: Dotted name of the layer.
        maps_chw: Its output for one photo.
        channels: Largest number of channels.
    """
    strength = maps_chw.float().abs().mean(dim=(1, 2))
    order = torch.sort(strength, descending=True, stable=True).indices[:channels]
    maps_khw: NDArray[np.float32] = maps_chw[order].float().cpu().numpy()
    return StageActivations(layer, tuple(order.tolist()), maps_khw, len(maps_chw))
