"""Models fitted on some folds of sources, and their outputs for the photos of the other folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triovision.errors import ManifestError
from triovision.inference.calibration import fit_temperature, probabilities
from triovision.inference.landmarks import Landmark, LandmarkIndex, Match, build_index, unit_rows
from triovision.train.data.dataset import NO_LABEL, choose_labels, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import rows_marked_test
from triovision.train.evaluation.metrics import negative_log_likelihood
from triovision.train.frozen.embedding import fit_projection
from triovision.train.frozen.head import (
    LinearHead,
    country_centres,
    fit_head,
    principal_axes,
    smoothed_targets,
    source_weights,
)
from triovision.train.recipes.frozen_recipe import FrozenRecipe

Features = NDArray[np.float32]
Rows = NDArray[np.intp]

#: Values of the manifest's column `position` that are good to about a kilometre.
PRECISE = ("exact", "landmark")


@dataclass(frozen=True, eq=False)
class FrozenData:
    """Photos with their features, and what follows from both.

    Attributes:
        recipe: The recipe.
        manifest: Photos of all folds, readable ones only.
        features: Their features, shape `(n, n_features)`.
        fold: Fold of each photo, shape `(n,)`.
        labels: Countries of the model.
        axes: Principal axes of the features; they depend on no label.
        reduced: Features on these axes, shape `(n, components)`.
        target: Index of each photo's label, or `NO_LABEL`, shape `(n,)`.
        landmarks: Landmark of each photo that an index may hold, else None.
    """

    recipe: FrozenRecipe
    manifest: Manifest
    features: Features
    fold: NDArray[np.str_]
    labels: tuple[str, ...]
    axes: Features
    reduced: Features
    target: NDArray[np.int64]
    landmarks: tuple[Landmark | None, ...]

    @property
    def folds(self) -> list[str]:
        """Names of the folds."""
        return sorted(set(self.fold.tolist()))


def fold_rows(manifest: Manifest, recipe: FrozenRecipe) -> NDArray[np.bool_]:
    """Mask of the photos in folds; others, such as those marked `test`, are never read.

    Raises:
        ManifestError: If there are fewer than three folds.
    """
    column = manifest.table[recipe.fold_column]
    inside = column.str.fullmatch(r"\d+").to_numpy(np.bool_) & ~rows_marked_test(manifest.table)
    if column[inside].nunique() < 3:
        reason = f"has fewer than three folds in the column {recipe.fold_column}"
        remedy = "Make folds of whole sources with `triovision train split --by source --folds 5`"
        raise ManifestError(str(manifest.root), reason, remedy)
    return np.asarray(inside)


def frozen_data(recipe: FrozenRecipe, manifest: Manifest, features: Features) -> FrozenData:
    """Prepare the photos of the folds.

    Args:
        recipe: The recipe.
        manifest: Photos that are in a fold.
        features: Their features, shape `(n, n_features)`.
    """
    labels = choose_labels(manifest, recipe.head.min_photos)
    axes = principal_axes(features, recipe.head.components)
    return FrozenData(
        recipe=recipe,
        manifest=manifest,
        features=features,
        fold=manifest.table[recipe.fold_column].to_numpy(np.str_),
        labels=labels,
        axes=axes,
        reduced=features @ axes,
        target=targets(manifest, labels),
        landmarks=_landmarks(manifest.table, labels),
    )


def fit_country_head(data: FrozenData, rows: Rows, penalty: float) -> LinearHead:
    """Fit the country classifier on some photos; it acts on the features themselves."""
    known, config = rows[data.target[rows] != NO_LABEL], data.recipe.head
    table = data.manifest.table.iloc[known]
    class_targets = smoothed_targets(country_centres(table, data.labels), config.smoothing, config.smoothing_km)
    weights = source_weights(table, config.source_power)
    head = fit_head(data.reduced[known], class_targets[data.target[known]], weights, penalty)
    return LinearHead(head.weight @ data.axes.T, head.bias)


def fit_index(data: FrozenData, rows: Rows) -> LandmarkIndex:
    """Train the projection on the landmarks of some photos and put these into an index.

    Raises:
        ManifestError: If none of the photos shows a landmark.
    """
    shown = np.array([row for row in rows.tolist() if data.landmarks[row] is not None], np.intp)
    if not len(shown):
        remedy = "Fill `place_name` and `position` (exact or landmark) for photos of landmarks"
        raise ManifestError(str(data.manifest.root), "has no photo of a landmark", remedy)
    landmarks = [one for row in shown.tolist() if (one := data.landmarks[row]) is not None]
    numbers = pd.factorize(np.array([one.name for one in landmarks]))[0]
    sources = pd.factorize(data.manifest.table["source"].iloc[shown])[0]
    features = data.features[shown]
    projection = fit_projection(features, data.axes, numbers, sources, data.recipe.embedding, data.recipe.seed)
    return build_index(projection, unit_rows(features @ projection), landmarks)


def choose_penalty(data: FrozenData, folds: Sequence[str]) -> float:
    """Choose the penalty with the highest likelihood of the countries of each fold under a fit on the others."""
    if len(data.recipe.head.penalties) == 1:
        return data.recipe.head.penalties[0]

    def loss(penalty: float) -> float:
        rows, logits = [], []
        for fold in folds:
            others = np.flatnonzero(np.isin(data.fold, [other for other in folds if other != fold]))
            held = np.flatnonzero((data.fold == fold) & (data.target != NO_LABEL))
            rows.append(held)
            logits.append(fit_country_head(data, others, penalty).logits(data.features[held]))
        return _scaled_loss(np.concatenate(logits), data.target[np.concatenate(rows)])

    return min(data.recipe.head.penalties, key=loss)


def _scaled_loss(logits: Features, target: NDArray[np.int64]) -> float:
    """Negative log-likelihood at the best temperature, which is fitted in any case."""
    probability = probabilities(logits, fit_temperature(logits, target))
    return float(negative_log_likelihood(probability[np.arange(len(target)), target], 1e-12) or 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class OutOfSource:
    """Outputs for every photo of models that saw no photo of its source.

    Attributes:
        logits: Country logits, shape `(n, n_labels)`.
        matches: Best landmark of each photo.
        in_index: Whether another fold shows the photo's landmark, shape `(n,)`.
    """

    logits: Features
    matches: tuple[Match, ...]
    in_index: NDArray[np.bool_]


def cross_fit(data: FrozenData, echo: Callable[[str], object]) -> OutOfSource:
    """Fit one model for each fold on the other folds, everything that is chosen included, and run it on the fold."""
    logits = np.empty((len(data.fold), len(data.labels)), np.float32)
    matches: list[Match | None] = [None] * len(data.fold)
    in_index = np.zeros(len(data.fold), np.bool_)
    for fold in data.folds:
        others = [other for other in data.folds if other != fold]
        rows, held = np.flatnonzero(data.fold != fold), np.flatnonzero(data.fold == fold)
        penalty = choose_penalty(data, others)
        logits[held] = fit_country_head(data, rows, penalty).logits(data.features[held])
        index = fit_index(data, rows)
        names = {landmark.name for landmark in index.landmarks}
        score = data.recipe.score
        priors = index.prior(logits[held], data.labels, score.country_weight, score.photos_weight)
        for row, match in zip(held.tolist(), index.matches(index.embed(data.features[held]), priors), strict=True):
            landmark = data.landmarks[row]
            matches[row], in_index[row] = match, landmark is not None and landmark.name in names
        echo(f"fold {fold}: {len(held)} photos, penalty {penalty}, {len(index.landmarks)} landmarks elsewhere")
    return OutOfSource(logits, tuple(match for match in matches if match is not None), in_index)


def _landmarks(table: pd.DataFrame, labels: Sequence[str]) -> tuple[Landmark | None, ...]:
    """Landmark of each photo with a name, a precise position and a country with a label.

    Photos with one name and country are one landmark, at the median of their positions.
    """
    shown = table["position"].isin(PRECISE) & (table["place_name"] != "") & table["country"].isin(labels)
    landmarks: list[Landmark | None] = [None] * len(table)
    numbered = table.reset_index(drop=True)[shown.to_numpy()]
    for (name, country), group in numbered.groupby(["place_name", "country"]):
        lat, lon = float(group["lat"].median()), float(group["lon"].median())
        for row in group.index.tolist():
            landmarks[row] = Landmark(name=str(name), country=str(country), lat_deg=lat, lon_deg=lon)
    return tuple(landmarks)
