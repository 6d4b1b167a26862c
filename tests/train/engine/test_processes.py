"""Data-parallel training: two processes on the CPU end with the metrics of one.

They differ by rounding only, because a sum over two halves of a batch is another sum. The recipe freezes the statistics
of batch normalisation and has no dropout, which each process has its own of.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file

from triovision.errors import RecipeError
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import read_manifest
from triovision.train.engine.run import train_country
from triovision.train.engine.trainer import TrainerOptions
from triovision.train.recipes.country_recipe import read_recipe

#: Largest difference of a metric and of a weight, in float32.
TOLERANCE = 1e-4
RECIPE = f"""
base = "{Path(__file__).parents[1] / "tiny.toml"}"
description = "nothing that depends on the process"
drop_rate = 0.0

[preprocessing]
interpolation = "bicubic"

[data]
min_photos = 3
validation_splits = ["split"]

[optimisation]
batch_size = 4
learning_rate = 5e-4
freeze_norm = true
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 pictures to learn from and 9 to validate on, one of them of a country without a label."""
    folder = tmp_path_factory.mktemp("study")
    random = np.random.default_rng(0)
    rows = ["file,country,place,split"]
    for i in range(23):
        country = "DE" if i == 22 else ("FR", "JP")[i % 2]
        Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{country},{i},{'val' if i >= 14 else 'train'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "tiny.toml").write_text(RECIPE)
    return folder


def test_two_processes_end_with_the_metrics_of_one(study: Path) -> None:
    photos = read_manifest(study / "manifest.csv", columns=["place", "split"])
    train_country(
        read_recipe(str(study / "tiny.toml")),
        photos,
        study / "one",
        None,
        LoadOptions(workers=0),
        TrainerOptions("cpu"),
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "triovision", "train", "run", str(study / "tiny.toml")),
            *("--manifest", str(study / "manifest.csv"), "--out", str(study / "two"), "--workers", "0"),
            *("--accelerator", "cpu", "--devices", "2"),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished weights") == 1
    logs = [pd.read_csv(study / name / "logs" / "version_0" / "metrics.csv") for name in ("one", "two")]
    assert logs[1]["val/loss"].notna().sum() == 2
    pd.testing.assert_frame_equal(*logs, atol=TOLERANCE, rtol=0)
    one, two = (load_file(study / name / "finished.safetensors") for name in ("one", "two"))
    for name, weights in one.items():
        np.testing.assert_allclose(two[name], weights, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("options", "message"),
    [(TrainerOptions(devices=3), "not divisible by"), (TrainerOptions("gpu"), "cannot be trained with")],
)
def test_devices_that_cannot_be_used_are_an_error_before_anything_is_written(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: TrainerOptions, message: str
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    photos = read_manifest(study / "manifest.csv", columns=["place", "split"])
    with pytest.raises(RecipeError, match=message):
        train_country(
            read_recipe(str(study / "tiny.toml")), photos, tmp_path / "run", None, LoadOptions(workers=0), options
        )
    assert not (tmp_path / "run").exists()
