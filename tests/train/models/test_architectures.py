"""Every architecture of the recipes learns from random weights for two steps, and what it starts from fits it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from triovision.errors import ExplanationError, RecipeError
from triovision.explain import explain_country
from triovision.inference import CountryEngine
from triovision.inference.card import Calibration, ModelCard, Provenance
from triovision.networks import build_classifier, head_of
from triovision.photo import read_photo
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.export.card import write_model
from triovision.train.models.build import build_country_network
from triovision.train.models.init_weights import init_backbone
from triovision.train.recipes.country_recipe import Recipe, read_recipe

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
]

#: What makes an architecture small where timm allows it, and two steps of the recipe.
SMALL = {
    "resnet50": ["architecture_args.layers=[1, 1, 1, 1]"],
    "resnet50_v1": ["architecture_args.layers=[1, 1, 1, 1]"],
    "convnext_tiny": ["architecture_args.depths=[1, 1, 1, 1]", "architecture_args.dims=[8, 8, 16, 16]"],
    "swin_tiny_patch4_window7_224": [
        "architecture_args.img_size=64", "architecture_args.window_size=2", "architecture_args.embed_dim=16",
        "architecture_args.depths=[1, 1, 1, 1]", "architecture_args.num_heads=[1, 1, 1, 1]",
    ],
    "vit_base_patch16_224": [
        "architecture_args.img_size=64", "architecture_args.embed_dim=32", "architecture_args.depth=2",
        "architecture_args.num_heads=2",
    ],
}  # fmt: skip
TWO_STEPS = [
    "preprocessing.input_size=64", "augmentation.train_size=64", "optimisation.epochs=1", "optimisation.min_epochs=1",
    "optimisation.batch_size=4", "optimisation.precision=32-true", "starting_weights=none", "data.min_photos=4",
    "data.sampler=natural",
]  # fmt: skip


def small(name: str, more: Sequence[str] = ()) -> Recipe:
    return read_recipe(name, [*TWO_STEPS, *SMALL.get(read_recipe(name).architecture, []), *more])


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
def test_every_architecture_takes_two_steps(name: str, photos: Manifest, tmp_path: Path) -> None:
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


def test_the_choices_go_together(photos: Manifest, tmp_path: Path) -> None:
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
def test_an_exported_model_carries_its_arguments(name: str, photos: Manifest, tmp_path: Path) -> None:
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
    if engine.target_layer is None:
        with pytest.raises(ExplanationError, match="transformer"):
            explain_country(engine, photo, "FR")
    else:
        assert explain_country(engine, photo, "FR").layer == "layer4"


@pytest.mark.parametrize("name", ["resnet50", "densenet201", "convnext_tiny", "swin_tiny", "vit"])
def test_starting_weights_fit_whatever_the_head_is_called(name: str, tmp_path: Path) -> None:
    recipe = small(f"comparison_{name}")
    torch.manual_seed(1)
    source = build_classifier(recipe.architecture, 7, **recipe.architecture_args)
    save_file(source.state_dict(), tmp_path / "init.safetensors")
    network = build_country_network(recipe, 2)
    init_backbone(network, recipe, tmp_path / "init.safetensors")
    assert head_of(network).weight.shape[0] == 2
    theirs = source.state_dict()
    alike = [
        key for key, tensor in network.state_dict().items() if torch.equal(tensor, theirs.get(key, torch.empty(0)))
    ]
    assert len(network.state_dict()) - len(alike) == 2  # the weights and the biases of the head


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    recipe = small("comparison_vit")
    other = {**recipe.architecture_args, "embed_dim": 16}
    save_file(build_classifier(recipe.architecture, 7, **other).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(RecipeError, match="size mismatch"):
        init_backbone(build_country_network(recipe, 2), recipe, tmp_path / "other.safetensors")


def test_a_recipe_may_insist_on_a_file_of_weights() -> None:
    recipe = read_recipe("imbalance_resnet50_v1")
    with pytest.raises(RecipeError, match="--weights"):
        init_backbone(build_classifier("test_resnet", 2), recipe, None)


@pytest.mark.parametrize("reason", [OSError("no route"), RuntimeError("No pretrained weights exist")])
def test_weights_that_cannot_be_fetched_are_an_error_in_words(
    reason: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise reason

    monkeypatch.setattr("timm.create_model", refuse)
    with pytest.raises(RecipeError, match=r"cannot be loaded \((no route|No pretrained)"):
        init_backbone(torch.nn.Identity(), read_recipe("comparison_resnet50"), None)


def test_weights_come_from_the_hub_with_the_arguments_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small("comparison_vit", ["starting_weights=hub"])
    hub = build_classifier(recipe.architecture, 0, **recipe.architecture_args)
    asked: dict[str, object] = {}

    def fetch(architecture: str, **args: object) -> torch.nn.Module:
        asked.update(args, architecture=architecture)
        return hub

    network = build_country_network(recipe, 2)
    monkeypatch.setattr("timm.create_model", fetch)
    init_backbone(network, recipe, None)
    assert asked == {
        "architecture": "vit_base_patch16_224", "pretrained": True, "num_classes": 0, **recipe.architecture_args
    }  # fmt: skip
    torch.testing.assert_close(network.get_parameter("pos_embed"), hub.get_parameter("pos_embed"))
