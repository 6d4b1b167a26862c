"""Photos and models that many tests need."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from triovision.inference.card import CARD, WEIGHTS, Calibration, ModelCard, Provenance, sha256
from triovision.inference.preprocessing import Preprocessing
from triovision.networks import build_classifier

#: timm's smallest EfficientNet, made for tests.
TINY = "test_efficientnet"
TINY_LABELS = ("CN", "FR", "NA", "US")
TINY_PREPROCESSING = Preprocessing(input_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="session")
def china() -> bytes:
    """The Summer Palace, shipped by scikit-learn."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "datasets" / "images" / "china.jpg").read_bytes()


@pytest.fixture(scope="session")
def write_tiny_model() -> Callable[..., Path]:
    """Writes a complete model folder with random weights of a fixed seed; keywords replace fields of the card."""

    def write(models: Path, model_id: str = "test_efficientnet.noise", **fields: object) -> Path:
        folder = models / model_id
        folder.mkdir(parents=True)
        torch.manual_seed(0)
        network = build_classifier(TINY, len(TINY_LABELS))
        state = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
        save_file(state, folder / WEIGHTS)
        card = ModelCard(
            id=model_id,
            summary="Random weights",
            architecture=TINY,
            preprocessing=TINY_PREPROCESSING,
            labels=TINY_LABELS,
            calibration=Calibration(
                temperature=1.0,
                conformal_threshold=0.2,
                conformal_coverage=0.9,
                abstention_threshold=0.0,
                fitted_on="nothing",
            ),
            weights_sha256=sha256(folder / WEIGHTS),
            provenance=Provenance(recipe={}, manifest_sha256="", photos=0, command="", data="noise"),
            metrics={},
            knows="nothing",
            limits="all",
            licence="Apache-2.0",
        ).model_copy(update=fields)
        (folder / CARD).write_text(card.model_dump_json(), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Six JPEG files of noise, and one text file that calls itself a photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(6):
        pixels = random.integers(0, 256, size=(80, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
    (folder / "note.jpg").write_text("this is no photo")
    return folder
