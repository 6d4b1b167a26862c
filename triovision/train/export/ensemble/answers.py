"""What a member of an ensemble says of held-out photos, kept on the disk, so that a fit can go on after a kill."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triovision.errors import PhotoError
from triovision.geo import WeightedPlaces, distance_km
from triovision.inference import GeoModel, ModelCard
from triovision.inference.stream import predict_files
from triovision.results import Prediction
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.manifest import Manifest

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
