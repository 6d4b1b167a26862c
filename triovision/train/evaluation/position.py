"""Evaluation of a position run on its held-out photos."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from tqdm import tqdm

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.geo import distance_km
from triovision.geo.city_metadata import CITY_METADATA
from triovision.geo.city_queries import CityQueries
from triovision.inference.device import choose_device
from triovision.inference.regressor import Regressor
from triovision.metrics.country import METRICS
from triovision.metrics.position import METHODS, PhotoCounts, PositionMetrics
from triovision.train.data.feature_cache import cache_position_features, image_features
from triovision.train.data.loaders import ReadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.data.positions import PositionData, build_position_data
from triovision.train.data.unreadable import FILE, UnreadablePhotos, allowed_photos
from triovision.train.engine.run import CACHE
from triovision.train.engine.run_folder import PositionRun
from triovision.train.evaluation.calibration import fit_half
from triovision.train.evaluation.candidate_cities import (
    SCALES_KM,
    CandidatePositions,
    best_scale,
    cross_fitted,
    predict_positions,
)
from triovision.train.evaluation.country_probabilities import (
    Classifier,
    CountryProbabilities,
    classify,
    count_training_photos,
    probe,
)
from triovision.train.evaluation.learning_curves import read_curves
from triovision.train.evaluation.metrics import position_scores
from triovision.train.models.build import split_frozen_backbone

_TREES = 200
Floats = NDArray[np.float64]


def write_metrics(
    run: PositionRun, manifest: Manifest, classifier: Classifier | None, reading: ReadOptions
) -> PositionMetrics:
    """Evaluate a run and write `metrics.json` into its folder; see `measure`."""
    metrics = measure(run, manifest, classifier, reading)
    atomic_write(run.folder / METRICS, (metrics.model_dump_json(indent=1) + "\n").encode())
    return metrics


def measure(
    run: PositionRun, manifest: Manifest, classifier: Classifier | None, reading: ReadOptions
) -> PositionMetrics:
    """Evaluate a run on its validation photos, with the true city and with candidate cities.

    Args:
        run: See `read_position_run`.
        manifest: The manifest that it was trained on.
        classifier: Source of the country probabilities; None for a linear probe on the training photos of the run.
        reading: Options of the training.

    Raises:
        RecipeError: If the run was trained on another manifest or has no log, or a photo cannot be read.
    """
    if manifest.sha256 != run.manifest_sha256:
        raise RecipeError(str(run.folder), "was trained on another manifest", "Give the same --manifest")
    task, features, unreadable = _features(run, manifest, reading)
    countries = classify(classifier, task, reading.workers) if classifier else probe(task, features, run.recipe)
    positions, scale_km = _positions(run, task, features, countries)
    return PositionMetrics(
        recipe=run.recipe.model_dump(mode="json"),
        manifest_sha256=run.manifest_sha256,
        city_features=CITY_METADATA,
        photos=PhotoCounts(
            training=len(task.training),
            validation={name: len(rows) for name, rows in task.validation.items()},
            without_position=task.photos.without_position,
            impossible=task.photos.impossible,
            unreadable=unreadable,
        ),
        countries=countries.source,
        classifier_training_photos=count_training_photos(classifier, manifest, task) if classifier else 0,
        scale_km=scale_km,
        epochs=read_curves(run.folder),
        splits={
            name: {
                method: position_scores(task.position[rows], predicted) for method, predicted in positions[name].items()
            }
            for name, rows in task.validation.items()
        },
    )


def _features(
    run: PositionRun, manifest: Manifest, reading: ReadOptions
) -> tuple[PositionData, NDArray[np.float32], int]:
    """The task without unreadable photos, image features of all its photos, and the number of unreadable ones.

    The features of an unreadable photo are NaN.
    """
    task = build_position_data(manifest, run.recipe)
    network, photos = copy.deepcopy(run.network), len(task.photos.manifest)
    unreadable = UnreadablePhotos(run.folder / FILE, allowed_photos(reading.max_unreadable, photos))
    frozen, cache = split_frozen_backbone(network, run.recipe), reading.cache or run.folder / CACHE
    store = cache_position_features(frozen, task.photos, run.recipe, cache, reading.workers, unreadable)
    readable = np.flatnonzero(store.has(np.arange(photos)))
    features = np.full((photos, run.network.n_image_features), np.nan, np.float32)
    features[readable] = image_features(network, store, readable)
    return task.readable(store), features, photos - len(readable)


def _positions(
    run: PositionRun, task: PositionData, features: NDArray[np.float32], countries: CountryProbabilities
) -> tuple[dict[str, dict[str, Floats]], float]:
    """Positions of the held-out photos by split and method, and the scale fitted on all of them."""
    device = choose_device(None)
    positions_deg = run.criterion.to(device).positions_deg
    regressor = Regressor(run.network.to(device), positions_deg, run.city_scaling, device)
    predicted = _candidate_positions(regressor, task, features, countries, run)
    chosen, scale_km = _scales(task, predicted)
    # A forest can memorise the metadata of each city, which a linear model cannot.
    forest = RandomForestRegressor(_TREES, random_state=run.recipe.seed)
    forest.fit(task.city[task.training], task.position[task.training])
    return {
        name: {
            "true_city": regressor.positions(features[rows], task.city[rows]),
            "candidate_cities": predicted[name].by_scale[chosen[name], np.arange(len(rows))],
            "countries_alone": predicted[name].countries_alone,
            "metadata_alone": forest.predict(task.city[rows]),
        }
        for name, rows in task.validation.items()
    }, scale_km


def _candidate_positions(
    regressor: Regressor,
    task: PositionData,
    features: NDArray[np.float32],
    countries: CountryProbabilities,
    run: PositionRun,
) -> dict[str, CandidatePositions]:
    candidates = run.recipe.candidates
    cities = CityQueries(countries.labels, candidates.per_country)
    splits = tqdm(task.validation.items(), "candidate cities", unit="split", disable=None)
    return {
        name: predict_positions(regressor, features[rows], countries.of_split[name], cities, candidates)
        for name, rows in splits
    }


def _scales(task: PositionData, predicted: dict[str, CandidatePositions]) -> tuple[dict[str, NDArray[np.intp]], float]:
    """Index of the scale of each photo by split, fitted on the other half of the places; the scale fitted on all."""
    errors = {
        name: distance_km(*task.position[rows].T[:, None], *np.moveaxis(predicted[name].by_scale, 2, 0))
        for name, rows in task.validation.items()
    }
    places = task.photos.manifest.table["place"]
    half = {name: fit_half(places.iloc[rows]) for name, rows in task.validation.items()}
    all_errors = np.concatenate(list(errors.values()), axis=1)
    chosen = cross_fitted(all_errors, np.concatenate(list(half.values())))
    ends = np.cumsum([len(rows) for rows in task.validation.values()])[:-1]
    return dict(zip(task.validation, np.split(chosen, ends), strict=True)), SCALES_KM[best_scale(all_errors)]


def scores_text(metrics: PositionMetrics) -> str:
    """The scores as text: one block per split, one line per method."""
    blocks = []
    for split, methods in metrics.splits.items():
        lines = {METHODS[method]: scores.model_dump(exclude={"photos"}) for method, scores in methods.items()}
        table = pd.DataFrame.from_dict(lines, orient="index").astype(float)
        shown = table.to_string(
            float_format=lambda value: f"{value:.3g}" if value < 10 else f"{value:.0f}", na_rep="\N{EN DASH}"
        )
        blocks.append(f"{split}: {metrics.photos.validation[split]} photos\n{shown}")
    return "\n\n".join(blocks)
