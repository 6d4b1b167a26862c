"""Networks built from a card and filled with checked weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from triovision.errors import ModelError
from triovision.inference.card import CARD, RESTORE, ModelCard
from triovision.inference.integrity import weights_file
from triovision.networks import LocatingClassifier, build_classifier, build_resnetgps
from triovision.networks.positions import COMPONENT_OUTPUTS

_DEGREES = 2


def load_network(folder: Path, card: ModelCard) -> nn.Module:
    """Build the card's network and fill it with the folder's weights, which are read once.

    Returns:
        The network in evaluation mode, `float32`, channels-last, parameters frozen.

    Raises:
        ModelError: If the weights are missing, damaged or do not fit, or the architecture is unknown.
    """
    file = weights_file(folder, card)
    content = file.read()
    try:
        network = _build(card, len(content))
    except Exception as exc:  # timm raises what Python raises on the way
        remedy = "Install the timm that `pyproject.toml` names or correct the card"
        raise ModelError(str(folder / CARD), str(exc) or type(exc).__name__, remedy) from exc
    try:
        tensors = load(content)
        state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        network.load_state_dict(state, assign=True)  # without copying, which takes as long as the conversion
    except (SafetensorError, RuntimeError) as exc:
        raise ModelError(str(file.path), f"does not fit {card.architecture} ({exc})", RESTORE) from exc
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _build(card: ModelCard, n_bytes: int) -> nn.Module:
    """Build the card's network with random weights and without dropout, which inference does not need.

    A stranger's arguments may ask for more memory than there is. So their network is first built without memory, and
    refused if it has more parameters than the weights have bytes.
    """
    position, labels = card.position, len(card.labels)
    args = card.architecture_args
    if args and position is None:
        with torch.device("meta"):
            size = sum(one.numel() for one in build_classifier(card.architecture, labels, **args).parameters())
        if size > n_bytes:
            raise ValueError(f"`architecture_args` ask for {size:,} parameters, more than the weights hold")
    if position is None:
        return build_classifier(card.architecture, labels, **card.architecture_args)
    n_outputs = _DEGREES if position.outputs == "standardised_degrees" else COMPONENT_OUTPUTS * position.components
    version, features = card.architecture.removeprefix("resnetgps_"), len(position.city_features)
    return LocatingClassifier(build_resnetgps(version, features, position.backbone, n_outputs=n_outputs), labels)
