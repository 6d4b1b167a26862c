"""Radii that hold the truth as often as they promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triovision.geo import distance_km
from triovision.inference.calibration import fit_radius_factor
from triovision.inference.card import Calibration
from triovision.train.evaluation.predict import Answers, figures
from triovision.train.export.calibration import balanced_rows, fit_half

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


def unfitted_figures(answers: Mapping[str, Answers], labels: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Figures on each split's half of the places that thresholds were not fitted on; nothing for an empty half.

    Args:
        answers: By the name of the split.
        labels: Countries that the model knows.
    """
    halves = {name: said.where(~fit_half(said.table["place"])) for name, said in answers.items()}
    return {name: figures(half, labels) for name, half in halves.items() if half.predictions}


def calibrate_radii(
    answers: Mapping[str, Answers], labels: Sequence[str], calibration: Calibration
) -> tuple[Calibration, dict[str, dict[str, float | None]]]:
    """Radii fitted on all held-out places, and the figures of `unfitted_figures` with what `Radii.held` says of them.

    Args:
        answers: Of a model whose radii are not calibrated, by the name of the split.
        labels: Countries that the model knows.
        calibration: All the rest, already fitted.
    """
    measured = radii(answers)
    held = measured.held()
    metrics = {name: {**values, **held.get(name, {})} for name, values in unfitted_figures(answers, labels).items()}
    return measured.calibrated(calibration), metrics


def radii(answers: Mapping[str, Answers]) -> Radii:
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
