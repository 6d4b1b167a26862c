"""Limit of unreadable photos, and losses and weights that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from triovision.errors import RecipeError
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import read_manifest
from triovision.train.data.unreadable import UnreadablePhotos, allowed_photos
from triovision.train.engine.country_module import CountryModule
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import Augmentation, CountryDataSection, Optimisation

pytestmark = pytest.mark.filterwarnings("ignore:Encountered `nan` values")


RECIPE = Recipe.model_validate(
    {
        "name": "tiny",
        "description": "",
        "architecture": "test_efficientnet",
        "starting_weights": "none",
        "preprocessing": {"input_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3},
    }
).model_copy(
    update={
        "data": CountryDataSection(min_photos=5, validation_splits=("split",)),
        "augmentation": Augmentation(train_size=32),
        "optimisation": Optimisation(epochs=2, batch_size=4, precision="32-true"),
    }
)

Start = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Twenty pictures of two countries, and one picture of a third."""
    random = np.random.default_rng(0)
    rows = ["file,country,place,split"]
    for i in range(20):
        Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{('FR', 'JP')[i % 2]},{i},{'val' if i >= 16 else 'train'}")
    Image.new("RGB", (40, 40)).save(tmp_path / "alone.png")
    rows.append("alone.png,DE,alone,train")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def start(study: Path) -> Start:
    def begin(**loading: object) -> Path:
        photos = read_manifest(study / "manifest.csv", columns=["place", "split"])
        train_country(RECIPE, photos, study / "run", None, LoadOptions(**({"workers": 0} | loading)))  # type: ignore[arg-type]
        return study / "run"

    return begin


@pytest.mark.parametrize("cached", [False, True])
def test_a_run_trains_without_unreadable_photos_up_to_the_limit(study: Path, start: Start, cached: bool) -> None:
    # Of the validation photos, which are all read in each epoch.
    (study / "16.png").unlink()
    (study / "17.png").write_text("no picture")
    folder = start(max_unreadable="2", cache=study / "cache" if cached else None)
    lines = (folder / "unreadable.csv").read_text().splitlines()
    assert lines[0] == "file,reason"
    assert sorted(line.split(",")[0] for line in lines[1:]) == ["16.png", "17.png"]
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1


@pytest.mark.parametrize("cached", [False, True])
def test_a_run_above_the_limit_stops_and_resumes_when_the_photos_are_restored(
    study: Path, start: Start, cached: bool
) -> None:
    good = (study / "17.png").read_bytes()
    (study / "17.png").unlink()
    loading = {"max_unreadable": "0", "cache": study / "cache" if cached else None}
    with pytest.raises(RecipeError, match=r"lists 1 unreadable photos, 0 are allowed.*--max-unreadable"):
        start(**loading)
    (study / "17.png").write_bytes(good)
    assert (start(**loading) / "finished.safetensors").exists()
    assert not (study / "run" / "unreadable.csv").exists()


def test_a_run_without_any_photo_file_is_refused(study: Path, start: Start) -> None:
    for file in study.glob("*.png"):
        file.unlink()
    with pytest.raises(RecipeError, match="unreadable photos"):
        start()


def test_limits_by_hand() -> None:
    assert allowed_photos("20", 1000) == 20
    assert allowed_photos("1%", 1050) == 10
    assert allowed_photos("0.5 %", 1000) == 5
    assert allowed_photos("0", 1000) == 0
    for wrong in ("", "-1", "1.5", "101%", "nan%", "many"):
        with pytest.raises(RecipeError, match="--max-unreadable"):
            allowed_photos(wrong, 1000)


def test_a_photo_is_listed_once_by_every_process(tmp_path: Path) -> None:
    here, there = (UnreadablePhotos(tmp_path / "bad.csv", 1) for _ in range(2))
    here.add('a, "b".jpg', "gone, it seems")
    there.add('a, "b".jpg', "gone")
    assert here.listed() == there.listed() == {'a, "b".jpg'}
    assert len((tmp_path / "bad.csv").read_text().splitlines()) == 2
    here.check()
    there.add("c.jpg", "gone")
    with pytest.raises(RecipeError, match="lists 2"):
        here.check()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_checkpoint(
    study: Path, start: Start, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    step = CountryModule.training_step

    def diverge(self: CountryModule, batch: tuple[torch.Tensor, torch.Tensor], number: int) -> torch.Tensor:
        loss = step(self, batch, number)
        return loss * value if (self.current_epoch, number) == (1, 2) else loss

    monkeypatch.setattr(CountryModule, "training_step", diverge)
    with pytest.raises(RecipeError, match=r"Step 6 \(epoch 2, learning rate .*\): the loss is .*learning_rate"):
        start()
    last = torch.load(study / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 0
    assert all(weights.isfinite().all() for weights in last["current_model_state"].values())
    monkeypatch.undo()
    assert (start() / "finished.safetensors").exists()


def test_weights_that_are_not_finite_are_never_saved(
    study: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ruin(self: CountryModule) -> None:
        if self.current_epoch == 1:
            with torch.no_grad():
                next(self.network.parameters()).fill_(float("nan"))

    monkeypatch.setattr(CountryModule, "on_validation_epoch_start", ruin)
    with pytest.raises(RecipeError, match="a weight is not finite"):
        start()
    last = torch.load(study / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 0
    assert all(weights.isfinite().all() for weights in last["current_model_state"].values())


def test_a_country_with_one_photo_has_no_label(start: Start) -> None:
    assert read_country_run(start()).labels == ("FR", "JP")


def test_a_run_without_a_common_country_cannot_be_fine_tuned(study: Path, start: Start) -> None:
    first = read_country_run(start())
    table = (study / "manifest.csv").read_text().replace(",FR,", ",IT,").replace(",JP,", ",ES,")
    (study / "other.csv").write_text(table)
    photos = read_manifest(study / "other.csv", columns=["place", "split"])
    with pytest.raises(RecipeError, match="shares no label"):
        train_country(RECIPE, photos, study / "other", first, LoadOptions(workers=0))
