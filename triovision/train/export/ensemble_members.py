"""Members of an ensemble, the photos that they held out, and their cached predictions on these."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triovision.errors import ModelError, PhotoError, RecipeError
from triovision.geo import WeightedPlaces, distance_km
from triovision.inference import GeoModel, ModelCard
from triovision.inference.batch import predict_files
from triovision.inference.card import CARD, MODEL_ID, read_card
from triovision.inference.pooling import union
from triovision.inference.registry import found_models, model_folders
from triovision.results import Prediction
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.manifest import Manifest
from triovision.train.data.overlap import held_out_by_all
from triovision.train.data.splits import marked_rows
from triovision.train.evaluation.calibration import fit_half


@dataclass(frozen=True, slots=True)
class EnsembleRequest:
    """What an ensemble is asked for.

    Attributes:
        model_id: Its id.
        members: Ids of models on this machine.
        stand_ins: For some members the id of a model of the same labels that answers in its place while weights and
            calibration are fitted and figures are measured: one that held more photos out.
        accuracy: Wanted share of right answers among those that are not abstained.
        models: Folder that the ensemble's folder is written into.
        command: The command line, for the card.
        device: Where the members run; the fastest one present when None.
    """

    model_id: str
    members: tuple[str, ...]
    accuracy: float
    models: Path
    command: str
    stand_ins: Mapping[str, str]
    device: str | None


def member_cards(request: EnsembleRequest) -> tuple[ModelCard, ...]:
    """Cards of the members.

    Raises:
        ModelError: If one is not on this machine.
        RecipeError: If the ensemble's id is none or that of another model, there are fewer than two different members,
            one is an ensemble, or one shares no country with the others.
    """
    _check_id(request)
    if len(set(request.members)) != len(request.members) or len(request.members) < 2:
        raise RecipeError("ensemble", f"got {', '.join(request.members)}", "Give two or more different models")
    cards = tuple(map(_network_card, request.members))
    for card in cards:
        if set(card.labels).isdisjoint(union([other.labels for other in cards if other is not card])):
            raise RecipeError(card.id, "shares no country with the other members", "Leave it out")
    return cards


def fitted_cards(request: EnsembleRequest, cards: Sequence[ModelCard]) -> tuple[ModelCard, ...]:
    """Cards of the models that are fitted and measured: of the members or of those that stand in for them.

    Raises:
        ModelError: If one is not on this machine.
        RecipeError: If one stands in for no member, or has other labels than the member.
    """
    if strangers := request.stand_ins.keys() - set(request.members):
        raise RecipeError(", ".join(sorted(strangers)), "is no member that a model could stand in for", "Give its id")
    fitted = tuple(_network_card(request.stand_ins.get(card.id, card.id)) for card in cards)
    for card, stand_in in zip(cards, fitted, strict=True):
        if card.labels != stand_in.labels:
            raise RecipeError(stand_in.id, f"has other labels than {card.id}", "Give a model of the same countries")
    return fitted


def _network_card(model_id: str) -> ModelCard:
    found = found_models()
    if model_id not in found:
        where = " and ".join(map(str, model_folders()))
        raise ModelError(model_id, "is no model on this machine", f"Models in {where}: {', '.join(found) or 'none'}")
    card = read_card(found[model_id])
    if card.ensemble is not None:
        raise RecipeError(model_id, "is an ensemble itself", "Give its members instead")
    return card


def _check_id(request: EnsembleRequest) -> None:
    if not re.fullmatch(MODEL_ID, request.model_id):
        raise RecipeError(request.model_id, "is no id of a model", "Give one such as ensemble.places10k")
    folder = request.models / request.model_id
    if (folder / CARD).exists() and read_card(folder).ensemble is None:
        raise RecipeError(request.model_id, f"is another model, in {folder}", "Give another --id")


_BATCH: Final = 32
_KERNEL_KM: Final = 200.0


@dataclass(frozen=True, slots=True, eq=False)
class MemberAnswers:
    """What one model says of some photos.

    Attributes:
        probability: Of the model's labels, in their order, shape `(n, n_labels)`; NaN for a photo that cannot be read.
        density: See `density_at`, with the true country and position, shape `(n,)`.
    """

    probability: NDArray[np.float64]
    density: NDArray[np.float64]


def member_answers(
    model: GeoModel, manifest: Manifest, rows: NDArray[np.int64], cache: Path, on_photo: Callable[[], object]
) -> MemberAnswers:
    """Ask a model about some photos of a manifest, or read what it said before.

    Args:
        model: Any engine.
        manifest: All of its photos.
        rows: Numbers of the photos to ask about, ascending.
        cache: Folder that the answers are kept in, of any number of models and manifests.
        on_photo: Called after each photo.

    Raises:
        RecipeError: If the folder cannot be written to.
    """
    store = ArrayStore(cache / _key(model.card, manifest), np.float64)
    with store.writing() as appender:
        missing = rows[~store.has(rows)]
        for _ in range(len(rows) - len(missing)):
            on_photo()
        part = manifest.where(np.isin(np.arange(len(manifest)), missing))
        answers = predict_files(model, part.paths, len(model.card.labels), _BATCH)
        pending: list[tuple[int, NDArray[Any]]] = []
        for row, truth, (_, outcome) in zip(missing.tolist(), part.table.itertuples(), answers, strict=True):
            if not isinstance(outcome, PhotoError):
                density = density_at(outcome.posterior, str(truth.country), float(truth.lat), float(truth.lon))
                pending.append((row, _record(outcome, model.card, density)))
            if len(pending) == _BATCH:
                appender.append(pending)
                pending = []
            on_photo()
        appender.append(pending)
    unread = np.full((1, 1, len(model.card.labels) + 1), np.nan)
    kept = np.concatenate([unread if (found := store.get(row)) is None else found for row in rows.tolist()])[:, 0]
    return MemberAnswers(probability=kept[:, :-1], density=kept[:, -1])


def density_at(posterior: WeightedPlaces, country: str, lat_deg: float, lon_deg: float) -> float:
    """How dense a posterior's places in a country are around a position: the mean of exp(-d / 200 km) over them.

    A kernel with a long tail, because a truth far from all places must not decide a fit alone; what it leaves out is
    the same for all posteriors.

    Returns:
        NaN where the position is unknown or no place is in the country.
    """
    inside = posterior.countries == country
    weight = posterior.weight[inside]
    if math.isnan(lat_deg) or math.isnan(lon_deg) or not weight.sum() > 0:
        return math.nan
    away_km = distance_km(lat_deg, lon_deg, posterior.lat_deg[inside], posterior.lon_deg[inside])
    return float(np.exp(-away_km / _KERNEL_KM) @ weight / weight.sum())


def _record(prediction: Prediction, card: ModelCard, density: float) -> NDArray[np.float64]:
    probability = {guess.country: guess.probability for guess in prediction.countries}
    return np.array([[[*(probability[label] for label in card.labels), density]]])


def _key(card: ModelCard, manifest: Manifest) -> str:
    """Name of the folder: what a model says depends on its whole card, the temperature for one."""
    about = f"{card.model_dump_json()} {manifest.sha256} {_KERNEL_KM}"
    return f"{card.id}-{hashlib.sha256(about.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPhotos:
    """Photos that no member learnt from, as far as the members' cards say.

    Attributes:
        columns: Columns of the manifest whose `val` they are.
        fit: Rows of the manifest to fit on, ascending.
        split: Name of the split of each of them.
        splits: All photos by the name of the split. To measure on are those whose places are not among those of `fit`.
    """

    columns: tuple[str, ...]
    fit: NDArray[np.int64]
    split: NDArray[np.str_]
    splits: dict[str, Manifest]


def held_out_photos(cards: Sequence[ModelCard], manifest: Manifest) -> HeldOutPhotos:
    """Divide the photos that no member learnt from by place, as the calibration of single models does.

    Raises:
        RecipeError: If a member may have learnt from all of them, or too few places are left for two halves.
    """
    columns = held_out_by_all(cards, manifest)
    _, parts = marked_rows(manifest, columns)
    first_half = fit_half(manifest.table["place"])
    names = np.full(len(manifest), "", dtype=object)
    for name, rows in parts.items():
        names[rows] = name
    fit = np.flatnonzero((names != "") & first_half)
    if not len(fit) or len(fit) == (names != "").sum():
        reason = f"has too few places that are `val` in {', '.join(columns)} for two halves"
        raise RecipeError(str(manifest.root), reason, "Hold more places out")
    splits = {name: manifest.where(rows) for name, rows in parts.items() if rows.any()}
    return HeldOutPhotos(columns, fit, names[fit].astype(str), splits)
