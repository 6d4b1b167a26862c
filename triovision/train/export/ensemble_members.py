"""Members of an ensemble, the photos that they held out, and their cached predictions on these."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
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
    """Arguments of the export of an ensemble.

    Attributes:
        model_id: Id of the ensemble.
        members: Ids of installed models.
        accuracy: Target accuracy of the confident predictions.
        models: Parent of the folder of the ensemble.
        command: The command line, for the card.
        device: Device of the members; None for the fastest one present.
    """

    model_id: str
    members: tuple[str, ...]
    accuracy: float
    models: Path
    command: str
    device: str | None


def member_cards(request: EnsembleRequest) -> tuple[ModelCard, ...]:
    """Cards of the members.

    Raises:
        ModelError: If one is not installed.
        RecipeError: If the id of the ensemble is not valid or that of another model, there are fewer than two different
            members, one is an ensemble, or one has no country in common with the others.
    """
    _check_id(request)
    if len(set(request.members)) != len(request.members) or len(request.members) < 2:
        raise RecipeError("ensemble", f"got {', '.join(request.members)}", "Give two or more different models")
    cards = tuple(map(_network_card, request.members))
    for card in cards:
        if set(card.labels).isdisjoint(union([other.labels for other in cards if other is not card])):
            raise RecipeError(card.id, "has no country in common with the other members", "Leave it out")
    return cards


def _network_card(model_id: str) -> ModelCard:
    models = found_models()
    if model_id not in models:
        where = " and ".join(map(str, model_folders()))
        raise ModelError(model_id, "is not installed", f"Models in {where}: {', '.join(models) or 'none'}")
    card = read_card(models[model_id])
    if card.ensemble is not None:
        raise RecipeError(model_id, "is an ensemble itself", "Give its members instead")
    return card


def _check_id(request: EnsembleRequest) -> None:
    if not re.fullmatch(MODEL_ID, request.model_id):
        raise RecipeError(request.model_id, "is not a valid id", "Give one such as ensemble.my_photos")
    folder = request.models / request.model_id
    if (folder / CARD).exists() and read_card(folder).ensemble is None:
        raise RecipeError(request.model_id, f"is another model, in {folder}", "Give another --id")


_BATCH_SIZE: Final = 32
_KERNEL_KM: Final = 200.0


@dataclass(frozen=True, slots=True, eq=False)
class MemberPredictions:
    """Predictions of one model.

    Attributes:
        probability: Country probabilities in the order of the labels, shape `(n, n_labels)`; NaN for unreadable photos.
        density: `density_at` the true country and position, shape `(n,)`.
    """

    probability: NDArray[np.float64]
    density: NDArray[np.float64]


def member_predictions(
    model: GeoModel, manifest: Manifest, rows: NDArray[np.int64], cache: Path, on_photo: Callable[[], object]
) -> MemberPredictions:
    """Predictions of a model for photos of a manifest, read from a cache where present.

    Args:
        model: Any model.
        manifest: The whole manifest.
        rows: Rows of the photos, ascending.
        cache: Folder of cached predictions, of any number of models and manifests.
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
        outcomes = predict_files(model, part.paths, len(model.card.labels), _BATCH_SIZE)
        pending: list[tuple[int, NDArray[Any]]] = []
        for row, truth, (_, outcome) in zip(missing.tolist(), part.table.itertuples(), outcomes, strict=True):
            if not isinstance(outcome, PhotoError):
                density = density_at(outcome.posterior, str(truth.country), float(truth.lat), float(truth.lon))
                pending.append((row, _record(outcome, model.card, density)))
            if len(pending) == _BATCH_SIZE:
                appender.append(pending)
                pending = []
            on_photo()
        appender.append(pending)
    unreadable = np.full((1, 1, len(model.card.labels) + 1), np.nan)
    records = [unreadable if (record := store.get(row)) is None else record for row in rows.tolist()]
    table = np.concatenate(records)[:, 0]
    return MemberPredictions(probability=table[:, :-1], density=table[:, -1])


def density_at(posterior: WeightedPlaces, country: str, lat_deg: float, lon_deg: float) -> float:
    """Density of the places of a posterior in a country at a position: the weighted mean of exp(-d / 200 km).

    The long tail of the kernel keeps a position far from all places from dominating a fit. The kernel is not
    normalised, by a factor that is the same for all posteriors.

    Returns:
        NaN if the position is unknown or no place is in the country.
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
    """Name of a cache folder, which depends on the whole card, since predictions do."""
    text = f"{card.model_dump_json()} {manifest.sha256} {_KERNEL_KM}"
    return f"{card.id}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPhotos:
    """Photos that no member was trained on, according to the cards.

    Attributes:
        columns: Split columns with `val` for these photos.
        fit: Rows of the photos that weights are fitted on, ascending.
        split: Split of each of these, shape `(n,)`.
        splits: All photos by split; those of other places than `fit` are for evaluation.
    """

    columns: tuple[str, ...]
    fit: NDArray[np.int64]
    split: NDArray[np.str_]
    splits: dict[str, Manifest]


def held_out_photos(cards: Sequence[ModelCard], manifest: Manifest) -> HeldOutPhotos:
    """Divide the photos that no member was trained on by place, as the calibration of single models does.

    Raises:
        RecipeError: If there is no such photo, or too few places for two halves.
    """
    columns = held_out_by_all(cards, manifest)
    _, parts = marked_rows(manifest, columns)
    first_half = fit_half(manifest.table["place"])
    names = np.full(len(manifest), "", dtype=object)
    for name, rows in parts.items():
        names[rows] = name
    fit = np.flatnonzero((names != "") & first_half)
    if not len(fit) or len(fit) == (names != "").sum():
        reason = f"has too few places with `val` in {', '.join(columns)} for two halves"
        raise RecipeError(str(manifest.root), reason, "Hold more places out")
    splits = {name: manifest.where(rows) for name, rows in parts.items() if rows.any()}
    return HeldOutPhotos(columns, fit, names[fit].astype(str), splits)
