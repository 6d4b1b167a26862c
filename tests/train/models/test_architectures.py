"""Two training steps of every architecture of the recipes, and export of its arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from triovision.explain import explain_country
from triovision.inference import CountryEngine
from triovision.inference.card import Calibration, ModelCard, Provenance
from triovision.photo import read_photo
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.export.card import write_model
from triovision.train.recipes.country_recipe import Recipe

Small = Callable[..., Recipe]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Eight training pictures and two held-out ones of two countries."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    rows = []
    for i in range(10):
        Image.fromarray(random.integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append(
            (f"{i}.png", ("FR", "JP")[i % 2], f"place {i}", *(("val" if i == held else "train") for held in (8, 9)))
        )
    columns = ["file", "country", "place", "split_new_places", "split_known_places"]
    return Manifest(pd.DataFrame(rows, columns=columns), folder, "0" * 64)


@pytest.mark.parametrize(
    "name",
    [
        "comparison_resnet50",
        "comparison_resnet50_v1",
        "comparison_efficientnet_b3",
        "comparison_convnext_tiny",
        "comparison_swin_tiny",
        "comparison_densenet201",
        "comparison_vit",
        "comparison_mobilenetv2_100",
        "comparison_tf_efficientnet_lite0",
        "efficientnet_b2_rare",
        "imbalance",
        "augmented",
    ],
)
def test_every_architecture_takes_two_steps(small: Small, name: str, photos: Manifest, tmp_path: Path) -> None:
    train_country(small(name), photos, tmp_path, None, LoadOptions(workers=0))
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 2
    assert all(tensor.isfinite().all() for tensor in state["state_dict"].values())
    network = read_country_run(tmp_path).network
    torch.manual_seed(0)
    with torch.inference_mode():
        assert network(torch.randn(2, 3, 64, 64)).shape == (2, 2)


CHOICES = [
    "loss.name=focal", "loss.class_weights=balanced", "optimisation.optimiser=sgd", "schedule.name=plateau",
    "optimisation.accumulation=2", "optimisation.clip_norm=0", "optimisation.ema_decay=0", "normalisation=z_score",
    "augmentation.policy=autoaugment", "augmentation.rare_below=100", "augmentation.mixup_alpha=0.4",
]  # fmt: skip


def test_the_choices_go_together(small: Small, photos: Manifest, tmp_path: Path) -> None:
    train_country(
        small("efficientnet_b0", ["architecture=test_efficientnet", *CHOICES]),
        photos,
        tmp_path,
        None,
        LoadOptions(workers=0),
    )
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 1  # two batches
    seen = json.loads((tmp_path / "run.json").read_text())["recipe"]["preprocessing"]
    assert seen["mean"] == pytest.approx([0.5] * 3, abs=0.01)  # of evenly distributed noise
    assert read_country_run(tmp_path).recipe.preprocessing.mean == tuple(seen["mean"])
    # The same command goes on: what was measured is taken from the run.
    train_country(
        small("efficientnet_b0", ["architecture=test_efficientnet", *CHOICES]),
        photos,
        tmp_path,
        None,
        LoadOptions(workers=0),
    )


@pytest.mark.parametrize("name", ["comparison_vit", "comparison_swin_tiny", "comparison_resnet50_v1"])
def test_an_exported_model_carries_its_arguments(small: Small, name: str, photos: Manifest, tmp_path: Path) -> None:
    train_country(small(name), photos, tmp_path / "run", None, LoadOptions(workers=0))
    finished = read_country_run(tmp_path / "run")
    card = ModelCard(
        id="small.noise",
        summary="",
        architecture=finished.recipe.architecture,
        architecture_args=finished.recipe.architecture_args,
        preprocessing=finished.recipe.preprocessing,
        labels=finished.labels,
        calibration=Calibration(
            temperature=1, conformal_threshold=0.1, conformal_coverage=0.9, abstention_threshold=0, fitted_on=""
        ),
        weights_sha256="0" * 64,
        provenance=Provenance(recipe={}, manifest_sha256="", photos=8, command="", data=""),
        metrics={},
        knows="",
        limits="",
        licence="",
    )
    engine = CountryEngine(write_model(finished.network, tmp_path / "models", card), torch.device("cpu"))
    photo = read_photo(photos.paths[0].read_bytes(), "0.png")
    with torch.inference_mode():
        expected = finished.network(engine.preprocess([photo])).numpy()
    np.testing.assert_allclose(engine.logits([photo]), expected, atol=0.05, rtol=0.05)
    # A transformer without attention maps is explained by changed photos.
    method, layer = ("Occlusion", "input") if engine.target_layer is None else ("Grad-CAM", "layer4")
    explanation = explain_country(engine, photo, "FR")
    assert (explanation.method, explanation.layer) == (method, layer)
