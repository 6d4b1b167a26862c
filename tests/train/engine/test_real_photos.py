"""Accuracy of the embedded models on real photos outside their training photos."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sklearn.ensemble import RandomForestRegressor

from triovision.cli import main
from triovision.geo import distance_km
from triovision.inference import load_model
from triovision.inference.batch import read_photo_file
from triovision.inference.resnetgps import ResNetGpsEngine
from triovision.networks.positions import heaviest_positions_deg
from triovision.train.data.manifest import read_manifest
from triovision.train.data.positions import build_position_data
from triovision.train.recipes.position_recipe import RECIPES, PositionDataSection

DATA = os.environ.get("TRIOVISION_DATA")

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(DATA is None, reason="set TRIOVISION_DATA to a folder with manifest.csv and its photos"),
]


def test_what_the_default_model_says_holds_on_sources_that_it_never_saw() -> None:
    manifest = Path(str(DATA)) / "manifest.csv"
    condition = "split_new_sources=test"
    result = CliRunner().invoke(
        main, ["evaluate", "--manifest", str(manifest), "--where", condition, "--format", "json", "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["metrics"]
    assert found["photos"] > 500
    assert found["expected_calibration_error"] < 0.1
    assert found["country_set_coverage_known"] > 0.87
    assert found["answered"] < 0.02  # ordinary photos, and the model is right about few
    assert 0.35 < found["radius_holds"] < 0.6
    assert found["radius_90_holds"] > 0.85


def test_metadata_without_the_photo_come_nowhere_near() -> None:
    manifest = read_manifest(
        Path(str(DATA)) / "manifest.csv", columns=["place", *PositionDataSection().validation_splits]
    )
    task = build_position_data(manifest, RECIPES.read("resnetgps_v1_mixture"))
    rows = task.validation["known_places"][::6]
    forest = RandomForestRegressor(60, random_state=0).fit(task.city[task.training], task.position[task.training])
    engine = load_model("resnetgps_v1.places10k", "cpu")
    assert isinstance(engine, ResNetGpsEngine)
    position, regressor = engine.card.position, engine.network.get_submodule("regressor")
    assert position is not None
    city_nm = torch.from_numpy((task.city[rows] - position.city_mean) / position.city_scale).float()
    photos = [read_photo_file(path) for path in np.array(task.photos.manifest.paths)[rows]]
    with torch.inference_mode():
        guess = heaviest_positions_deg(regressor(engine.preprocess(photos), city_nm)).numpy()
    truth = task.position[rows].T
    with_photo_km = float(np.median(distance_km(*truth, *guess.T)))
    without_km = float(np.median(distance_km(*truth, *forest.predict(task.city[rows]).T)))
    assert with_photo_km < without_km / 5
