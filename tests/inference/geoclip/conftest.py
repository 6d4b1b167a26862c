"""A small random CLIP in the hub's format, beside the package's own weights and a part of its gallery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from triovision.geo.reverse import country_at
from triovision.inference.card import CARD, ModelCard, sha256
from triovision.inference.geoclip import release
from triovision.results import Photo

pytest.importorskip("geoclip", reason="the optional extra: pip install -r requirements-geoclip.txt")
transformers = pytest.importorskip("transformers")

EVERY = 200
SIDE, PATCH = 56, 14


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files, with every 200th position of its gallery."""
    whole, folder = release.package_folder(), tmp_path_factory.mktemp("package")
    for name in (release.LOCATION_WEIGHTS, release.PROJECTION_WEIGHTS, release.SCALE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(whole / name)
    lines = (whole / release.GALLERY).read_text("utf-8").splitlines()
    (folder / release.GALLERY).parent.mkdir(parents=True)
    (folder / release.GALLERY).write_text("\n".join([lines[0], *lines[1::EVERY]]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def hub_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the hub has of CLIP, tiny and random: config, preprocessing, weights, and the words of the text tower."""
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    layers = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 64}
    text = layers | {"vocab_size": 4, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = layers | {"image_size": SIDE, "patch_size": PATCH}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    clip = transformers.CLIPModel._from_config(config)
    for parameter in clip.parameters():
        if parameter.dim() > 1:  # CLIP's own start is so small that all photos look alike
            parameter.data.normal_(std=0.2)
    clip.vision_model.embeddings.patch_embedding.weight.data.normal_(std=0.5)
    clip.save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE).save_pretrained(folder)
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}
    transformers.CLIPTokenizer(vocab=words, merges=[]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_card(package: Path, hub_files: Path) -> ModelCard:
    """The released card, with the files of this small model."""
    positions = np.loadtxt(package / release.GALLERY, delimiter=",", skiprows=1)
    card = release.released_card()
    names = [file.name for file in release.release_of(card).files]
    files = [
        {"name": name, "size_bytes": (hub_files / name).stat().st_size, "sha256": sha256(hub_files / name)}
        for name in names
    ]
    hashes = {name: sha256(package / name) for name in release.release_of(card).package_files}
    return card.model_copy(
        update={
            "architecture_args": card.architecture_args | {"files": files, "package_files": hashes},
            "labels": tuple(sorted({country for at in positions if (country := country_at(*map(float, at)))})),
            "weights_sha256": sha256(hub_files / "model.safetensors"),
        }
    )


@pytest.fixture
def small_package(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the engine find this package, and keep what it works out in a folder of the test."""
    monkeypatch.setattr(release, "package_folder", lambda: package)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return package


@pytest.fixture
def write_worldwide(
    hub_files: Path,
    tiny_card: ModelCard,
    small_package: Path,  # noqa: ARG001 - where the engine will look
) -> Callable[[Path], Path]:
    """Writes the small model into a folder of models."""

    def write(models: Path) -> Path:
        folder = models / tiny_card.id
        folder.mkdir(parents=True)
        for file in release.release_of(tiny_card).files:
            (folder / file.name).write_bytes((hub_files / file.name).read_bytes())
        (folder / CARD).write_text(tiny_card.model_dump_json(), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def some_photos(china: bytes, tmp_path: Path) -> list[tuple[Path, Photo]]:
    """A wide photo, a high noise and a blue square, each as a file and as the engine's photo."""
    (tmp_path / "china.jpg").write_bytes(china)
    wide = Image.open(tmp_path / "china.jpg").convert("RGB")
    pictures = {
        "wide": wide,
        "high": wide.rotate(90, expand=True).crop((30, 20, 330, 597)),
        "square": wide.resize((97, 97)),
    }
    made = []
    for name, picture in pictures.items():
        path = tmp_path / f"{name}.png"
        picture.save(path)
        image_hwc = np.asarray(picture)
        image_hwc.setflags(write=False)
        width, height = picture.size
        photo = Photo(
            name=path.name, image_hwc=image_hwc, original_width_px=width, original_height_px=height, format="PNG"
        )
        made.append((path, photo))
    return made
