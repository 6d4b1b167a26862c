from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from triovision.inference.preprocessing import Preprocessing
from triovision.networks import build_classifier
from triovision.train.data import NO_LABEL, targets
from triovision.train.manifest import Manifest
from triovision.train.outputs import network_outputs
from triovision.train.probe import choose_strength, fifth_of_places, fit_logistic, frozen_features, start_head
from triovision.train.recipe import Recipe

RECIPE = Recipe(
    name="tiny",
    description="",
    architecture="test_efficientnet",
    preprocessing=Preprocessing(input_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
)
COLOURS = {"FR": (40, 60, 220), "JP": (220, 50, 60), "NA": (230, 190, 60)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Ten photos of each of three countries, in two places each."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    rows = []
    for country, colour in COLOURS.items():
        for i in range(10):
            noise = random.normal(0, 40, size=(32, 32, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(folder / f"{country}{i}.png")
            rows.append({"file": f"{country}{i}.png", "country": country, "place": f"{country}{i % 2}"})
    return Manifest(pd.DataFrame(rows), folder, "")


@pytest.mark.parametrize("labels", [("FR", "JP", "NA"), ("FR", "JP")])
def test_the_first_logits_are_those_of_the_logistic_regression(photos: Manifest, labels: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    network = build_classifier(RECIPE.architecture, len(labels)).train()
    features = frozen_features(network, photos, RECIPE, workers=0)
    expected = fit_logistic(
        features, targets(photos, labels), choose_strength(photos, labels, features, RECIPE.seed)
    ).predict_proba(features)
    network.train()
    start_head(network, photos, labels, RECIPE, workers=0)
    assert network.training
    probability = torch.from_numpy(network_outputs(network.eval(), photos, RECIPE, workers=0)).softmax(1).numpy()
    np.testing.assert_allclose(probability, expected, atol=1e-4)


def test_the_strength_that_generalises_is_chosen() -> None:
    # One feature tells the country, two hundred are noise: a weak regularisation learns the noise by heart.
    random = np.random.default_rng(0)
    country = np.repeat(["FR", "JP"], 60)
    table = pd.DataFrame({"file": "", "country": country, "place": [f"{c}{i % 30}" for i, c in enumerate(country)]})
    features = random.normal(size=(120, 200)).astype(np.float32)
    features[:, 0] += np.where(country == "FR", 1.5, -1.5)
    training = Manifest(table, Path(), "")
    chosen = choose_strength(training, ("FR", "JP"), features, seed=0)
    held = fifth_of_places(training, 0)
    target = targets(training, ("FR", "JP"))

    def accuracy(strength: float) -> float:
        linear = fit_logistic(features[~held], target[~held], strength)
        return float((linear.predict(features[held]) == target[held]).mean())

    assert accuracy(chosen) >= accuracy(3.0)
    assert chosen < 3.0


def test_too_few_places_to_choose_by_are_no_error() -> None:
    table = pd.DataFrame({"file": "", "country": ["FR", "JP"], "place": ["a", "b"]})
    features = np.eye(2, dtype=np.float32)
    assert choose_strength(Manifest(table, Path(), ""), ("FR", "JP"), features, seed=0) > 0


def test_photos_without_a_label_are_left_out_of_the_fit() -> None:
    features = np.array([[0.0], [1], [0], [1], [50]], dtype=np.float32)
    with_stranger = fit_logistic(features, np.array([0, 1, 0, 1, NO_LABEL]), 1.0)
    without = fit_logistic(features[:4], np.array([0, 1, 0, 1]), 1.0)
    np.testing.assert_allclose(with_stranger.predict_proba(features), without.predict_proba(features))
