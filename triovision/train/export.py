"""From a finished run to a model folder: outputs for held-out photos, calibration, half-precision weights."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save

from triovision.errors import RecipeError
from triovision.geo import CandidatePlaces, distance_km
from triovision.inference.calibration import (
    fit_abstention_threshold,
    fit_conformal_threshold,
    fit_radius_factor,
    fit_temperature,
    probabilities,
)
from triovision.inference.card import CARD, WEIGHTS, Calibration, ModelCard, sha256
from triovision.train.checkpoint import Run
from triovision.train.data import NO_LABEL, targets
from triovision.train.manifest import Manifest
from triovision.train.outputs import network_outputs
from triovision.train.run_splits import split

_COVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Outputs of a run for photos that it never saw.

    Attributes:
        split: Name of each photo's split.
        place: Place of each photo.
        logits: Shape `(n, n_labels)`.
        target: Indices of the labels, `NO_LABEL` where the country has none.
        position_deg: Latitude and longitude, `(n, 2)`; NaN where unknown.
    """

    split: NDArray[np.str_]
    place: NDArray[np.str_]
    logits: NDArray[np.float32]
    target: NDArray[np.int64]
    position_deg: NDArray[np.float64]

    def where(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> HeldOut:
        """Some of the photos, by a mask or by their numbers."""
        return HeldOut(
            self.split[rows], self.place[rows], self.logits[rows], self.target[rows], self.position_deg[rows]
        )


def held_out(run: Run, manifest: Manifest, workers: int) -> HeldOut:
    """Outputs of a run for all its validation photos.

    Raises:
        RecipeError: If the run held nothing out or was trained on another manifest.
    """
    if manifest.sha256 != run.manifest_sha256:
        raise RecipeError(str(run.folder), "was trained on another manifest", "Give the same --manifest")
    parts = {name: part for name, part in split(manifest, run.recipe.data).validation.items() if len(part)}
    if not parts:
        raise RecipeError(str(run.folder), "held no photos out", "Calibrate on a run that did")
    names, places, logits, target, position_deg = [], [], [], [], []
    for name, part in parts.items():
        names += [name] * len(part)
        places += part.table["place"].tolist()
        logits.append(network_outputs(run.network, part, run.recipe, workers))
        target.append(targets(part, run.labels))
        position_deg.append(part.table[["lat", "lon"]].to_numpy(np.float64))
    return HeldOut(
        np.array(names),
        np.array(places),
        np.concatenate(logits),
        np.concatenate(target),
        np.concatenate(position_deg),
    )


def fit_calibration(photos: HeldOut, wanted_accuracy: float) -> Calibration:
    """Fit temperature, conformal and abstention thresholds, each split of photos counting alike.

    Args:
        photos: Held-out photos of one or more splits.
        wanted_accuracy: Share of right answers among those that are not abstained.
    """
    balanced = _balanced(photos)
    known = balanced.target != NO_LABEL
    temperature = fit_temperature(balanced.logits[known], balanced.target[known])
    probability = probabilities(balanced.logits, temperature)
    first = probability.argmax(axis=1)
    return Calibration(
        temperature=temperature,
        conformal_threshold=fit_conformal_threshold(probability[known], balanced.target[known], _COVERAGE),
        conformal_coverage=_COVERAGE,
        abstention_threshold=fit_abstention_threshold(
            probability.max(axis=1), first == balanced.target, wanted_accuracy
        ),
        fitted_on=f"{len(photos.target)} photos that the network had not seen, splits "
        f"{' and '.join(sorted(set(photos.split)))} counting alike",
    )


def fit_radii(photos: HeldOut, labels: Sequence[str], calibration: Calibration) -> Calibration:
    """Make the radii hold the truth as often as they promise; nothing is changed when no photo has a position.

    Args:
        photos: Held-out photos of one or more splits, each split counting alike.
        labels: Countries in the order of the logits.
        calibration: All the rest, already fitted.
    """
    placed = photos.where(np.flatnonzero(np.isfinite(photos.position_deg).all(axis=1)))
    if not len(placed.target):
        return calibration
    balanced = _balanced(placed)
    candidates = CandidatePlaces(labels)
    rows: list[tuple[float, float, float]] = []
    for probability, (lat_deg, lon_deg) in zip(
        probabilities(balanced.logits, calibration.temperature), balanced.position_deg, strict=True
    ):
        located = candidates.weighted(probability).locate(labels[int(np.argmax(probability))], top_places=1)
        error_km = float(distance_km(lat_deg, lon_deg, located.place.lat_deg, located.place.lon_deg))
        rows.append((error_km, located.radius_km, located.radius_90_km))
    error, radius, radius_90 = np.array(rows).T
    return calibration.model_copy(
        update={
            "radius_factor": fit_radius_factor(error, radius, 0.5),
            "radius_90_factor": fit_radius_factor(error, radius_90, 0.9),
        }
    )


def fit_half(places: Iterable[str]) -> NDArray[np.bool_]:
    """True for the photos to fit calibration on, False for those to measure it on; no place is in both."""
    return np.array([zlib.crc32(place.encode()) % 2 == 0 for place in places])


def write_model(run: Run, models: Path, card: ModelCard) -> Path:
    """Write the weights in half precision and the card with their hash into `models/<id>/`."""
    folder = models / card.id
    folder.mkdir(parents=True, exist_ok=True)
    half = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in run.network.state_dict().items()
    }
    (folder / WEIGHTS).write_bytes(save(half))
    hashed = card.model_copy(update={"weights_sha256": sha256(folder / WEIGHTS)})
    (folder / CARD).write_text(hashed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def _balanced(photos: HeldOut) -> HeldOut:
    """Repeat the photos of the smaller splits, so that each split weighs about the same."""
    names, counts = np.unique(photos.split, return_counts=True)
    rows: list[NDArray[np.intp]] = []
    for name in names:
        of_split = np.flatnonzero(photos.split == name)
        rows.append(np.resize(of_split, counts.max()))
    return photos.where(np.concatenate(rows))
