"""Country runs: training, resume after an exception, finished weights, export and baselines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import load_file, save_file

from triovision.cli import main
from triovision.errors import RecipeError
from triovision.inference import CountryEngine, read_card
from triovision.metrics.model_studies import read_studies
from triovision.networks import build_classifier
from triovision.photo import read_photo
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest, read_manifest
from triovision.train.data.splits import split
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run, read_run
from triovision.train.models.linear_probe import fit_last_layer
from triovision.train.recipes.country_recipe import Recipe, read_recipe
from triovision.train.recipes.position_recipe import PositionRecipe
from triovision.train.recipes.sections import CountryLossSection, LastLayer

COLOURS = {"FR": (40, 60, 220), "JP": (220, 50, 60), "NA": (230, 190, 60)}
RECIPE = f"""
base = "{Path(__file__).parents[1] / "tiny.toml"}"
drop_rate = 0.0

[data]
min_photos = 5

[augmentation]
hue = 0.0
grey_p = 0.0
"""
WORDS = 'summary = "Colours"\ndata = "Plain colours"\nlimits = "Knows three colours"\nlicence = "Apache-2.0"\n'


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, a description and a manifest of 90 pictures of three colours."""
    folder = tmp_path_factory.mktemp("study")
    random = np.random.default_rng(0)
    rows = ["file,country,lat,lon,place,split_new_places,split_known_places"]
    for country, colour in COLOURS.items():
        for i in range(30):
            noise = random.normal(0, 20, size=(40, 50, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(folder / f"{country}{i}.png")
            place = i // 5
            splits = ("val" if place == 5 else "train", "val" if i % 5 == 0 else "train")
            rows.append(f"{country}{i}.png,{country},10,20,{country}_{place},{','.join(splits)}")
    for code in ("AD", "AG", "AI", "AM"):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{code}.png")
        rows.append(f"{code}.png,{code},,,{code},train,train")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "tiny.toml").write_text(RECIPE)
    (folder / "words.toml").write_text(WORDS)
    return folder


@pytest.fixture(scope="module")
def photos(study: Path) -> Manifest:
    return read_manifest(study / "manifest.csv", columns=["place", "split_new_places", "split_known_places"])


@pytest.fixture(scope="module")
def recipe(study: Path) -> Recipe:
    return read_recipe(str(study / "tiny.toml"))


@pytest.fixture(scope="module")
def finished(study: Path, photos: Manifest, recipe: Recipe) -> Path:
    train_country(recipe, photos, study / "run", None, LoadOptions(workers=0))
    return study / "run"


@pytest.fixture
def command() -> Callable[..., Result]:
    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)

    return invoke


def test_a_run_leaves_what_is_needed_to_go_on(finished: Path) -> None:
    run_config = json.loads((finished / "run.json").read_text())
    assert run_config["labels"] == ["FR", "JP", "NA"]
    assert (finished / "checkpoints" / "last.ckpt").exists()
    logged = pd.read_csv(finished / "logs" / "version_0" / "metrics.csv")
    # One line of training and one of validation an epoch: it has fewer steps than there are between two lines.
    for name in ("train/loss", "train/top1", "val/loss", "new_places/top1"):
        assert logged[name].notna().sum() == 2
    assert len(list(finished.glob("logs/version_0/events.*"))) == (find_spec("tensorboard") is not None)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, photos: Manifest, recipe: Recipe) -> None:
    class KilledError(Exception):
        pass

    def kill(*_: object) -> None:
        raise KilledError

    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        # The second epoch never begins, as when the process is gone.
        patch.setattr(
            "triovision.train.data.samplers.WeightedSampler.set_epoch", lambda _, epoch: epoch == 1 and kill()
        )
        with pytest.raises(KilledError):
            train_country(recipe, photos, folder, None, LoadOptions(workers=0))
    first = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    train_country(recipe, photos, folder, None, LoadOptions(workers=0))
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert [path.parent.name for path in sorted(folder.glob("logs/*/metrics.csv"))] == ["version_0", "version_1"]
    assert first["epoch"] == 0
    assert last["epoch"] == 1
    assert last["global_step"] == 2 * first["global_step"]


def test_a_run_from_a_linear_probe_keeps_the_statistics_that_it_is_told_to(
    tmp_path: Path, photos: Manifest, recipe: Recipe
) -> None:
    optimisation = recipe.optimisation.model_copy(
        update={"freeze_norm": True, "layer_decay": 0.5, "epochs": 1, "learning_rate": 1e-3}
    )
    probing = recipe.model_copy(update={"last_layer": LastLayer(at_start=True), "optimisation": optimisation})
    torch.manual_seed(0)
    start = build_classifier("test_efficientnet", 3).state_dict()
    save_file(start, tmp_path / "init.safetensors")
    train_country(probing, photos, tmp_path / "run", tmp_path / "init.safetensors", LoadOptions(workers=0))
    state = read_country_run(tmp_path / "run").network.state_dict()
    torch.testing.assert_close(state["bn1.running_mean"], start["bn1.running_mean"])
    assert not torch.equal(state["conv_stem.weight"], start["conv_stem.weight"])
    assert not torch.equal(state["classifier.weight"], start["classifier.weight"])


def test_the_finished_weights_hold_their_share_of_the_starting_ones(
    finished: Path, photos: Manifest, recipe: Recipe, tmp_path: Path
) -> None:
    mixed = recipe.optimisation.model_copy(update={"start_share": 0.25})
    folder = tmp_path / "run"
    train_country(recipe.model_copy(update={"optimisation": mixed}), photos, folder, None, LoadOptions(workers=0))
    start, trained = load_file(finished / "init.safetensors"), read_country_run(finished).network.state_dict()
    for name, value in read_country_run(folder).network.state_dict().items():
        expected = 0.25 * start[name] + 0.75 * trained[name] if value.is_floating_point() else trained[name]
        torch.testing.assert_close(value, expected)


def test_the_last_layer_is_fitted_to_the_finished_others(
    finished: Path, photos: Manifest, recipe: Recipe, tmp_path: Path
) -> None:
    layer = LastLayer(at_end=True, strength=0.5)
    refitted = recipe.model_copy(update={"last_layer": layer})
    train_country(refitted, photos, tmp_path / "run", None, LoadOptions(workers=0))
    network, expected = read_country_run(tmp_path / "run").network, read_country_run(finished).network
    assert not torch.equal(network.get_submodule("classifier").weight, expected.get_submodule("classifier").weight)
    # The others are those of the run without it.
    fit_last_layer(expected, split(photos, recipe.data).training, ("FR", "JP", "NA"), refitted, workers=0)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[name], atol=1e-4, rtol=1e-3)


def test_a_run_that_was_stopped_is_no_finished_run(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "finished.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"holds no finished run .* finished by its own command"):
        read_country_run(folder)


def test_the_run_of_another_study_is_said_in_one_line(finished: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read_run(finished, PositionRecipe, (), "run of ResNetGPS")
    assert "holds no finished run of ResNetGPS (`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_split_that_the_manifest_lacks_is_refused(photos: Manifest, recipe: Recipe) -> None:
    other = recipe.data.model_copy(update={"validation_splits": ("split_nowhere",)})
    with pytest.raises(RecipeError, match="names split_nowhere, which the manifest was not read with"):
        split(photos, other)


def test_a_folder_of_another_run_is_left_alone(finished: Path, photos: Manifest, recipe: Recipe) -> None:
    other = recipe.model_copy(update={"seed": 1})
    with pytest.raises(RecipeError, match="another recipe"):
        train_country(other, photos, finished, None, LoadOptions(workers=0))


def test_an_unknown_loss_is_an_error_before_anything_is_written(
    tmp_path: Path, photos: Manifest, recipe: Recipe
) -> None:
    other = recipe.model_copy(update={"loss": CountryLossSection(name="hinge")})
    with pytest.raises(RecipeError, match=r"'hinge' is no registered country loss\. Give one of cross_entropy, focal"):
        train_country(other, photos, tmp_path / "run", None, LoadOptions(workers=0))
    assert not (tmp_path / "run").exists()


def test_too_few_photos_are_an_error_in_words(tmp_path: Path, photos: Manifest, recipe: Recipe) -> None:
    strict = recipe.model_copy(update={"data": recipe.data.model_copy(update={"min_photos": 1000})})
    with pytest.raises(RecipeError, match="0 countries"):
        train_country(strict, photos, tmp_path / "run", None, LoadOptions(workers=0))


def test_photos_that_no_split_holds_out_are_an_error_in_words(tmp_path: Path, study: Path, recipe: Recipe) -> None:
    (study / "unsplit.csv").write_text((study / "manifest.csv").read_text().replace("val", "train"))
    unsplit = read_manifest(study / "unsplit.csv", columns=["place", "split_new_places", "split_known_places"])
    with pytest.raises(RecipeError, match=r"no photo is `val` in split_new_places, split_known_places.*train split"):
        train_country(recipe, unsplit, tmp_path / "run", None, LoadOptions(workers=0))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no finished run"):
        read_country_run(tmp_path)


def test_what_was_exported_answers_like_the_run(
    finished: Path, study: Path, tmp_path: Path, command: Callable[..., Result]
) -> None:
    exported = command(
        "train", "export", finished, "--manifest", study / "manifest.csv", "--id", "test_efficientnet.colours",
        "--describe", study / "words.toml", "--models", tmp_path, "--workers", 0,
    )  # fmt: skip
    assert exported.exit_code == 0, exported.output
    engine = CountryEngine(tmp_path / "test_efficientnet.colours", torch.device("cpu"))
    assert {"new_places", "known_places", "held_out_countries"} >= set(engine.card.metrics)
    assert engine.card.metrics["new_places"]["photos"]
    assert engine.card.provenance.photos < 94
    assert "Japan" in engine.card.knows
    studies = read_studies(tmp_path / engine.card.id, engine.card.id, engine.card.weights_sha256)
    assert studies is not None
    (curves,) = studies.curves
    logged = pd.read_csv(finished / "logs" / "version_0" / "metrics.csv").groupby("epoch").mean()
    for name in ("train/loss", "new_places/loss", "new_places/top1"):
        assert [epoch.values[name] for epoch in curves.epochs] == pytest.approx(logged[name].tolist())
    assert curves.best_epoch == logged["val/loss"].argmin() + 1
    assert {part.name: part.photos for part in curves.splits} == {"new_places": 15, "known_places": 15}
    assert curves.training_photos == engine.card.provenance.photos
    photo = read_photo((study / "JP0.png").read_bytes(), "JP0.png")
    with torch.inference_mode():
        expected = read_country_run(finished).network(engine.preprocess([photo])).numpy()
    np.testing.assert_allclose(engine.logits([photo]), expected, atol=0.05, rtol=0.05)


def test_a_run_can_borrow_the_calibration_of_another(
    finished: Path, study: Path, tmp_path: Path, command: Callable[..., Result]
) -> None:
    other = shutil.copytree(finished, tmp_path / "other")
    exported = command(
        "train", "export", other, "--calibrate-on", finished, "--manifest", study / "manifest.csv",
        "--id", "test_efficientnet.colours", "--describe", study / "words.toml", "--models", tmp_path / "models",
        "--workers", 0,
    )  # fmt: skip
    assert exported.exit_code == 0, exported.output
    card = read_card(tmp_path / "models" / "test_efficientnet.colours")
    for name in ("new_places", "known_places"):
        assert card.metrics[f"{name} (this model)"] == card.metrics[f"{name} (calibrating run)"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["test_efficientnet.colours"]


def test_baselines_and_run_stand_in_one_table(finished: Path, study: Path, command: Callable[..., Result]) -> None:
    torch.manual_seed(0)
    save_file(build_classifier("test_efficientnet", 3).state_dict(), study / "init.safetensors")
    result = command(
        "train", "baselines", study / "tiny.toml", "--manifest", study / "manifest.csv", "--run", finished,
        "--weights", study / "init.safetensors", "--workers", 0,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table, strength = result.output.split("logistic regression: C = ")
    assert float(strength.split(",")[0]) > 0
    lines = table.splitlines()
    for name in ("most frequent country", "photo metadata", "logistic regression", "run run"):
        assert sum(line.startswith(name) for line in lines) == 2
    assert "country of the source" not in table  # the manifest has no sources
    for part in ("new_places", "known_places"):
        assert sum(line.startswith(f"{part}: run run ") for line in lines) == 3
