"""Predictions of a model for a manifest, and their metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triovision.errors import ManifestError, PhotoError
from triovision.geo import distance_km
from triovision.inference import GeoModel
from triovision.inference.batch import predict_files
from triovision.results import Prediction
from triovision.train.data.manifest import Manifest
from triovision.train.evaluation.intervals import source_metrics, sources_of
from triovision.train.evaluation.metrics import (
    accuracy,
    distance_scores,
    expected_calibration_error,
    negative_log_likelihood,
)
from triovision.train.evaluation.training_distance import (
    by_training_distance,
    nearest_training_km,
    training_photos,
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of one model on one set of photos.

    Attributes:
        model: Id of the model.
        metrics: Values by name; None where the photos allow none.
        unreadable: File and reason of each photo that could not be read.
    """

    model: str
    metrics: dict[str, float | None]
    unreadable: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ManifestPredictions:
    """Predictions of one model for the photos of a manifest.

    Attributes:
        predictions: Predictions with all countries, one per readable photo.
        table: Rows of the manifest, in the same order.
        unreadable: File and reason of each photo that could not be read.
    """

    predictions: tuple[Prediction, ...]
    table: pd.DataFrame
    unreadable: tuple[tuple[str, str], ...]

    def where(self, rows: NDArray[np.bool_]) -> ManifestPredictions:
        """Select photos by a mask."""
        kept = tuple(prediction for prediction, chosen in zip(self.predictions, rows, strict=True) if chosen)
        return replace(self, predictions=kept, table=self.table[rows])


def evaluate(
    model: GeoModel,
    manifest: Manifest,
    on_photo: Callable[[], object] | None = None,
    trained_on: Manifest | None = None,
) -> Evaluation:
    """Predict every photo of a manifest and compute the metrics.

    Args:
        model: Any model.
        manifest: Photos with their countries, and positions where known.
        on_photo: Called after each photo, for a progress bar.
        trained_on: Manifest of the training photos; with it, the metrics of `by_training_distance` are added.

    Raises:
        ManifestError: If no photo can be read, or no training photo has a position.
    """
    training = None if trained_on is None else training_photos(model.card, trained_on, manifest)
    predictions = predict_manifest(model, manifest, on_photo)
    metrics, table = evaluation_metrics(predictions, model.card.labels), predictions.table
    if training is not None:
        nearest_km = nearest_training_km(table["lat"].to_numpy(), table["lon"].to_numpy(), training)
        metrics |= by_training_distance(errors_km(predictions.predictions, table), nearest_km)
    return Evaluation(model.card.id, metrics, predictions.unreadable)


def predict_manifest(
    model: GeoModel, manifest: Manifest, on_photo: Callable[[], object] | None = None
) -> ManifestPredictions:
    """Predict every photo of a manifest.

    Args:
        model: Any model.
        manifest: Photos with their countries, and positions where known.
        on_photo: Called after each photo, for a progress bar.

    Raises:
        ManifestError: If no photo can be read.
    """
    predictions: list[Prediction | None] = []
    unreadable: list[tuple[str, str]] = []
    outcomes = predict_files(model, manifest.paths, top_k=len(model.card.labels))
    for file, (_, outcome) in zip(manifest.table["file"], outcomes, strict=True):
        if isinstance(outcome, PhotoError):
            unreadable.append((file, str(outcome)))
            predictions.append(None)
        else:
            # Without the arrays that the posterior has cached, which are larger than itself.
            predictions.append(replace(outcome, posterior=replace(outcome.posterior)))
        if on_photo is not None:
            on_photo()
    read = tuple(prediction for prediction in predictions if prediction is not None)
    if not read:
        raise ManifestError(str(manifest.root), "has no readable photo of the manifest", "Check --root")
    table = manifest.table[[prediction is not None for prediction in predictions]]
    return ManifestPredictions(read, table, tuple(unreadable))


def evaluation_metrics(predictions: ManifestPredictions, labels: Sequence[str]) -> dict[str, float | None]:
    """All metrics of `Evaluation`.

    With a column `place` their number, and with a column `source` the metrics of `source_metrics` for top-1 and top-5:
    their number, the means over the sources beside the means over the photos, and 95 % intervals. The mean of top-1
    over the countries is `country_macro_recall`.

    Args:
        predictions: One or more predictions.
        labels: Countries of the model.
    """
    table = predictions.table
    right = right_answers(predictions.predictions, table["country"])
    return {
        "photos": float(len(predictions.predictions)),
        "unreadable": float(len(predictions.unreadable)),
        **({"places": float(table["place"].nunique())} if "place" in table else {}),
        **country_metrics(predictions.predictions, table["country"], labels),
        **source_metrics(right, sources_of(table)),
        **distance_metrics(predictions.predictions, table),
    }


def right_answers(predictions: Sequence[Prediction], truth: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Whether the true country of each photo is the most probable one, and among the five most probable ones.

    Returns:
        Masks of shape `(n,)` by the name of the metric, `country_top1` and `country_top5`.
    """
    rank_of_truth = [
        next((rank for rank, guess in enumerate(prediction.countries) if guess.country == country), 5)
        for prediction, country in zip(predictions, truth, strict=True)
    ]
    ranks = np.array(rank_of_truth, dtype=np.intp)
    return {"country_top1": ranks < 1, "country_top5": ranks < 5}


def country_metrics(
    predictions: Sequence[Prediction], truth: Sequence[str], labels: Sequence[str]
) -> dict[str, float | None]:
    """Country metrics over all photos, and over those of countries that the model knows.

    The calibration error (15 bins, top label) is over all photos, the log-likelihood over known countries.
    """
    countries = np.asarray(truth)
    known = np.isin(countries, labels)
    first = np.array([p.countries[0].country for p in predictions])
    in_top5 = right_answers(predictions, truth)["country_top5"]
    metrics: dict[str, float | None] = {"photos_known_country": float(known.sum())}
    for suffix, chosen in (("", np.full(len(known), fill_value=True)), ("_known", known)):
        for name, value in accuracy(countries[chosen], first[chosen], in_top5[chosen]).items():
            metrics[f"country_{name}{suffix}"] = value
    answered = np.array([not p.abstained for p in predictions])
    in_set = np.array([country in p.country_set for country, p in zip(countries, predictions, strict=True)])
    return metrics | {
        "expected_calibration_error": expected_calibration_error(
            np.array([p.countries[0].probability for p in predictions]), first == countries
        ),
        "negative_log_likelihood_known": negative_log_likelihood(_of_truth(predictions, countries, known), 1e-12),
        "answered": float(answered.mean()),
        "answered_accuracy": float((first == countries)[answered].mean()) if answered.any() else None,
        "country_set_coverage_known": float(in_set[known].mean()) if known.any() else None,
        "country_set_size": float(np.mean([len(p.country_set) for p in predictions])),
    }


def distance_metrics(predictions: Sequence[Prediction], table: pd.DataFrame) -> dict[str, float | None]:
    """Great-circle error of the best place over the photos with a position.

    `radius_holds` and `radius_90_holds` are the fractions of photos within the 50 % and the 90 % radius.
    """
    lat_deg, lon_deg = table["lat"].to_numpy(), table["lon"].to_numpy()
    known = ~(np.isnan(lat_deg) | np.isnan(lon_deg))
    if not known.any():
        names = (*distance_scores(np.zeros(1)), "radius_holds", "radius_90_holds")
        return {"photos_with_position": 0.0} | dict.fromkeys(names)
    radius_km = np.array([[p.radius_km, p.radius_90_km] for p in predictions])[known]
    error_km = errors_km(predictions, table)[known]
    holds, holds_90 = (error_km[:, None] <= radius_km).mean(axis=0).tolist()
    return {
        "photos_with_position": float(known.sum()),
        **distance_scores(error_km),
        "radius_holds": holds,
        "radius_90_holds": holds_90,
    }


def errors_km(predictions: Sequence[Prediction], table: pd.DataFrame) -> NDArray[np.float64]:
    """Great-circle distance from the best place to the truth, shape `(n,)`; NaN without a position."""
    place_lat = np.array([p.place.lat_deg for p in predictions])
    place_lon = np.array([p.place.lon_deg for p in predictions])
    return np.asarray(distance_km(table["lat"].to_numpy(), table["lon"].to_numpy(), place_lat, place_lon))


def _of_truth(
    predictions: Sequence[Prediction], truth: NDArray[np.str_], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Probability of the true country, for the photos of known countries."""
    return np.array(
        [
            next(guess.probability for guess in prediction.countries if guess.country == country)
            for prediction, country, is_known in zip(predictions, truth, known, strict=True)
            if is_known
        ],
        np.float64,
    )
