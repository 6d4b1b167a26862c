"""A checked network from a model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from triovision.errors import ModelError
from triovision.inference.card import CARD, RESTORE, WEIGHTS, ModelCard
from triovision.inference.integrity import check
from triovision.networks import LocatingClassifier, build_classifier, build_resnetgps
from triovision.networks.positions import COMPONENT_OUTPUTS

_DEGREES = 2


def load_network(folder: Path, card: ModelCard) -> nn.Module:
    """Build the card's network and fill it with the folder's weights.

    Returns:
        The network in evaluation mode, `float32`, channels-last, parameters frozen.

    Raises:
        ModelError: If the weights are missing, damaged or do not fit, or the architecture is unknown.
    """
    path = folder / WEIGHTS
    check(folder, card)
    try:
        network = _build(card)
    except (TypeError, ValueError) as exc:
        raise ModelError(
            str(folder / CARD), str(exc), "Install the timm that `pyproject.toml` names or correct the card"
        ) from exc
    try:
        state = {
            name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()
        }
        network.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as exc:
        raise ModelError(str(path), f"does not fit {card.architecture} ({exc})", RESTORE) from exc
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _build(card: ModelCard) -> nn.Module:
    """The card's network with random weights. Inference needs no dropout; what shapes the weights is in the card."""
    position, labels = card.position, len(card.labels)
    if position is None:
        return build_classifier(card.architecture, labels, **card.architecture_args)
    n_outputs = _DEGREES if position.outputs == "standardised_degrees" else COMPONENT_OUTPUTS * position.components
    version, features = card.architecture.removeprefix("resnetgps_"), len(position.city_features)
    return LocatingClassifier(build_resnetgps(version, features, position.backbone, n_outputs=n_outputs), labels)
