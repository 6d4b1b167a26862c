"""Calibration on held-out photos: temperature, thresholds, country sets and radii."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triovision.errors import RecipeError
from triovision.geo import distance_km
from triovision.inference.calibration import (
    fit_abstention_threshold,
    fit_conformal_threshold,
    fit_radius_factor,
    fit_temperature,
    probabilities,
)
from triovision.inference.card import Calibration
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import CountryRun
from triovision.train.evaluation.predict import ManifestPredictions, evaluation_metrics
from triovision.train.models.forward import network_outputs

Floats = NDArray[np.float64]

_COVERAGE = 0.9
#: Fractions of photos within the two radii.
_RADIUS_COVERAGES = (0.5, 0.9)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Outputs of a run for its held-out photos.

    Attributes:
        split: Split of each photo, shape `(n,)`.
        place: Place of each photo, see `Manifest.places`, shape `(n,)`.
        logits: Shape `(n, n_labels)`.
        target: Indices of the labels, shape `(n,)`; `NO_LABEL` where the country has none.
        position_deg: Latitude and longitude, shape `(n, 2)`; NaN where unknown.
    """

    split: NDArray[np.str_]
    place: NDArray[np.str_]
    logits: NDArray[np.float32]
    target: NDArray[np.int64]
    position_deg: NDArray[np.float64]

    def where(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> HeldOut:
        """Select photos by a mask or by indices."""
        return HeldOut(
            self.split[rows], self.place[rows], self.logits[rows], self.target[rows], self.position_deg[rows]
        )


def held_out(run: CountryRun, manifest: Manifest, workers: int) -> HeldOut:
    """Compute the outputs of a run for all its validation photos.

    Raises:
        RecipeError: If the run has no held-out photos or was trained on another manifest.
    """
    if manifest.sha256 != run.manifest_sha256:
        raise RecipeError(str(run.folder), "was trained on another manifest", "Give the same --manifest")
    parts = {name: part for name, part in split(manifest, run.recipe.data).validation.items() if len(part)}
    if not parts:
        raise RecipeError(str(run.folder), "has no held-out photos", "Give a run that has")
    splits, places, logits, target, position_deg = [], [], [], [], []
    for name, part in parts.items():
        splits += [name] * len(part)
        places += part.places.tolist()
        logits.append(network_outputs(run.network, part, run.recipe, workers))
        target.append(targets(part, run.labels))
        position_deg.append(part.table[["lat", "lon"]].to_numpy(np.float64))
    return HeldOut(
        np.array(splits),
        np.array(places),
        np.concatenate(logits),
        np.concatenate(target),
        np.concatenate(position_deg),
    )


def fit_calibration(photos: HeldOut, target_accuracy: float) -> Calibration:
    """Fit the temperature and the conformal and abstention thresholds, with equal weight for each split.

    Args:
        photos: Held-out photos of one or more splits.
        target_accuracy: Accuracy that the predictions above the abstention threshold should have.
    """
    balanced = photos.where(balanced_rows(photos.split))
    known = balanced.target != NO_LABEL
    temperature = fit_temperature(balanced.logits[known], balanced.target[known])
    probability = probabilities(balanced.logits, temperature)
    first = probability.argmax(axis=1)
    return Calibration(
        temperature=temperature,
        conformal_threshold=fit_conformal_threshold(probability[known], balanced.target[known], _COVERAGE),
        conformal_coverage=_COVERAGE,
        abstention_threshold=fit_abstention_threshold(
            probability.max(axis=1), first == balanced.target, target_accuracy
        ),
        fitted_on=f"{len(photos.target)} held-out photos, splits {' and '.join(sorted(set(photos.split)))} "
        "with equal weight",
    )


def fit_half(places: Iterable[str]) -> NDArray[np.bool_]:
    """Mask of the photos that calibration is fitted on; the others evaluate it. No place is in both."""
    return np.array([zlib.crc32(place.encode()) % 2 == 0 for place in places])


def balanced_rows(split: NDArray[np.str_]) -> NDArray[np.intp]:
    """Indices of the photos, repeated for smaller splits so that all splits have about the same weight.

    Args:
        split: Split of each photo, shape `(n,)`.
    """
    names, counts = np.unique(split, return_counts=True)
    return np.concatenate([np.resize(np.flatnonzero(split == name), counts.max()) for name in names])


@dataclass(frozen=True, slots=True, eq=False)
class Radii:
    """Errors and predicted radii of the photos with a position.

    Attributes:
        split: Split of each photo, shape `(n,)`.
        half: Half of the places that each photo belongs to, see `fit_half`, shape `(n,)`.
        error_km: Distance from the best place to the truth, shape `(n,)`.
        radius_km: Uncalibrated radii for 50 % and 90 %, shape `(n, 2)`.
    """

    split: NDArray[np.str_]
    half: NDArray[np.bool_]
    error_km: Floats
    radius_km: Floats

    def factors(self, rows: NDArray[np.bool_]) -> Floats:
        """Fit the factors of both radii on some photos, with equal weight for each split; shape `(2,)`."""
        chosen = np.flatnonzero(rows)
        chosen = chosen[balanced_rows(self.split[chosen])]
        pairs = zip(self.radius_km[chosen].T, _RADIUS_COVERAGES, strict=True)
        return np.array([fit_radius_factor(self.error_km[chosen], radius, coverage) for radius, coverage in pairs])

    def calibrated(self, calibration: Calibration) -> Calibration:
        """Add factors fitted on all photos to a calibration; without photos it stays the same."""
        if not len(self.split):
            return calibration
        factor, factor_90 = self.factors(np.ones(len(self.split), np.bool_)).tolist()
        fitted_on = f"{calibration.fitted_on}; radii: all {len(self.split)} photos with a position"
        return calibration.model_copy(
            update={"radius_factor": factor, "radius_90_factor": factor_90, "fitted_on": fitted_on}
        )

    def coverage(self) -> dict[str, dict[str, float]]:
        """Fraction of the photos of each split within the radii, by cross-fitting.

        Each half of the places is evaluated with factors fitted on the other half.
        """
        within = np.zeros(self.radius_km.shape, np.bool_)
        for half in (True, False):
            rows, others = self.half == half, self.half != half
            if rows.any() and others.any():
                within[rows] = self.error_km[rows, None] <= self.radius_km[rows] * self.factors(others)
        names = ("radius_holds", "radius_90_holds")
        return {
            str(split): dict(zip(names, within[self.split == split].mean(axis=0).tolist(), strict=True))
            for split in np.unique(self.split)
        }


def unfitted_metrics(
    predictions: Mapping[str, ManifestPredictions], labels: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Metrics of each split on the half of the places that calibration was not fitted on; empty halves are left out.

    Args:
        predictions: Predictions by split.
        labels: Countries that the model knows.
    """
    halves = {name: part.where(~fit_half(part.table["place"])) for name, part in predictions.items()}
    return {name: evaluation_metrics(half, labels) for name, half in halves.items() if half.predictions}


def calibrate_radii(
    predictions: Mapping[str, ManifestPredictions], labels: Sequence[str], calibration: Calibration
) -> tuple[Calibration, dict[str, dict[str, float | None]]]:
    """Fit the radii on all held-out places; also returns `unfitted_metrics` with `Radii.coverage`.

    Args:
        predictions: Predictions of a model with uncalibrated radii, by split.
        labels: Countries that the model knows.
        calibration: Calibration without radii.
    """
    measured = radii(predictions)
    coverage = measured.coverage()
    metrics = {
        name: {**values, **coverage.get(name, {})} for name, values in unfitted_metrics(predictions, labels).items()
    }
    return measured.calibrated(calibration), metrics


def radii(predictions: Mapping[str, ManifestPredictions]) -> Radii:
    """Errors and radii of a model with uncalibrated radii, by split; photos without a position are left out."""
    splits: list[str] = []
    halves, errors, radius = [np.empty(0, np.bool_)], [np.empty(0)], [np.empty((0, 2))]
    for name, part in predictions.items():
        truth = part.table[["lat", "lon"]].to_numpy(np.float64)
        known = np.isfinite(truth).all(axis=1)
        place = np.array([[p.place.lat_deg, p.place.lon_deg, p.radius_km, p.radius_90_km] for p in part.predictions])
        splits += [name] * int(known.sum())
        halves.append(fit_half(part.table["place"])[known])
        errors.append(np.asarray(distance_km(*truth[known].T, *place[known, :2].T)))
        radius.append(place[known, 2:])
    return Radii(np.array(splits, np.str_), np.concatenate(halves), np.concatenate(errors), np.concatenate(radius))
