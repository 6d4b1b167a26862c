"""Agreement of several models on one photo, and its JSON and CSV files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from triovision.errors import TrioVisionError
from triovision.geo import distance_km
from triovision.photo.names import spreadsheet_safe
from triovision.results import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Agreement of two models on one photo.

    Attributes:
        first: Id of the first model.
        second: Id of the second model.
        same_country: True if both find the same country most probable.
        distance_km: Great-circle distance between the predicted places.
        overlap: Common part of both country distributions, from 0 to 1; see `country_overlap`.
    """

    first: str
    second: str
    same_country: bool
    distance_km: float
    overlap: float


def country_overlap(first: Prediction, second: Prediction) -> float:
    """One minus the total variation distance of the country probabilities, over the labels of both models.

    Args:
        first: Prediction with all countries of its model.
        second: The same of another model.

    Returns:
        1 for equal distributions, 0 for those without a common country.
    """
    p, q = ({guess.country: guess.probability for guess in one.countries} for one in (first, second))
    variation = sum(abs(p.get(country, 0.0) - q.get(country, 0.0)) for country in p.keys() | q.keys()) / 2
    return min(1.0, max(0.0, 1.0 - variation))


def pair_agreements(predictions: Sequence[Prediction]) -> list[PairAgreement]:
    """Agreement of every pair of models, in the order of the predictions."""
    return [
        PairAgreement(
            first=first.model,
            second=second.model,
            same_country=first.countries[0].country == second.countries[0].country,
            distance_km=float(
                distance_km(first.place.lat_deg, first.place.lon_deg, second.place.lat_deg, second.place.lon_deg)
            ),
            overlap=country_overlap(first, second),
        )
        for first, second in combinations(predictions, 2)
    ]


def top_countries(predictions: Sequence[Prediction], k: int) -> list[str]:
    """The `k` countries of the highest mean probability over the models, the most probable first."""
    total: dict[str, float] = {}
    for prediction in predictions:
        for guess in prediction.countries:
            total[guess.country] = total.get(guess.country, 0.0) + guess.probability
    return sorted(total, key=lambda country: (-total[country], country))[:k]


def comparison_json(predictions: Sequence[Prediction], faults: Mapping[str, TrioVisionError]) -> str:
    """Predictions, agreement of the pairs and models that failed, as indented JSON."""
    pairs = [
        {
            "models": [pair.first, pair.second],
            "same_country": pair.same_country,
            "distance_km": round(pair.distance_km, 3),
            "country_overlap": round(pair.overlap, 6),
        }
        for pair in pair_agreements(predictions)
    ]
    content = {
        "predictions": [prediction.to_dict() for prediction in predictions],
        "agreement": pairs,
        "failed": {model: str(fault) for model, fault in faults.items()},
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def comparison_csv(predictions: Sequence[Prediction]) -> str:
    """One row per model: country, probability, place, radius and time, with `spreadsheet_safe` names."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["model", "country", "probability", "place", "lat_deg", "lon_deg", "radius_km", "abstained", "elapsed_ms"]
    )
    for prediction in predictions:
        best, place = prediction.countries[0], prediction.place
        position = [f"{place.lat_deg:.5f}", f"{place.lon_deg:.5f}", f"{prediction.radius_km:.3f}"]
        abstained = str(prediction.abstained).lower()
        time_ms = f"{prediction.elapsed_ms:.3f}"
        model, name = spreadsheet_safe(prediction.model), spreadsheet_safe(place.name)
        writer.writerow([model, best.country, f"{best.probability:.6f}", name, *position, abstained, time_ms])
    return file.getvalue()
