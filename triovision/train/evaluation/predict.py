"""How good a model is, on photos with known countries and positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import recall_score
from torchmetrics.functional.classification import multiclass_calibration_error

from triovision.errors import ManifestError, PhotoError
from triovision.geo import THRESHOLDS_KM, distance_km, geo_score
from triovision.inference import GeoModel
from triovision.inference.stream import predict_files
from triovision.results import Prediction
from triovision.train.data.manifest import Manifest

_ECE_BINS = 15


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of one model on one set of photos.

    Attributes:
        model: Id of the model.
        metrics: Figures by name; None where no photo allows the figure.
        unreadable: File and reason of each photo that could not be read.
    """

    model: str
    metrics: dict[str, float | None]
    unreadable: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model says of one set of photos.

    Attributes:
        predictions: With all countries, one a readable photo.
        table: Rows of the manifest, in the same order.
        unreadable: File and reason of each photo that could not be read.
    """

    predictions: tuple[Prediction, ...]
    table: pd.DataFrame
    unreadable: tuple[tuple[str, str], ...]

    def where(self, rows: NDArray[np.bool_]) -> Answers:
        """Some of the photos, by a mask."""
        kept = tuple(prediction for prediction, chosen in zip(self.predictions, rows, strict=True) if chosen)
        return replace(self, predictions=kept, table=self.table[rows])


def evaluate(model: GeoModel, manifest: Manifest, on_photo: Callable[[], object] | None = None) -> Evaluation:
    """Predict every photo of a manifest and compare; see `ask`."""
    answers = ask(model, manifest, on_photo)
    return Evaluation(model.card.id, figures(answers, model.card.labels), answers.unreadable)


def ask(model: GeoModel, manifest: Manifest, on_photo: Callable[[], object] | None = None) -> Answers:
    """Predict every photo of a manifest.

    Args:
        model: Any engine.
        manifest: Photos with their countries, and positions where known.
        on_photo: Called after each photo, for a progress bar.

    Raises:
        ManifestError: If no photo at all can be read.
    """
    predictions: list[Prediction | None] = []
    unreadable: list[tuple[str, str]] = []
    outcomes = predict_files(model, manifest.paths, top_k=len(model.card.labels))
    for file, (_, outcome) in zip(manifest.table["file"], outcomes, strict=True):
        if isinstance(outcome, PhotoError):
            unreadable.append((file, str(outcome)))
            predictions.append(None)
        else:
            predictions.append(outcome)
        if on_photo is not None:
            on_photo()
    read = tuple(prediction for prediction in predictions if prediction is not None)
    if not read:
        raise ManifestError(str(manifest.root), "holds not one readable photo of the manifest", "Check --root")
    table = manifest.table[[prediction is not None for prediction in predictions]]
    return Answers(read, table, tuple(unreadable))


def figures(answers: Answers, labels: Sequence[str]) -> dict[str, float | None]:
    """All figures of `Evaluation`.

    Args:
        answers: At least one.
        labels: Countries that the model knows.
    """
    return {
        "photos": float(len(answers.predictions)),
        "unreadable": float(len(answers.unreadable)),
        **country_metrics(answers.predictions, answers.table["country"], labels),
        **distance_metrics(answers.predictions, answers.table),
    }


def country_metrics(
    predictions: Sequence[Prediction], truth: Sequence[str], labels: Sequence[str]
) -> dict[str, float | None]:
    """Country figures over all photos, and over those whose country the model knows.

    Calibration error (15 bins, top label) is over all photos; the log-likelihood over known countries, since the
    model has no probability for the others.
    """
    countries = np.asarray(truth)
    known = np.isin(countries, labels)
    ranked = [[guess.country for guess in p.countries] for p in predictions]
    first = np.array([codes[0] for codes in ranked])
    in_top5 = np.array([country in codes[:5] for country, codes in zip(countries, ranked, strict=True)])
    metrics: dict[str, float | None] = {"photos_known_country": float(known.sum())}
    for suffix, chosen in (("", np.full(len(known), fill_value=True)), ("_known", known)):
        some = bool(chosen.any())
        metrics[f"country_top1{suffix}"] = float((first == countries)[chosen].mean()) if some else None
        metrics[f"country_top5{suffix}"] = float(in_top5[chosen].mean()) if some else None
        metrics[f"country_macro_recall{suffix}"] = _macro_recall(countries[chosen], first[chosen]) if some else None
    answered = np.array([not p.abstained for p in predictions])
    in_set = np.array([country in p.country_set for country, p in zip(countries, predictions, strict=True)])
    return metrics | {
        "expected_calibration_error": _calibration_error(predictions, countries, labels),
        "negative_log_likelihood_known": _log_loss(predictions, countries, known),
        "answered": float(answered.mean()),
        "answered_accuracy": float((first == countries)[answered].mean()) if answered.any() else None,
        "country_set_coverage_known": float(in_set[known].mean()) if known.any() else None,
        "country_set_size": float(np.mean([len(p.country_set) for p in predictions])),
    }


def distance_metrics(predictions: Sequence[Prediction], table: pd.DataFrame) -> dict[str, float | None]:
    """Great-circle error of the best place, over the photos whose position is known.

    `radius_holds` and `radius_90_holds`: shares of photos that lie within the radius that promises 50 % and 90 %.
    """
    lat_deg, lon_deg = table["lat"].to_numpy(), table["lon"].to_numpy()
    placed = ~(np.isnan(lat_deg) | np.isnan(lon_deg))
    within = [f"within_{km}_km" for km in THRESHOLDS_KM]
    names = ["median_km", "mean_km", *within, "geo_score", "radius_holds", "radius_90_holds"]
    if not placed.any():
        return {"photos_with_position": 0.0} | dict.fromkeys(names)
    place_lat = np.array([p.place.lat_deg for p in predictions])
    place_lon = np.array([p.place.lon_deg for p in predictions])
    radius_km = np.array([[p.radius_km, p.radius_90_km] for p in predictions])[placed]
    error_km = np.asarray(distance_km(lat_deg, lon_deg, place_lat, place_lon))[placed]
    values: list[float | None] = [
        float(np.median(error_km)),
        float(error_km.mean()),
        *(float((error_km <= km).mean()) for km in THRESHOLDS_KM),
        float(np.mean(geo_score(error_km))),
        *(error_km[:, None] <= radius_km).mean(axis=0).tolist(),
    ]
    return dict(zip(["photos_with_position", *names], [float(placed.sum()), *values], strict=True))


def _macro_recall(truth: NDArray[np.str_], first: NDArray[np.str_]) -> float:
    # Over the countries that are there: a country that is only guessed has no recall.
    return float(recall_score(truth, first, labels=np.unique(truth), average="macro", zero_division=0))


def _calibration_error(predictions: Sequence[Prediction], truth: NDArray[np.str_], labels: Sequence[str]) -> float:
    """Expected calibration error of the top label; an unknown country counts as a miss."""
    index = {label: i for i, label in enumerate(labels)}
    probability = torch.zeros(len(predictions), len(labels) + 1)
    for row, prediction in zip(probability, predictions, strict=True):
        for guess in prediction.countries:
            row[index[guess.country]] = guess.probability
    target = torch.tensor([index.get(country, len(labels)) for country in truth])
    return float(multiclass_calibration_error(probability, target, num_classes=len(labels) + 1, n_bins=_ECE_BINS))


def _log_loss(predictions: Sequence[Prediction], truth: NDArray[np.str_], known: NDArray[np.bool_]) -> float | None:
    given = [
        next(guess.probability for guess in prediction.countries if guess.country == country)
        for prediction, country, is_known in zip(predictions, truth, known, strict=True)
        if is_known
    ]
    return float(-np.log(np.maximum(given, 1e-12)).mean()) if given else None
