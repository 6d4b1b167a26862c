"""Expected time of an explanation: the number of passes of the method, times the measured time of a pass."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from triovision.errors import TrioVisionError
from triovision.explain.activations import layer_activations
from triovision.explain.methods import SCORE_CAM, Method, explained_member, method_named, methods_for
from triovision.explain.model import CompositeModel, ExplainableModel
from triovision.explain.perturbation import occlusion_passes
from triovision.explain.scores import BATCH
from triovision.explain.turns import TURNS, ExplanationLimits, taking_turns
from triovision.explanation_settings import ExplanationSettings
from triovision.inference.faults import worded_faults
from triovision.results import Photo

_LATEST: Final = 9
_BLANK: Final = Photo(  # 4:3, as most photos: a network that sees all of a photo takes longer for a wider one
    name="blank",
    image_hwc=np.full((240, 320, 3), 127, np.uint8),
    original_width_px=320,
    original_height_px=240,
    format="PNG",
)


@dataclass(frozen=True, slots=True)
class _PassKind:
    """Passes that take about the same time for a photo: with gradients or not, alone or in batches."""

    gradient: bool
    alone: bool


@dataclass(slots=True)
class _Measured:
    """Latest seconds per photo of each kind of pass, and the number of channels that Score-CAM masks."""

    seconds: dict[_PassKind, deque[float]] = field(default_factory=dict)
    channels: int | None = None


_MEASURED: Final[WeakKeyDictionary[Any, _Measured]] = WeakKeyDictionary()


def estimate_ms(
    model: ExplainableModel | CompositeModel, method: str, settings: ExplanationSettings | None = None
) -> float | None:
    """Estimate the time of an explanation before it starts, in milliseconds.

    It is the number of passes of the method times the median time of the latest passes of this model. If there were
    none, a blank photo is timed first. Waits for other explanations and the first import of a library come on top, and
    a contrast of two countries doubles the time of the fast methods.

    Args:
        model: Model to explain.
        method: Name of a method.
        settings: Settings of the explanation; None for the defaults.

    Returns:
        Milliseconds; None if nothing was measured yet and other explanations are being computed now, the model fails,
        or the method does not fit it.

    Raises:
        ExplanationError: If there is no method of this name.
    """
    model, chosen = explained_member(model), method_named(method)
    if method not in methods_for(model):
        return None
    try:
        pass_ms = _median_pass_ms(model, _pass_kind(chosen), channels=chosen.name == SCORE_CAM)
        with worded_faults(model.card.id):
            sides = model.preprocess([_BLANK]).shape[2:]
    except TrioVisionError:
        return None
    return pass_ms * number_of_passes(chosen, settings or ExplanationSettings(), sides, _MEASURED[model].channels or 0)


def estimate_passes_ms(model: ExplainableModel | CompositeModel, passes: int) -> float | None:
    """Estimate the time of passes without gradients in batches, in milliseconds.

    Args:
        model: Model to explain.
        passes: How many times the network sees a photo.

    Returns:
        Milliseconds; None if nothing was measured yet and others have the turn now, or the model fails.
    """
    try:
        return passes * _median_pass_ms(explained_member(model), _PassKind(gradient=False, alone=False))
    except TrioVisionError:
        return None


def number_of_passes(method: Method, settings: ExplanationSettings, sides: Sequence[int], channels: int = 0) -> int:
    """Return how many times the network sees a photo.

    Args:
        method: Method.
        settings: Settings of the explanation.
        sides: Height and width of the network's input.
        channels: Channels of the layer that Score-CAM masks.
    """
    if method.name == SCORE_CAM:
        return channels + 2
    if method.name == "Occlusion":
        return occlusion_passes(settings, sides)
    if method.kind == "perturbation":
        return settings.samples
    return settings.steps if method.kind == "gradient" else 1


def record(model: ExplainableModel, method: Method, seconds: float, passes: int) -> None:
    """Keep the time of an explanation that was computed, without its waits, for later estimates."""
    measured = _MEASURED.setdefault(model, _Measured())
    measured.seconds.setdefault(_pass_kind(method), deque(maxlen=_LATEST)).append(seconds / passes)


def _pass_kind(method: Method) -> _PassKind:
    return _PassKind(gradient=method.one_pass or method.kind == "gradient", alone=method.one_pass)


def _median_pass_ms(model: ExplainableModel, kind: _PassKind, *, channels: bool = False) -> float:
    """Median time of the latest passes; a blank photo is timed if there were none, or the channels are not known."""
    measured = _MEASURED.setdefault(model, _Measured())
    if kind not in measured.seconds or (channels and measured.channels is None):
        _measure_blank(model, measured, kind)
    return 1000 * median(list(measured.seconds[kind]))


def _measure_blank(model: ExplainableModel, measured: _Measured, kind: _PassKind) -> None:
    limits = ExplanationLimits(wait_s=0)
    with (
        worded_faults(model.card.id),
        model.private_network() as network,
        taking_turns(model.card.id, TURNS, limits, lambda _: None),
        torch.inference_mode(mode=False),
        torch.set_grad_enabled(kind.gradient),
    ):
        size = 1 if kind.alone else BATCH
        blank_nchw = model.preprocess([_BLANK]).repeat(size, 1, 1, 1).contiguous(memory_format=torch.channels_last)
        if measured.channels is None and model.target_layer is not None:
            grid = layer_activations(network, blank_nchw[:1], [model.target_layer])[model.target_layer]
            measured.channels = grid.shape[1]
        _pass_s(network, blank_nchw, kind)  # the first one prepares kernels
        seconds = _pass_s(network, blank_nchw, kind) / size
    measured.seconds.setdefault(kind, deque(maxlen=_LATEST)).append(seconds)


def _pass_s(network: nn.Module, batch_nchw: torch.Tensor, kind: _PassKind) -> float:
    start = time.perf_counter()
    if kind.gradient:
        batch_nchw = batch_nchw.clone().requires_grad_()
        torch.autograd.grad(network(batch_nchw)[:, 0].sum(), batch_nchw)
    else:
        network(batch_nchw)
    if batch_nchw.is_cuda:
        torch.cuda.synchronize(batch_nchw.device)
    return time.perf_counter() - start
