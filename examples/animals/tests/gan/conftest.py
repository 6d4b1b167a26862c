"""Tiny photos of two classes, and a recipe that trains on them in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from examples.animals.gan.recipe import RECIPES, GanRecipe

_OVERRIDES = (
    "networks.latent=4",
    "networks.channels=2",
    "optimisation.epochs=2",
    "optimisation.batch_size=4",
    "optimisation.snapshot_epochs=1",
    'evaluation.backbone="test_efficientnet"',
    "evaluation.preprocessing={ input_size = 64, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }",
    "evaluation.kid_subsets=4",
    "data.held_out=0.25",
)


@pytest.fixture(scope="session")
def overrides() -> tuple[str, ...]:
    return _OVERRIDES


@pytest.fixture
def recipe(overrides: tuple[str, ...]) -> GanRecipe:
    return RECIPES.read("dcgan", overrides)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 blue photos in `fox` and 12 red ones in `other`."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, n, colour in (("fox", 16, (40, 60, 220)), ("other", 12, (220, 60, 40))):
        (root / name).mkdir()
        for i in range(n):
            pixels = np.clip(random.normal(0, 30, size=(70, 80, 3)) + colour, 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the backbone."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    save_file(timm.create_model("test_efficientnet", num_classes=0).state_dict(), path)
    return path
