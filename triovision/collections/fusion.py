"""Fusion of predictions in time: photos taken within an hour of each other sharpen each other.

The model of movement: whoever took two photos moved at most at the pace of a car between them. For a photo at place p,
a neighbour taken t hours earlier or later with places q of weight w gives the factor

    m(p) = a + (1 - a) · Σ w(q) · exp(-distance(p, q) / (b + v · t))

with b = 5 km, v = 80 km/h, and a = 0.1 for a flight, a wrong clock or a wrong answer. All neighbours together count as
one more photo (the geometric mean of their factors), because photos of one hour look alike and err alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from triovision.collections.entries import CollectionEntry
from triovision.geo import WeightedPlaces, distance_km
from triovision.guesses import CountryGuess, PlaceGuess
from triovision.results import Prediction

if TYPE_CHECKING:
    from triovision.inference.card import Calibration

#: Largest difference of time between neighbours.
WINDOW: Final = timedelta(hours=1)
_BASE_KM, _SPEED_KM_PER_H, _WRONG = 5.0, 80.0, 0.1
_MAX_NEIGHBOURS: Final = 12

Floats = NDArray[np.float64]


def fuse(entries: Sequence[CollectionEntry], calibration: Calibration) -> list[CollectionEntry]:
    """Sharpen each prediction by the photos taken within an hour.

    A neighbour whose position a person corrected counts with that position. Times are compared on the clock of the
    camera, whatever offset the files give.

    Args:
        entries: Photos of one camera; those without a time, or without a neighbour, are not fused.
        calibration: Calibration of the model. It was not fitted on fused predictions.

    Returns:
        The entries in the same order, with `fused` set or removed.
    """
    timed = sorted((time, number) for number, entry in enumerate(entries) if (time := _clock(entry)) is not None)
    times = [time for time, _ in timed]
    fused: list[CollectionEntry] = [replace(entry, fused=None) for entry in entries]
    for rank, (time, number) in enumerate(timed):
        near = [other for other in _neighbours(times, rank) if abs(times[other] - time) <= WINDOW]
        if not near:
            continue
        others = [(entries[timed[other][1]], abs(times[other] - time)) for other in near]
        prediction = _fused(entries[number].prediction, others, calibration)
        fused[number] = replace(entries[number], fused=prediction)
    return fused


def _clock(entry: CollectionEntry) -> datetime | None:
    time = entry.camera.taken_at
    return None if time is None else time.replace(tzinfo=None)


def _neighbours(times: Sequence[datetime], rank: int) -> list[int]:
    """The nearest photos in time, at most half of them on each side."""
    half = _MAX_NEIGHBOURS // 2
    return [i for i in range(max(0, rank - half), min(len(times), rank + half + 1)) if i != rank]


def _fused(
    prediction: Prediction, neighbours: Sequence[tuple[CollectionEntry, timedelta]], calibration: Calibration
) -> Prediction:
    from triovision.inference.prediction import build_prediction_fields  # noqa: PLC0415 - imports PyTorch

    places, landmark = prediction.posterior, prediction.landmark
    factor = _joint_factor(places.lat_deg, places.lon_deg, neighbours)
    weight = places.weight * factor
    total = float(weight.sum())
    posterior = replace(places, weight=weight / total)
    if landmark is not None:
        at = _joint_factor(np.array([landmark.lat_deg]), np.array([landmark.lon_deg]), neighbours)
        landmark = _reweighted(landmark, float(at[0]) / total)
    countries = [CountryGuess(code, probability) for code, probability in posterior.by_country().items()]
    fields = build_prediction_fields(countries, posterior, calibration, len(countries), landmark)
    return replace(prediction, **fields)


def _reweighted(landmark: PlaceGuess, ratio: float) -> PlaceGuess:
    return replace(landmark, probability=min(1.0, landmark.probability * ratio))


def _joint_factor(lat_deg: Floats, lon_deg: Floats, neighbours: Sequence[tuple[CollectionEntry, timedelta]]) -> Floats:
    """Geometric mean of the neighbours' factors at each position, shape `(n,)`."""
    logs = [
        np.log(movement_factor(lat_deg, lon_deg, _places(entry), gap.total_seconds() / 3600))
        for entry, gap in neighbours
    ]
    return np.asarray(np.exp(np.mean(logs, axis=0)))


def movement_factor(lat_deg: Floats, lon_deg: Floats, neighbour: WeightedPlaces, hours: float) -> Floats:
    """Return the factor m of each position, see the module.

    Args:
        lat_deg: Latitudes in degrees, shape `(n,)`.
        lon_deg: Longitudes in degrees, shape `(n,)`.
        neighbour: Places of the neighbour.
        hours: Time between both photos.
    """
    away_km = distance_km(lat_deg[:, None], lon_deg[:, None], neighbour.lat_deg, neighbour.lon_deg)
    near = np.exp(-away_km / (_BASE_KM + _SPEED_KM_PER_H * hours)) @ neighbour.weight
    return np.asarray(_WRONG + (1 - _WRONG) * near)


def _places(entry: CollectionEntry) -> WeightedPlaces:
    if entry.corrected is None:
        return entry.prediction.posterior
    lat_deg, lon_deg = entry.position
    return WeightedPlaces(
        lat_deg=np.array([lat_deg]), lon_deg=np.array([lon_deg]), weight=np.ones(1), countries=np.array([""])
    )
