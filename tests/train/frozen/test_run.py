from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.train.frozen.conftest import FEATURES, Photos
from triovision.errors import ManifestError
from triovision.inference.landmark_engine import LandmarkEngine
from triovision.metrics.model_figures import read_figures
from triovision.networks import build_classifier
from triovision.train.data.manifest import Manifest
from triovision.train.export.card import Description
from triovision.train.frozen.cross_fit import OutOfSource, cross_fit, fold_rows, frozen_data
from triovision.train.frozen.run import FrozenModel, export_frozen_model, fit_frozen_model
from triovision.train.recipes.frozen_recipe import RECIPES, FrozenRecipe


def silent(*_: object) -> None:
    """Take no notice."""


def outputs(recipe: FrozenRecipe, manifest: Manifest, features: NDArray[np.float32]) -> OutOfSource:
    return cross_fit(frozen_data(recipe, manifest, features), silent)


@pytest.fixture
def model(recipe: FrozenRecipe, photos: Photos) -> FrozenModel:
    return fit_frozen_model(recipe, *photos, silent, silent)


def test_countries_and_landmarks_are_found_in_unseen_sources(model: FrozenModel) -> None:
    assert model.data.labels == ("BR", "FR", "JP")
    assert model.metrics["country_top1"] > 0.95  # type: ignore[operator]
    assert model.metrics["landmarks_known"] == 72
    assert model.metrics["landmarks_known_within_1_km"] > 0.95  # type: ignore[operator]
    assert model.metrics["landmarks_shared"] == 72
    assert model.metrics["landmarks_named_right"] > 0.8  # type: ignore[operator]
    assert len(model.index.landmarks) == 3
    assert "6 sources" in model.calibration.fitted_on


def test_landmarks_that_sources_group_apart_are_no_shared_places(recipe: FrozenRecipe, photos: Photos) -> None:
    manifest, features = photos
    table = manifest.table.copy()
    bridges = table["place"] == "Bridge"
    table.loc[bridges, "place"] = "bridge_of_" + table.loc[bridges, "source"]
    metrics = fit_frozen_model(
        recipe, Manifest(table, manifest.root, manifest.sha256), features, silent, silent
    ).metrics
    assert metrics["landmarks_known"] == 72
    assert metrics["landmarks_shared"] == 48
    assert metrics["landmarks_known_within_1_km_by_landmark"] > 0.95  # type: ignore[operator]
    assert metrics["landmarks_shared_within_1_km"] > 0.95  # type: ignore[operator]


def test_what_a_fold_is_told_never_comes_from_its_own_labels(recipe: FrozenRecipe, photos: Photos) -> None:
    """With other countries and landmarks in fold 0 its outputs stay the same."""
    manifest, features = photos
    before = outputs(recipe, manifest, features)
    table = manifest.table.copy()
    own = table["fold"] == "0"
    table.loc[own, "country"] = table.loc[own, "country"].map({"FR": "JP", "JP": "BR", "BR": "FR"})
    table.loc[own, "place_name"] = ""
    changed = Manifest(table, manifest.root, manifest.sha256)
    data = frozen_data(recipe, changed, features)
    after = cross_fit(data, silent)
    held = own.to_numpy()
    assert [match.landmark.name for match, chosen in zip(after.matches, held, strict=True) if chosen] == [
        match.landmark.name for match, chosen in zip(before.matches, held, strict=True) if chosen
    ]
    np.testing.assert_array_equal(after.logits[held], before.logits[held])


def test_photos_outside_the_folds_are_left_out(recipe: FrozenRecipe, photos: Photos) -> None:
    manifest, _ = photos
    table = manifest.table.copy()
    table.loc[table["source"] == "s5", "fold"] = "test"
    rows = fold_rows(Manifest(table, manifest.root, ""), recipe)
    np.testing.assert_array_equal(rows, table["source"] != "s5")
    # Marked in the column of the project, a photo is left out whatever the recipe's column says.
    marked = manifest.table.assign(split_new_sources=np.where(manifest.table["source"] == "s4", "test", "0"))
    rows = fold_rows(Manifest(marked, manifest.root, ""), recipe)
    np.testing.assert_array_equal(rows, marked["source"] != "s4")
    table["fold"] = "test"
    with pytest.raises(ManifestError, match="fewer than three folds"):
        fold_rows(Manifest(table, manifest.root, ""), recipe)


def test_photos_without_a_landmark_are_refused(recipe: FrozenRecipe, photos: Photos) -> None:
    manifest, features = photos
    table = manifest.table.assign(position="city")
    with pytest.raises(ManifestError, match="no photo of a landmark"):
        fit_frozen_model(recipe, Manifest(table, manifest.root, ""), features, silent, silent)


def test_the_exported_model_is_the_fitted_one(model: FrozenModel, tmp_path: Path) -> None:
    network: Any = build_classifier("test_efficientnet", 3)
    n_features = network.get_classifier().in_features
    wide = np.pad(model.head.weight, ((0, 0), (0, n_features - FEATURES)))
    projection = np.pad(model.index.projection, ((0, n_features - FEATURES), (0, 0)))
    # Features of the fixture in the first inputs of a real network.
    from dataclasses import replace  # noqa: PLC0415

    padded = replace(
        model,
        head=replace(model.head, weight=wide.astype(np.float32)),
        index=replace(model.index, projection=projection.astype(np.float32)),
        data=replace(model.data, features=np.zeros((1, n_features), np.float32)),
    )
    texts = Description(summary="s", data="d", limits="l", licence="x")
    folder = export_frozen_model(padded, network, texts, "tiny.noise", tmp_path, "triovision train frozen export")
    engine = LandmarkEngine(folder, __import__("torch").device("cpu"))
    assert engine.card.labels == ("BR", "FR", "JP")
    assert engine.card.landmarks is not None
    assert engine.card.landmarks.coefficients == model.logit.coefficients
    np.testing.assert_allclose(engine.network.get_classifier().weight.numpy(), wide, atol=1e-2, rtol=1e-2)  # type: ignore[attr-defined]
    assert engine.index.landmarks == model.index.landmarks
    assert "new_sources" in next(iter(engine.card.metrics))
    figures = read_figures(folder, "tiny.noise", engine.card.weights_sha256)
    assert figures is not None
    assert figures.photos == model.metrics["photos"]
    assert figures.top1 == model.metrics["country_top1"]
    assert figures.expected_calibration_error == model.metrics["expected_calibration_error"]


def test_the_recipe_of_the_embedded_model_is_valid() -> None:
    recipe = RECIPES.read("efficientnet_lites")
    assert recipe.architecture.count("+") == 2
    assert recipe.preprocessing.crop == "whole"
