"""Frozen layers split off a network, and the cache of their features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import nn

from triovision.errors import RecipeError
from triovision.inference.preprocessing import Preprocessing
from triovision.networks import build_classifier
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.dataset import TrainingPhotos, ValidationPhotos
from triovision.train.data.feature_cache import (
    cache_features,
    collate_features,
    leading_modules,
    split_frozen_layers,
    store_features,
)
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.engine.country_module import CountryModule
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import Augmentation, CountryDataSection, Optimisation

SQUARE = Preprocessing(input_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
RECIPE = Recipe(
    name="tiny", description="", architecture="test_efficientnet", starting_weights="none", preprocessing=SQUARE,
    data=CountryDataSection(min_photos=2, validation_splits=("split",)), augmentation=Augmentation(train_size=32),
    optimisation=Optimisation(epochs=2, batch_size=2, precision="32-true"), freeze_blocks=2,
)  # fmt: skip
FILES = [f"{i}.jpg" for i in range(6)]


@pytest.fixture
def manifest(photo_folder: Path) -> Manifest:
    countries = ["FR", "JP"] * 3
    splits = ["train"] * 4 + ["val"] * 2
    table = pd.DataFrame({"file": FILES, "country": countries, "place": FILES, "split": splits})
    return Manifest(table, photo_folder, "0" * 64)


def network(architecture: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(architecture, num_classes=3).eval()


@pytest.mark.parametrize(
    ("architecture", "stages", "size"),
    [
        ("test_efficientnet", 5, 64),
        ("mobilenetv2_035", 7, 64),
        ("mobilenetv3_small_050", 6, 64),
        ("test_resnet", 4, 64),
        ("test_convnext", 4, 64),
    ],
)
def test_a_cut_network_is_the_same_network(architecture: str, stages: int, size: int) -> None:
    batch_nchw = torch.rand(2, 3, size, size)
    whole = network(architecture)
    for n_blocks in (1, stages - 1, stages):
        rest = network(architecture)
        frozen = split_frozen_layers(rest, n_blocks)
        with torch.inference_mode():
            features = frozen(batch_nchw)
            assert features.shape != batch_nchw.shape
            torch.testing.assert_close(rest(features), whole(batch_nchw), rtol=0, atol=0)
        assert rest.state_dict().keys() == whole.state_dict().keys()
        assert not any(weights.requires_grad for weights in frozen.parameters())
    with pytest.raises(RecipeError, match=rf"{stages} stages"):
        leading_modules(whole, stages + 1)


def test_a_family_without_stages_is_refused() -> None:
    with pytest.raises(RecipeError, match="a family whose"):
        split_frozen_layers(network("test_vit"), 1)


def test_kept_features_are_those_of_each_view(manifest: Manifest, tmp_path: Path) -> None:
    frozen = split_frozen_layers(network("test_efficientnet"), 2)
    photos = TrainingPhotos(manifest, ("FR", "JP"), RECIPE)
    kept = cache_features(tmp_path, frozen, photos, {"of": "training"}, 0, copies=3)
    seen = set()
    for row in range(len(FILES)):
        for seed in (0, 1, 2, 5):
            found, picture = kept[row, seed], photos[row, seed % 3]
            assert found is not None
            assert picture is not None
            with torch.inference_mode():
                expected = frozen(SQUARE.normalise(picture[0].unsqueeze(0)))[0]
            torch.testing.assert_close(found[0].float(), expected, rtol=2**-10, atol=1e-4)
            assert found[1] == picture[1] == row % 2
            seen.add(found[0].numpy().tobytes())
    assert len(seen) == 3 * len(FILES)
    assert collate_features([kept[0, 0], None, kept[1, 0]])[0].shape[0] == 2


def test_other_weights_are_never_given_the_old_features(manifest: Manifest, tmp_path: Path) -> None:
    photos = ValidationPhotos(manifest, ("FR", "JP"), SQUARE)
    first = cache_features(tmp_path, split_frozen_layers(network("test_efficientnet"), 2), photos, {}, 0)
    changed = network("test_efficientnet")
    with torch.no_grad():
        changed.get_submodule("conv_stem").weight.mul_(2)
    second = cache_features(tmp_path, split_frozen_layers(changed, 2), photos, {}, 0)
    assert first.store.folder != second.store.folder


def test_features_are_computed_once(manifest: Manifest, tmp_path: Path, photo_folder: Path) -> None:
    frozen, photos = (
        split_frozen_layers(network("test_efficientnet"), 1),
        ValidationPhotos(manifest, ("FR", "JP"), SQUARE),
    )
    first = cache_features(tmp_path, frozen, photos, {}, 0)[4]
    for file in FILES:
        (photo_folder / file).unlink()
    again = cache_features(tmp_path, frozen, photos, {}, 0)[4]
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first[0], again[0])


def test_a_run_on_kept_features_trains_the_rest_and_keeps_the_whole(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def freeze(module: LightningModule) -> None:
        for part in leading_modules(module.network, RECIPE.freeze_blocks):  # type: ignore[arg-type] # a network
            part.eval().requires_grad_(False)

    monkeypatch.setattr(CountryModule, "on_train_epoch_start", freeze)
    torch.manual_seed(RECIPE.seed)
    loading = LoadOptions(workers=0, cache=tmp_path / "cache", augmented_copies=2)
    train_country(RECIPE, manifest, tmp_path / "run", None, loading)
    trained = read_country_run(tmp_path / "run").network
    torch.manual_seed(RECIPE.seed)
    begun = build_classifier("test_efficientnet", 2)
    frozen = {id(weights) for part in leading_modules(trained, 2) for weights in part.parameters()}
    for (name, weights), before in zip(trained.named_parameters(), begun.parameters(), strict=True):
        # What is read is the moving average, which rounds.
        same = torch.allclose(weights, before, rtol=1e-6, atol=1e-8)
        assert same == (id(weights) in frozen), name
    # Features of 4 training photos in two copies, of 2 validation photos; pictures of both.
    sizes = sorted(len(np.fromfile(path / "index.bin", "u1")) // 28 for path in (tmp_path / "cache").iterdir())
    assert sizes == [2, 2, 4, 8]


def test_feature_caches_require_frozen_blocks(manifest: Manifest, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"freeze_blocks": 0})
    with pytest.raises(RecipeError, match="frozen layers"):
        train_country(
            recipe,
            manifest,
            tmp_path / "run",
            None,
            LoadOptions(workers=0, cache=tmp_path / "cache", augmented_copies=2),
        )


def test_any_images_can_be_stored_and_a_key_may_be_left_out(tmp_path: Path) -> None:
    store, frozen = ArrayStore(tmp_path, np.float16), nn.Conv2d(3, 2, 1)
    asked = []

    def batches(missing: NDArray[np.int64]) -> list[tuple[list[int], torch.Tensor]]:
        asked.append(missing.tolist())
        keys = [key for key in missing.tolist() if key != 1]
        return [(keys, torch.stack([torch.full((3, 4, 5), float(key)) for key in keys]))] if keys else []

    store_features(store, frozen, 3, batches)
    store_features(store, frozen, 5, batches)
    assert asked == [[0, 1, 2], [1, 3, 4]]
    assert store.get(1) is None
    for key in (0, 2, 3, 4):
        found = store.get(key)
        assert found is not None
        with torch.inference_mode():
            expected = frozen(torch.full((3, 4, 5), float(key)))
        np.testing.assert_allclose(found, expected.numpy(), atol=2e-3)


def test_features_beyond_the_range_of_float16_are_refused(tmp_path: Path) -> None:
    frozen = nn.Conv2d(3, 1, 1, bias=False)
    nn.init.constant_(frozen.weight, 30_000)
    with pytest.raises(RecipeError, match="65504"):
        store_features(ArrayStore(tmp_path, np.float16), frozen, 1, lambda _: [([0], torch.ones(1, 3, 1, 1))])
