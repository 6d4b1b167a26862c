"""Fusion of predictions in time: photos taken within an hour of each other sharpen each other.

The model of movement: whoever took two photos moved at most at the pace of a car between them. For a photo at place p,
a neighbour taken t hours earlier or later with places q of weight w gives the factor

    m(p) = a + (1 - a) · Σ w(q) · exp(-distance(p, q) / (b + v · t))

with b = 5 km, v = 80 km/h, and a = 0.1 for a flight, a wrong clock or a wrong answer. All neighbours together count as
one more photo (the geometric mean of their factors), because photos of one hour look alike and err alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from triovision.collections.entries import CollectionEntry
from triovision.geo import distance_km
from triovision.guesses import CountryGuess
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
    fused = [replace(entry, fused=None) for entry in entries]
    timed = sorted((time, number) for number, entry in enumerate(entries) if (time := _clock(entry)) is not None)
    if not timed:
        return fused
    points = _Points.of([entries[number] for _, number in timed])
    log_sum, neighbours = np.zeros_like(points.weight), np.zeros(len(timed))
    for first, (time, _) in enumerate(timed):
        for second in range(first + 1, min(len(timed), first + 1 + _MAX_NEIGHBOURS // 2)):
            gap = timed[second][0] - time
            if gap > WINDOW:
                break
            pair = [second, first]
            factors = movement_factor(points.away_km, points.weight[pair], gap.total_seconds() / 3600)
            log_sum[[first, second]] += np.log(factors)
            neighbours[pair] += 1
    for rank in np.flatnonzero(neighbours).tolist():
        number = timed[rank][1]
        factor = np.exp(log_sum[rank] / neighbours[rank])
        prediction = _reweighted(entries[number].prediction, points.positions[rank], factor, calibration)
        fused[number] = replace(entries[number], fused=prediction)
    return fused


def movement_factor(away_km: NDArray[np.floating], weight: Floats, hours: float) -> Floats:
    """Return the factor m of each position for each of several neighbours, see the module.

    Args:
        away_km: Distance of each position from each place, shape `(n, m)`.
        weight: Weights of the places for each neighbour, shape `(k, m)`.
        hours: Time between the photo and its neighbours.

    Returns:
        Factors, shape `(k, n)`.
    """
    near = np.exp(away_km * np.float32(-1 / (_BASE_KM + _SPEED_KM_PER_H * hours))) @ weight.T
    return np.asarray(_WRONG + (1 - _WRONG) * near.T)


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """All positions that the photos may have, each once: photos of one model share nearly all of them.

    Attributes:
        away_km: Distance of each from each, `float32` of shape `(m, m)`.
        weight: Weights of each photo as a neighbour, shape `(n, m)`.
        positions: Numbers of the points of each photo's posterior, then that of its landmark if it has one.
    """

    away_km: NDArray[np.float32]
    weight: Floats
    positions: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, entries: Sequence[CollectionEntry]) -> _Points:
        """Collect the positions of photos."""
        own = [_positions(entry) for entry in entries]
        corrected = [complex(*entry.position) for entry in entries]
        points, number = np.unique(np.concatenate([*own, corrected]), return_inverse=True)
        positions = np.split(number[: -len(entries)], np.cumsum([len(one) for one in own])[:-1])
        weight = np.zeros((len(entries), len(points)))
        for row, entry in enumerate(entries):
            if entry.corrected is not None:
                weight[row, number[row - len(entries)]] = 1
            else:
                places = entry.prediction.posterior
                np.add.at(weight[row], positions[row][: len(places.weight)], places.weight)
        lat_deg, lon_deg = points.real, points.imag
        away_km = distance_km(lat_deg[:, None], lon_deg[:, None], lat_deg, lon_deg)
        return cls(away_km.astype(np.float32), weight, tuple(positions))


def _positions(entry: CollectionEntry) -> NDArray[np.complex128]:
    """Latitude and longitude of each place, and of the landmark, as one number, which sorts fast."""
    places, landmark = entry.prediction.posterior, entry.prediction.landmark
    positions = places.lat_deg + 1j * places.lon_deg
    return positions if landmark is None else np.append(positions, complex(landmark.lat_deg, landmark.lon_deg))


def _clock(entry: CollectionEntry) -> datetime | None:
    time = entry.camera.taken_at
    return None if time is None else time.replace(tzinfo=None)


def _reweighted(
    prediction: Prediction, positions: NDArray[np.intp], factor: Floats, calibration: Calibration
) -> Prediction:
    """Multiply the places of a prediction by the factors of all points."""
    from triovision.inference.prediction import build_prediction_fields  # noqa: PLC0415 - imports PyTorch

    places, landmark = prediction.posterior, prediction.landmark
    weight = places.weight * factor[positions[: len(places.weight)]]
    total = float(weight.sum())
    posterior = replace(places, weight=weight / total)
    if landmark is not None:
        probability = landmark.probability * float(factor[positions[-1]]) / total
        landmark = replace(landmark, probability=min(1.0, probability))
    countries = [CountryGuess(code, probability) for code, probability in posterior.by_country().items()]
    fields = build_prediction_fields(countries, posterior, calibration, len(countries), landmark)
    return replace(prediction, **fields)
