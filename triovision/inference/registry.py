"""The models on this machine, and how to get one of them."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from triovision.errors import ModelError
from triovision.inference.card import CARD, ModelCard, read_card
from triovision.inference.engine import CountryEngine
from triovision.inference.model import GeoModel

#: The model that answers when nobody names one.
EMBEDDED_MODEL = "tf_efficientnet_lite0.places10k"


def models_folder() -> Path:
    """`TRIOVISION_MODELS`, or `models/` beside the package."""
    configured = os.environ.get("TRIOVISION_MODELS")
    return Path(configured) if configured else Path(__file__).parents[2] / "models"


def default_model() -> str:
    """Id of the model that `TRIOVISION_MODEL` names in the environment, or of the embedded one."""
    return os.environ.get("TRIOVISION_MODEL") or EMBEDDED_MODEL


def list_models() -> tuple[ModelCard, ...]:
    """Cards of all models on this machine, by id.

    Raises:
        ModelError: If a card is damaged.
    """
    return tuple(read_card(path.parent) for path in sorted(models_folder().glob(f"*/{CARD}")))


def load_model(model_id: str | None = None, device: str | None = None) -> GeoModel:
    """Load a model from this machine; nothing is fetched.

    Args:
        model_id: Such as `"tf_efficientnet_lite0.places10k"`; `default_model()` when None.
        device: `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`; the fastest one present when None.

    Raises:
        ModelError: If there is no such model or device, or the model's files are damaged.
    """
    chosen = choose_device(device)
    wanted = model_id or default_model()
    known = sorted(path.parent.name for path in models_folder().glob(f"*/{CARD}"))
    if wanted not in known:
        remedy = f"Models in {models_folder()}: {', '.join(known) or 'none'}"
        raise ModelError(wanted, "is no model on this machine", remedy)
    return CountryEngine(models_folder() / wanted, chosen)


def choose_device(name: str | None) -> torch.device:
    """The named device, or the fastest one present.

    Raises:
        ModelError: If the name is unknown to torch or there is no such device here.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as exc:
        raise ModelError(f"device {name!r}", "cannot be used on this machine", "Choose cpu, cuda or mps") from exc
    return device
