"""Engines by name, and the models on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Final, cast

import torch

from triovision.bundle import MODELS
from triovision.errors import Message, ModelError
from triovision.files import cache_folder
from triovision.inference.card import CARD, ENGINE_SECTIONS, RESTORE, Member, ModelCard, read_card
from triovision.inference.device import choose_device
from triovision.inference.faults import worded_faults
from triovision.inference.geoclip import release
from triovision.inference.integrity import member_folder
from triovision.inference.model import Engine, GeoModel
from triovision.inference.stored_calibration import read_calibration

_logger = logging.getLogger(__name__)

#: Module and class of each engine, by the field `engine` of its cards. A class is imported when a model needs it.
ENGINES: Final[Mapping[str, str]] = {
    "country_classifier": "triovision.inference.country_classifier:CountryEngine",
    "country_and_landmarks": "triovision.inference.landmark_engine:LandmarkEngine",
    "resnetgps": "triovision.inference.resnetgps:ResNetGpsEngine",
    "ensemble": "triovision.inference.ensemble:EnsembleEngine",
    "geoclip": "triovision.inference.geoclip.engine:GeoClipEngine",
}

#: Default model where no other one is named or installed.
EMBEDDED_MODEL: Final = "efficientnet_lites.places14k"

#: Default model once it is installed.
WORLDWIDE_MODEL: Final = "geoclip.mp16"


def model_folders() -> tuple[Path, ...]:
    """Return the folders of models: `TRIOVISION_MODELS`, or the bundled folder and the one in the user's cache."""
    configured = os.environ.get("TRIOVISION_MODELS")
    return (Path(configured),) if configured else (MODELS, cache_folder() / "models")


def install_folder() -> Path:
    """Return the folder for new models: the last of `model_folders()`."""
    return model_folders()[-1]


def found_models() -> dict[str, Path]:
    """Return the folder of each model on this machine, by id in alphabetical order.

    A model that comes with TrioVision precedes one of the same id in the user's folder: nothing that lies there takes
    its place unnoticed. A folder bears the id of its card; loading refuses another one.
    """
    found: dict[str, Path] = {}
    for models in model_folders():
        for path in models.glob(f"[!.]*/{CARD}"):
            found.setdefault(path.parent.name, path.parent)
    return dict(sorted(found.items()))


def default_model() -> str:
    """Return the id of the default model.

    `TRIOVISION_MODEL` names it. Without that, it is the worldwide model where this and its packages are installed, and
    the embedded model elsewhere.
    """
    worldwide = WORLDWIDE_MODEL in found_models() and not release.missing_packages()
    return os.environ.get("TRIOVISION_MODEL") or (WORLDWIDE_MODEL if worldwide else EMBEDDED_MODEL)


def list_models() -> tuple[ModelCard, ...]:
    """Return the cards of all models on this machine, ordered by id.

    Raises:
        ModelError: If a card is damaged, or its id is not the name of its folder.
    """
    return tuple(read_card(folder, model_id) for model_id, folder in found_models().items())


def load_model(model_id: str | None = None, device: str | None = None) -> GeoModel:
    """Load a model from this machine, without the network; a calibration that the user stored for it is in force.

    Args:
        model_id: Id such as `"tf_efficientnet_lite0.places10k"`; None for the model of `load_default()`.
        device: `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`; None for the fastest one present.

    Raises:
        ModelError: If the model or the device is unknown, or the model's files are damaged.
    """
    if model_id is not None:
        return _load(model_id, choose_device(device))
    model, fault = load_default(device)
    if fault is not None:
        _logger.warning("%s is used instead of the installed model. %s", model.card.id, fault)
    return model


def load_default(
    device: str | None = None, load: Callable[[str], GeoModel] | None = None
) -> tuple[GeoModel, ModelError | None]:
    """Load the default model; the embedded one where the installed one is unusable.

    Args:
        device: As in `load_model`.
        load: Function from an id to a model, for a caller with a cache of its own; `device` is then ignored.

    Returns:
        The model, and the error of the worldwide model where it is installed and unusable.

    Raises:
        ModelError: If the device is unknown, no model is usable, or the one that `TRIOVISION_MODEL` names is not.
    """
    load, configured = load or partial(_load, device=choose_device(device)), os.environ.get("TRIOVISION_MODEL")
    if configured or WORLDWIDE_MODEL not in found_models():
        return load(configured or EMBEDDED_MODEL), None
    try:
        return load(WORLDWIDE_MODEL), None
    except ModelError as fault:
        return load(EMBEDDED_MODEL), fault


def model_folder(model_id: str) -> Path:
    """Return the folder of a model on this machine.

    Raises:
        ModelError: If the model is unknown.
    """
    known = found_models()
    if model_id not in known:
        folders = " and ".join(map(str, model_folders()))
        remedy = Message("Models in {folder}: {models}", folder=folders, models=", ".join(known) or "none")
        raise ModelError(model_id, Message("is not installed"), remedy)
    return known[model_id]


def calibrated(card: ModelCard) -> ModelCard:
    """Return a card with the calibration that the user stored for the model, or as it is without one.

    Raises:
        ModelError: If the stored calibration is damaged, or was fitted with other weights.
    """
    calibration = read_calibration(install_folder(), card)
    return card if calibration is None else card.model_copy(update={"calibration": calibration})


def _load(model_id: str, device: torch.device) -> GeoModel:
    folder = model_folder(model_id)
    return _open(folder, calibrated(read_card(folder, model_id)), device)


def open_model(folder: Path, device: torch.device) -> GeoModel:
    """Load the model of a folder anywhere, with the calibration of its card.

    Members of an ensemble are searched on this machine. They keep the calibration of their cards too, because the
    ensemble was fitted with it.

    Raises:
        ModelError: If the folder does not hold a usable model, or a package that the model needs is not installed.
    """
    return _open(folder, read_card(folder), device)


def _open(folder: Path, card: ModelCard, device: torch.device) -> GeoModel:
    known = found_models()
    with worded_faults(card.id):
        engine = _engine(card)
        folders = [member_folder(folder, member, known) for member in _members(card)]
        return engine.open(folder, card, device, [open_model(of_member, device) for of_member in folders])


def file_faults(folder: Path, card: ModelCard) -> Iterator[ModelError]:
    """Read every file of a model and of its members to the last byte.

    Args:
        folder: Folder of the model.
        card: Its card.

    Yields:
        One error for each missing or changed file, none for a whole model.
    """
    try:
        for file in _engine(card).files(folder, card):
            if (fault := file.fault()) is not None:
                yield fault
    except ModelError as exc:  # the card does not name its files, or a package is missing
        yield exc
    known = found_models()
    for member in _members(card):
        try:
            of_member = member_folder(folder, member, known)
            yield from file_faults(of_member, read_card(of_member))
        except ModelError as exc:
            yield exc


def _members(card: ModelCard) -> tuple[Member, ...]:
    return () if card.ensemble is None else card.ensemble.members


def _engine(card: ModelCard) -> type[Engine]:
    if card.engine not in ENGINES:
        remedy = f"Update TrioVision, or choose a model of {', '.join(ENGINES)}"
        raise ModelError(card.id, f"needs the engine `{card.engine}`, which this version does not have", remedy)
    engine = cast(type[Engine], resolve_name(ENGINES[card.engine]))
    sections = {name for name in ENGINE_SECTIONS if getattr(card, name) is not None}
    if sections != engine.sections:
        held, expected = (", ".join(sorted(names)) or "none" for names in (sections, engine.sections))
        reason = f"has the optional sections: {held}; its engine `{card.engine}` needs: {expected}"
        raise ModelError(card.id, reason, RESTORE)
    return engine
