"""Position runs: training, resume after an exception, metrics, and reading a finished run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from triovision.cli import main
from triovision.errors import ModelError, RecipeError
from triovision.inference.card import Provenance
from triovision.metrics.position import METHODS, read_position_metrics
from triovision.train.data.feature_cache import weights_sha256
from triovision.train.data.loaders import ReadOptions
from triovision.train.data.manifest import Manifest, read_manifest
from triovision.train.engine.position_module import PositionModule
from triovision.train.engine.run import train_position
from triovision.train.engine.run_folder import read_position_run
from triovision.train.evaluation.country_probabilities import read_classifier
from triovision.train.evaluation.position import measure
from triovision.train.recipes.position_recipe import RECIPES, PositionRecipe


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def photos(towns: Path) -> Manifest:
    return read_manifest(towns / "manifest.csv", columns=["place", "split_new_places"])


@pytest.fixture(scope="module")
def recipe(towns: Path) -> PositionRecipe:
    return RECIPES.read(str(towns / "tiny.toml"))


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> ReadOptions:
    return ReadOptions(workers=0, cache=tmp_path_factory.mktemp("cache"), save_every=2)


@pytest.fixture(scope="module")
def finished(towns: Path, tmp_path_factory: pytest.TempPathFactory, reading: ReadOptions) -> Path:
    """A run trained by its command: 32 training photos, 4 batches an epoch."""
    out = tmp_path_factory.mktemp("finished") / "run"
    command = ["train", "gps", "run", str(towns / "tiny.toml"), "--manifest", str(towns / "manifest.csv")]
    options = ["--out", str(out), "--workers", "0", "--cache", str(reading.cache), "--save-every", "2"]
    done = CliRunner().invoke(main, [*command, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "new_places: 16 photos" in done.output
    assert all(words in done.output for words in METHODS.values())
    return out


def test_what_a_run_leaves(finished: Path, photos: Manifest) -> None:
    run_config = json.loads((finished / "run.json").read_text())
    assert run_config["manifest_sha256"] == photos.sha256
    training = photos.table[photos.table["split_new_places"] == "train"].dropna()
    np.testing.assert_allclose(run_config["position"]["mean"], training[["lat", "lon"]].mean())
    np.testing.assert_allclose(run_config["position"]["scale"], training[["lat", "lon"]].std(ddof=0))
    metrics = read_position_metrics(finished)
    assert metrics.photos.model_dump() == {
        "training": 32, "validation": {"new_places": 16}, "without_position": 1, "impossible": (), "unreadable": 0,
    }  # fmt: skip
    assert set(metrics.splits) == {"new_places"}
    assert metrics.splits["new_places"].keys() == METHODS.keys()
    assert metrics.classifier_training_photos == 0
    assert len(metrics.epochs) == 2
    best = min(epoch.values["new_places/median_km"] for epoch in metrics.epochs)  # type: ignore[type-var]
    assert metrics.splits["new_places"]["true_city"].median_km == pytest.approx(best, rel=1e-4)
    assert not (finished / "checkpoints").exists()


def test_the_frozen_backbone_is_the_one_that_it_started_from(finished: Path) -> None:
    found = read_position_run(finished)
    assert not found.network.training
    assert weights_sha256(found.network.resnet) == json.loads((finished / "run.json").read_text())["backbone_sha256"]


def test_a_killed_run_ends_bit_for_bit_the_same(
    finished: Path, photos: Manifest, recipe: PositionRecipe, reading: ReadOptions, tmp_path: Path
) -> None:
    step = PositionModule.training_step
    for kill in ((0, 3), (1, 1)):

        def step_or_die(
            self: PositionModule, batch: tuple[torch.Tensor, torch.Tensor], number: int, at: tuple[int, int] = kill
        ) -> torch.Tensor:
            if (self.current_epoch, number) == at:
                raise KilledError
            return step(self, batch, number)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PositionModule, "training_step", step_or_die)
            with pytest.raises(KilledError):
                train_position(recipe, photos, tmp_path / "run", None, reading)
    assert (tmp_path / "run" / "checkpoints" / "resume.ckpt").exists()
    train_position(recipe, photos, tmp_path / "run", None, reading)
    expected, found = (load_file(path / "finished.safetensors") for path in (finished, tmp_path / "run"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_finished_run_is_not_trained_on(
    finished: Path, photos: Manifest, recipe: PositionRecipe, reading: ReadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PositionModule, "training_step", None)
    assert train_position(recipe, photos, finished, None, reading) == finished / "finished.safetensors"


@pytest.mark.parametrize(("field", "differs"), [("optimisation.epochs=3", "recipe"), ("seed=1", "backbone_sha256")])
def test_a_folder_of_another_run_is_refused(
    towns: Path, finished: Path, photos: Manifest, reading: ReadOptions, field: str, differs: str
) -> None:
    with pytest.raises(RecipeError, match=rf"{differs}.* differ.*another --out"):
        train_position(RECIPES.read(str(towns / "tiny.toml"), [field]), photos, finished, None, reading)


def test_the_last_stage_trains_if_the_recipe_states_so(
    towns: Path, photos: Manifest, reading: ReadOptions, tmp_path: Path
) -> None:
    recipe = RECIPES.read(
        str(towns / "tiny.toml"), ["trains=layer4", "optimisation.epochs=1", "optimisation.ema_decay=0.9", "version=v3"]
    )
    train_position(recipe, photos, tmp_path / "run", None, reading)
    found = read_position_run(tmp_path / "run")
    began = json.loads((tmp_path / "run" / "run.json").read_text())["backbone_sha256"]
    assert weights_sha256(found.network.resnet) != began
    metrics = measure(found, photos, None, reading)
    assert metrics.splits["new_places"]["true_city"].photos == 16
    logged = [epoch.values["new_places/median_km"] for epoch in metrics.epochs]
    assert metrics.splits["new_places"]["true_city"].median_km == pytest.approx(logged[0], rel=1e-3)


def test_weights_for_other_metadata_are_refused_by_name(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    run_config = json.loads((finished / "run.json").read_text())
    names = run_config["city_features"]
    for changed, words in (
        ([*names[1:], "elevation"], rf"other city metadata: without {names[0]} and with elevation"),
        (names[::-1], "other city metadata: in another order"),
    ):
        (tmp_path / "run" / "run.json").write_text(json.dumps(run_config | {"city_features": changed}))
        with pytest.raises(RecipeError, match=words):
            read_position_run(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text(json.dumps(run_config))
    state = load_file(finished / "finished.safetensors")
    name = "city_features_processor.0.weight"
    save_file(state | {name: state[name][:, 1:].contiguous()}, tmp_path / "run" / "finished.safetensors")
    with pytest.raises(RecipeError, match=rf"does not fit the run's recipe .*{name}"):
        read_position_run(tmp_path / "run")


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"recipe": {}, "labels": []}')
    with pytest.raises(RecipeError, match="holds no finished run of ResNetGPS"):
        read_position_run(tmp_path)


def test_photos_that_cannot_be_read_are_counted_and_left_out(
    towns: Path, recipe: PositionRecipe, tmp_path: Path
) -> None:
    folder = tmp_path / "towns"
    shutil.copytree(towns, folder)
    (folder / "FR00.png").write_text("no picture")
    (folder / "JP27.png").unlink()
    photos = read_manifest(folder / "manifest.csv", columns=["place", "split_new_places"])
    short = recipe.model_copy(update={"optimisation": recipe.optimisation.model_copy(update={"epochs": 1})})
    with pytest.raises(RecipeError, match=r"lists 2 unreadable photos, 0 are allowed"):
        train_position(short, photos, tmp_path / "run", None, ReadOptions(workers=0))
    allowed = ReadOptions(workers=0, max_unreadable="2")
    train_position(short, photos, tmp_path / "run", None, allowed)
    metrics = measure(read_position_run(tmp_path / "run"), photos, None, allowed)
    assert (metrics.photos.training, metrics.photos.validation) == (31, {"new_places": 15})
    assert metrics.photos.unreadable == 2


def test_a_model_of_the_app_can_say_the_countries(
    finished: Path, photos: Manifest, reading: ReadOptions, tmp_path: Path, write_tiny_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    data = {"min_photos": 2, "validation_splits": ["split_new_places"]}
    made = Provenance(recipe={"data": data}, manifest_sha256=photos.sha256, photos=0, command="", data="noise")
    write_tiny_model(tmp_path, "test_efficientnet.other")
    write_tiny_model(tmp_path, "test_efficientnet.same", provenance=made)
    write_tiny_model(tmp_path, "test_efficientnet.silent", provenance=made.model_copy(update={"recipe": {}}))
    leaking = made.model_copy(update={"recipe": {"data": data | {"validation_splits": []}}})
    write_tiny_model(tmp_path, "test_efficientnet.leaking", provenance=leaking)
    run_found, metrics = read_position_run(finished), {}
    for name, learnt in (("other", None), ("silent", None), ("same", 0), ("leaking", 16)):
        found = measure(run_found, photos, read_classifier(f"test_efficientnet.{name}"), reading)
        assert found.classifier_training_photos == learnt
        assert found.countries == f"test_efficientnet.{name}"
        metrics[name] = found.splits["new_places"]
    assert metrics["other"] == metrics["same"]  # the same weights
    probed = read_position_metrics(finished).splits["new_places"]
    assert metrics["same"]["true_city"] == probed["true_city"]
    assert metrics["same"]["countries_alone"] != probed["countries_alone"]
    with pytest.raises(ModelError, match="is not installed"):
        read_classifier("nothing.here")


def test_an_impossible_position_is_refused_with_its_line(towns: Path, tmp_path: Path) -> None:
    table = (towns / "manifest.csv").read_text().replace("FR00.png,FR,48.85", "FR00.png,FR,148.85")
    (tmp_path / "manifest.csv").write_text(table)
    command = ["train", "gps", "run", str(towns / "tiny.toml"), "--manifest", str(tmp_path / "manifest.csv")]
    done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "line 2: `lat` is '148.850'" in done.stderr
