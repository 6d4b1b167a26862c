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


def held_out(run: CountryRun, manifest: Manifest, workers: int) -> HeldOut:
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
            probability.max(axis=1), first == balanced.target, wanted_accuracy
        ),
        fitted_on=f"{len(photos.target)} photos that the network had not seen, splits "
        f"{' and '.join(sorted(set(photos.split)))} counting alike",
    )


def fit_half(places: Iterable[str]) -> NDArray[np.bool_]:
    """True for the photos to fit calibration on, False for those to measure it on; no place is in both."""
    return np.array([zlib.crc32(place.encode()) % 2 == 0 for place in places])


def balanced_rows(split: NDArray[np.str_]) -> NDArray[np.intp]:
    """Numbers of photos, those of the smaller splits repeated, so that each split weighs about the same.

    Args:
        split: Name of each photo's split.
    """
    names, counts = np.unique(split, return_counts=True)
    return np.concatenate([np.resize(np.flatnonzero(split == name), counts.max()) for name in names])


Floats = NDArray[np.float64]
_SHARES = (0.5, 0.9)


@dataclass(frozen=True, slots=True, eq=False)
class Radii:
    """How far answers are from the truth, and how far they say that they may be.

    Attributes:
        split: Name of each photo's split, shape `(n,)`.
        half: Which half each photo's place belongs to, shape `(n,)`.
        error_km: Distance from the best place to the truth, shape `(n,)`.
        radius_km: Radii that promise to hold 50 % and 90 %, not yet calibrated, shape `(n, 2)`.
    """

    split: NDArray[np.str_]
    half: NDArray[np.bool_]
    error_km: Floats
    radius_km: Floats

    def factors(self, rows: NDArray[np.bool_]) -> Floats:
        """What to multiply the two radii by, fitted on some photos, each split counting alike; shape `(2,)`."""
        chosen = np.flatnonzero(rows)
        chosen = chosen[balanced_rows(self.split[chosen])]
        pairs = zip(self.radius_km[chosen].T, _SHARES, strict=True)
        return np.array([fit_radius_factor(self.error_km[chosen], radius, share) for radius, share in pairs])

    def calibrated(self, calibration: Calibration) -> Calibration:
        """A calibration with factors fitted on all photos; as it was when there are none."""
        if not len(self.split):
            return calibration
        half_of_all, most_of_all = self.factors(np.ones(len(self.split), np.bool_)).tolist()
        fitted_on = f"{calibration.fitted_on}; the radii on all {len(self.split)} that have a position"
        return calibration.model_copy(
            update={"radius_factor": half_of_all, "radius_90_factor": most_of_all, "fitted_on": fitted_on}
        )

    def held(self) -> dict[str, dict[str, float]]:
        """Shares of each split's photos that lie within the radii.

        Each half of the places is measured with the factors of the other, so that no photo is measured with a factor
        that was fitted on its place.
        """
        within = np.zeros(self.radius_km.shape, np.bool_)
        for side in (True, False):
            mine, others = self.half == side, self.half != side
            if mine.any() and others.any():
                within[mine] = self.error_km[mine, None] <= self.radius_km[mine] * self.factors(others)
        names = ("radius_holds", "radius_90_holds")
        return {
            str(split): dict(zip(names, within[self.split == split].mean(axis=0).tolist(), strict=True))
            for split in np.unique(self.split)
        }


def unfitted_metrics(
    answers: Mapping[str, ManifestPredictions], labels: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Figures on each split's half of the places that thresholds were not fitted on; nothing for an empty half.

    Args:
        answers: By the name of the split.
        labels: Countries that the model knows.
    """
    halves = {name: said.where(~fit_half(said.table["place"])) for name, said in answers.items()}
    return {name: evaluation_metrics(half, labels) for name, half in halves.items() if half.predictions}


def calibrate_radii(
    answers: Mapping[str, ManifestPredictions], labels: Sequence[str], calibration: Calibration
) -> tuple[Calibration, dict[str, dict[str, float | None]]]:
    """Radii fitted on all held-out places, and the figures of `unfitted_metrics` with what `Radii.held` says of them.

    Args:
        answers: Of a model whose radii are not calibrated, by the name of the split.
        labels: Countries that the model knows.
        calibration: All the rest, already fitted.
    """
    measured = radii(answers)
    held = measured.held()
    metrics = {name: {**values, **held.get(name, {})} for name, values in unfitted_metrics(answers, labels).items()}
    return measured.calibrated(calibration), metrics


def radii(answers: Mapping[str, ManifestPredictions]) -> Radii:
    """Of a model whose radii are not calibrated, by the name of the split; photos without a position are left out."""
    splits: list[str] = []
    halves, errors, radius = [np.empty(0, np.bool_)], [np.empty(0)], [np.empty((0, 2))]
    for name, answered in answers.items():
        truth = answered.table[["lat", "lon"]].to_numpy(np.float64)
        there = np.isfinite(truth).all(axis=1)
        said = np.array([[p.place.lat_deg, p.place.lon_deg, p.radius_km, p.radius_90_km] for p in answered.predictions])
        splits += [name] * int(there.sum())
        halves.append(fit_half(answered.table["place"])[there])
        errors.append(np.asarray(distance_km(*truth[there].T, *said[there, :2].T)))
        radius.append(said[there, 2:])
    return Radii(np.array(splits, np.str_), np.concatenate(halves), np.concatenate(errors), np.concatenate(radius))
