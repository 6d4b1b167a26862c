"""Outputs of a model for photos with known countries, at any temperature, and the halves of cross-fitting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triovision.errors import ManifestError
from triovision.geo import WeightedPlaces, distance_km
from triovision.geo.mixture import mix
from triovision.inference.calibration import log_probabilities, probabilities
from triovision.train.data.dataset import NO_LABEL
from triovision.train.evaluation.predict import ManifestPredictions

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
OnPhoto = Callable[[], object]
"""Progress callback: called after each photo whose radii were computed."""

MIN_PHOTOS: Final = 50
_MIN_COUNTRIES: Final = 2
#: Smallest number of photos of known countries in each half.
_MIN_IN_HALF: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhotos:
    """Outputs of a model for photos with known countries.

    Attributes:
        probability: Probability of each label with the card's calibration, shape `(n, n_labels)`.
        target: Indices of the labels, shape `(n,)`; `NO_LABEL` where the model does not know the country, or
            has no place there.
        weight: 1/√(number of photos of the same source), shape `(n,)`.
        position_deg: Latitude and longitude, shape `(n, 2)`; NaN where unknown.
        posteriors: Posterior of each photo with the card's calibration.
        labels: Countries of the model.
    """

    probability: Floats
    target: NDArray[np.int64]
    weight: Floats
    position_deg: Floats
    posteriors: tuple[WeightedPlaces, ...]
    labels: tuple[str, ...]

    @property
    def located(self) -> Mask:
        """Mask of the photos with a position."""
        return np.asarray(np.isfinite(self.position_deg).all(axis=1))

    def at(self, ratio: float) -> Floats:
        """Probabilities at the card's temperature times `ratio`, shape `(n, n_labels)`."""
        return probabilities(log_probabilities(self.probability), ratio)

    def errors_and_radii(self, rows: Mask, ratio: float, on_photo: OnPhoto) -> tuple[Floats, Floats]:
        """Errors of the best place and its uncalibrated radii at the card's temperature times `ratio`, in km.

        Args:
            rows: Mask of photos with a position.
            ratio: Factor on the temperature.
            on_photo: See `OnPhoto`.

        Returns:
            Shapes `(m,)` and `(m, 2)`, for m photos.
        """
        measured = []
        for i in np.flatnonzero(rows).tolist():
            posterior = tempered(self.posteriors[i], ratio)
            location = posterior.locate(self.labels[self.probability[i].argmax()], 1)
            place, radii = location.place, (location.radius_km, location.radius_90_km)
            lat_deg, lon_deg = self.position_deg[i].tolist()
            error = distance_km(lat_deg, lon_deg, place.lat_deg, place.lon_deg)
            measured.append([float(error), *radii])
            on_photo()
        table = np.array(measured, np.float64).reshape(-1, 3)
        return table[:, 0], table[:, 1:]


def tempered(posterior: WeightedPlaces, ratio: float) -> WeightedPlaces:
    """Posterior of the same model at its temperature times `ratio`.

    The temperature changes the probabilities of the countries, and no place's share of its country.
    """
    posterior = replace(posterior)  # whose cached arrays are dropped with it
    by_country = {country: p for country, p in posterior.by_country().items() if p > 0}
    probability = probabilities(np.log(list(by_country.values()))[None], ratio)[0]
    return mix([posterior], np.ones(1), dict(zip(by_country, probability.tolist(), strict=True)))


def labelled_photos(predictions: ManifestPredictions, labels: tuple[str, ...], manifest: str) -> LabelledPhotos:
    """Collect the outputs for the photos of a manifest.

    Args:
        predictions: Predictions with the calibration of the card, with all countries.
        labels: Countries of the model.
        manifest: Name of the manifest, for the error.

    Raises:
        ManifestError: If fewer than 50 photos, or photos of fewer than 2 countries, are of countries that the model
            knows.
    """
    table = predictions.table
    index = {label: i for i, label in enumerate(labels)}
    target = np.array([index.get(country, NO_LABEL) for country in table["country"]], np.int64)
    probability = np.zeros((len(target), len(labels)))
    for row, prediction in zip(probability, predictions.predictions, strict=True):
        for guess in prediction.countries:
            row[index[guess.country]] = guess.probability
    # A label without any place in the model never has a probability: the model does not know it either.
    target[probability[np.arange(len(target)), target] == 0] = NO_LABEL
    known = target != NO_LABEL
    countries = len(set(target[known].tolist()))
    if known.sum() < MIN_PHOTOS or countries < _MIN_COUNTRIES:
        raise ManifestError(
            manifest,
            f"has {int(known.sum())} readable photos of {countries} countries that the model knows",
            f"Give at least {MIN_PHOTOS} photos of {_MIN_COUNTRIES} or more of its countries",
        )
    return LabelledPhotos(
        probability=probability,
        target=target,
        weight=source_size_weight(table) if "source" in table else np.ones(len(target)),
        position_deg=table[["lat", "lon"]].to_numpy(np.float64),
        posteriors=tuple(prediction.posterior for prediction in predictions.predictions),
        labels=labels,
    )


def source_size_weight(table: pd.DataFrame) -> Floats:
    """1/√(photos of the same source) for each row of a table, so that no large source decides alone; shape `(n,)`."""
    return np.asarray(1 / np.sqrt(table.groupby("source")["source"].transform("size").to_numpy(np.float64)))


def cross_fit_halves(table: pd.DataFrame, known: Mask) -> tuple[str, Mask]:
    """Column by which the photos can be halved, and the mask of one half.

    No source is in both halves; if the table has no sources, or too few, no place is, else no photo.

    Args:
        table: Rows of the manifest.
        known: Mask of the photos of countries that the model knows; each half has at least 20 of them.
    """
    for column in ("source", "place"):
        if column in table:
            half = _half(table[column].to_numpy(str), known)
            if min(known[half].sum(), known[~half].sum()) >= _MIN_IN_HALF:
                return column, half
    return "photo", _half(np.arange(len(table)).astype(str), known)


def _half(group: NDArray[np.str_], known: Mask) -> Mask:
    """Mask of about half of the photos of known countries. No group is in both halves; the largest go first."""
    names, index = np.unique(group, return_inverse=True)
    size = np.bincount(index, known, len(names))
    chosen, balance = np.zeros(len(names), np.bool_), 0.0
    for i in np.argsort(-size, kind="stable").tolist():
        chosen[i] = balance <= 0
        balance += size[i] if chosen[i] else -size[i]
    return np.asarray(chosen[index])
