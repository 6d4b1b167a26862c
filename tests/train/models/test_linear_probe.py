from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from triovision.inference.preprocessing import Preprocessing
from triovision.networks import PooledBackbone, build_classifier
from triovision.train.data.dataset import NO_LABEL, ValidationPhotos
from triovision.train.data.manifest import Manifest
from triovision.train.data.outliers import OutlierImages
from triovision.train.models.forward import readable_outputs
from triovision.train.models.linear_probe import (
    country_weights,
    fit_last_layer,
    pooled_features,
    soft_logistic,
)
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import LastLayer, Optimisation

RECIPE = Recipe(
    name="tiny",
    description="",
    architecture="test_efficientnet",
    preprocessing=Preprocessing(input_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    last_layer=LastLayer(strength=1.0, outlier_share=0.0),
)
COLOURS = {"FR": (40, 60, 220), "JP": (220, 50, 60), "NA": (230, 190, 60)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Ten photos of each of three countries."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    rows = []
    for country, colour in COLOURS.items():
        for i in range(10):
            noise = random.normal(0, 40, size=(32, 32, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(folder / f"{country}{i}.png")
            rows.append({"file": f"{country}{i}.png", "country": country, "place": f"{country}{i % 2}"})
    return Manifest(pd.DataFrame(rows), folder, "")


def even(n: int) -> np.ndarray:
    return np.full(n, 1 / n)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_with_labels_only_it_is_the_logistic_regression_of_scikit_learn(n_labels: int) -> None:
    random = np.random.default_rng(0)
    target = np.arange(60) % n_labels
    features = (random.normal(size=(60, 5)) * [1, 10, 0.1, 3, 1] + 4 + target[:, None]).astype(np.float32)
    weight, bias = soft_logistic(features, target, even(60), n_labels, 0.5, 0.0)
    got = (torch.from_numpy(features) @ weight.T + bias).softmax(1).numpy()
    # scikit-learn has one vector for two labels, their difference, which weighs half of what the two weigh together.
    strength = 0.5 if n_labels > 2 else 1.0
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=strength, tol=1e-8, max_iter=5000))
    np.testing.assert_allclose(got, expected.fit(features, target).predict_proba(features), atol=2e-3)


def test_a_photo_without_a_label_pulls_its_neighbourhood_to_all_alike() -> None:
    features = np.array([[-1, 0]] * 10 + [[1, 0]] * 10 + [[1, 5]] * 10, dtype=np.float32)
    target = np.repeat([0, 1, NO_LABEL], 10)
    weight, bias = soft_logistic(features, target, even(30), 2, 100.0, 0.0)
    left, right, strange = (torch.from_numpy(features[[0, 10, 20]]) @ weight.T + bias).softmax(1).numpy()
    assert left[0] > 0.95
    assert right[1] > 0.95
    np.testing.assert_allclose(strange, 0.5, atol=0.05)


def test_countries_weigh_by_the_power_of_their_photos() -> None:
    target = np.array([0] * 16 + [1] * 4 + [NO_LABEL])
    weights = country_weights(target, 0.5)
    assert weights[target == 0].sum() == pytest.approx(4 / 7)
    assert weights[target == 1].sum() == pytest.approx(2 / 7)
    assert weights[-1] == pytest.approx(1 / 7)
    np.testing.assert_allclose(country_weights(target, 1.0), 1 / 21)


@pytest.mark.parametrize("labels", [("FR", "JP", "NA"), ("FR", "JP")])
def test_the_layer_is_the_regression_on_the_network_s_own_features(photos: Manifest, labels: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    network = build_classifier(RECIPE.architecture, len(labels)).train()
    fit_last_layer(network, photos, labels, RECIPE, workers=0)
    assert network.training
    target = ValidationPhotos(photos, labels, RECIPE.preprocessing).targets
    features = pooled_features(network, photos, RECIPE, workers=0)
    weight, bias = soft_logistic(features, target, country_weights(target, 0.5), len(labels), 1.0, 0.1)
    layer = network.get_submodule("classifier")
    torch.testing.assert_close(layer.weight.detach(), weight, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(layer.bias.detach(), bias, atol=1e-3, rtol=1e-3)


def test_pictures_of_no_place_make_it_unsure_of_them(photos: Manifest) -> None:
    labels = tuple(COLOURS)

    def surest(outlier_share: float) -> tuple[float, float]:
        torch.manual_seed(0)
        network = build_classifier(RECIPE.architecture, 3).eval()
        layer = LastLayer(strength=10.0, outlier_share=outlier_share)
        recipe = RECIPE.model_copy(update={"last_layer": layer, "optimisation": Optimisation(label_smoothing=0)})
        fit_last_layer(network, photos, labels, recipe, workers=0)
        unseen = OutlierImages(ValidationPhotos(photos, labels, recipe.preprocessing), 40, seed=7)
        made, _ = readable_outputs(network, unseen, recipe.preprocessing, workers=0)
        real, _ = readable_outputs(
            network, ValidationPhotos(photos, labels, recipe.preprocessing), recipe.preprocessing, workers=0
        )
        return tuple(float(torch.from_numpy(z).softmax(1).amax(1).mean()) for z in (made, real))  # type: ignore[return-value]

    (made_without, real_without), (made_with, real_with) = surest(0.0), surest(0.5)
    assert made_with < made_without
    assert real_with - made_with > real_without - made_without


def test_a_photo_that_cannot_be_read_is_left_out(photos: Manifest, tmp_path: Path) -> None:
    for file in photos.table["file"]:
        (tmp_path / file).write_bytes((photos.root / file).read_bytes())
    (tmp_path / "FR0.png").write_text("no picture")
    broken = Manifest(photos.table, tmp_path, "")
    recipe = RECIPE.model_copy(update={"last_layer": LastLayer(outlier_share=0.5)})
    network = build_classifier(RECIPE.architecture, 3)
    before = network.get_submodule("classifier").weight.detach().clone()
    fit_last_layer(network, broken, tuple(COLOURS), recipe, workers=0)
    after = network.get_submodule("classifier").weight.detach()
    assert after.isfinite().all()
    assert not torch.equal(before, after)


def test_features_are_what_the_last_layer_is_given() -> None:
    network = build_classifier(RECIPE.architecture, 3).eval()
    batch_nchw = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        features = PooledBackbone(network)(batch_nchw)
        torch.testing.assert_close(network.get_submodule("classifier")(features), network(batch_nchw))
