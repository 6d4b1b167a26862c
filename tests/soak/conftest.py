"""Length of the experiments, and the commands that they disturb.

The short form runs with the ordinary tests, the long one by `make soak`.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.soak.command_process import CommandProcess
from tests.soak.jobs import Job
from tests.train.conftest import colours
from triovision.inference.card import ModelCard

__all__ = ["colours"]


@pytest.fixture(scope="session")
def long_form() -> bool:
    """Whether `make soak` runs."""
    return os.environ.get("TRIOVISION_SOAK") == "1"


@pytest.fixture(scope="session")
def commands() -> Iterator[CommandProcess]:
    with CommandProcess() as process:
        yield process


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Folder of all files that a command writes."""
    return tmp_path / "out"


@pytest.fixture
def training(colours: Path, out: Path) -> Job:
    arguments = ("train", "run", colours / "tiny.toml", "--manifest", colours / "manifest.csv", "--out", out / "run")
    return Job((*arguments, "--workers", 0, "--accelerator", "cpu", "--save-every", 1), out)


@pytest.fixture
def manifest(out: Path, long_form: bool) -> Job:
    workers = 2 if long_form else 0  # a worker takes seconds to start

    def prepare() -> None:
        noise = np.random.default_rng(0)
        for number in range(200):
            path = out / "photos" / ("FR", "Japan")[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(path)
        (out / "photos" / "FR" / "broken.jpg").write_bytes(b"\xff\xd8\xff")

    arguments = (
        "train",
        "manifest",
        out / "photos",
        "--out",
        out / "manifest.parquet",
        "--workers",
        workers,
        "--force",
    )
    return Job(arguments, out, prepare=prepare)


@pytest.fixture
def landmarks(mirror: Any, out: Path, tmp_path: Path) -> Job:
    noise, rows = np.random.default_rng(0), []
    for shard in range(2):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for number in range(40 * shard, 40 * shard + 40):
                name = f"{number % 16:x}{number * 7919 + 1:015x}"
                member = tarfile.TarInfo(f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg")
                jpeg = io.BytesIO()
                pixels = noise.integers(0, 256, (30, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((400, 300)).save(jpeg, "JPEG")
                member.size = jpeg.tell()
                archive.addfile(member, io.BytesIO(jpeg.getvalue()))
                place = {"country": "FR", "lat": 1.5, "lon": 2.5, "place": f"place {number}"}
                rows.append({"file": member.name, **place, "url": ""})
        path = mirror.add_shard(shard, tar.getvalue())
        mirror.rates[path] = len(tar.getvalue()) / 1.0  # so that kills fall into the download
    (tmp_path / "manifest").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "manifest" / "part-000.parquet")
    arguments = ("train", "gldv2", "download", "--manifest", tmp_path / "manifest", "--out", out, "--shards", "0-1")
    return Job((*arguments, "--base-url", mirror.url, "--threads", 1), out)


@pytest.fixture
def installation(hub: Any, tiny_card: ModelCard, package: Path, out: Path, tmp_path: Path) -> Job:
    card = tmp_path / "card.json"
    card.write_text(tiny_card.model_dump_json(), encoding="utf-8")
    hub.rates = {path: len(data) / 0.3 for path, data in hub.files.items()}
    env = {"HF_ENDPOINT": hub.url, "TRIOVISION_MODELS": str(out / "models"), "XDG_CACHE_HOME": str(out / "cache")}
    return Job(("models", "install", "geoclip"), out, env, (card, package))
