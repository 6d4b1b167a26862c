"""Resume of a killed country run, bit for bit, and failures to write checkpoints."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from triovision.errors import RecipeError
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import read_manifest
from triovision.train.engine.callbacks import AtomicCheckpointIO
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.recipes.country_recipe import read_recipe

RECIPE = f"""
base = "{Path(__file__).parents[1] / "tiny.toml"}"
description = "dropout, mixed pictures, moving average, schedule and kept statistics"
drop_rate = 0.5

[augmentation]
mixup_alpha = 0.4

[data]
min_photos = 2
validation_splits = ["split"]

[optimisation]
batch_size = 4
learning_rate = 5e-4
freeze_norm = true
"""

#: Trains a run and kills its own process just before a batch.
CHILD = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from triovision.train.engine.country_module import CountryModule
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import read_manifest
from triovision.train.recipes.country_recipe import read_recipe
from triovision.train.engine.run import train_country

study, out, kill_epoch, kill_batch, workers = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
step = CountryModule.training_step

def step_or_die(self, batch, number):
    if (self.current_epoch, number) == (kill_epoch, kill_batch):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, number)

CountryModule.training_step = step_or_die
photos = read_manifest(study / "manifest.csv", columns=["place", "split"])
train_country(read_recipe(str(study / "tiny.toml")), photos, out, None, LoadOptions(workers=workers, save_every=3))
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 pictures of two countries to learn from and 8 to validate on: 8 steps an epoch."""
    folder = tmp_path_factory.mktemp("study")
    random = np.random.default_rng(0)
    rows = ["file,country,place,split"]
    for i in range(40):
        country = ("FR", "JP")[i % 2]
        pixels = random.integers(0, 200, size=(40, 50, 3)) + np.array([0, 0, 50] if country == "FR" else [50, 0, 0])
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{country},{country}{i},{'val' if i >= 32 else 'train'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "tiny.toml").write_text(RECIPE)
    return folder


def train(study: Path, out: Path, kill_epoch: int = -1, kill_batch: int = -1, workers: int = 0) -> int:
    numbers = [str(number) for number in (kill_epoch, kill_batch, workers)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(study), str(out), *numbers],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if done.returncode not in (0, -signal.SIGKILL):
        raise AssertionError(done.stderr)
    return done.returncode


@pytest.fixture(scope="module")
def whole(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train(study, out) == 0
    return out


def state(out: Path) -> dict[str, object]:
    loaded: dict[str, object] = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    return loaded


def assert_same(first: object, second: object) -> None:
    if isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor)
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list | tuple):
        assert isinstance(second, list | tuple)
        for a, b in zip(first, second, strict=True):
            assert_same(a, b)
    else:
        assert first == second


def test_a_run_killed_twice_within_an_epoch_ends_bit_for_bit_the_same(study: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    # Checkpoints follow steps 1, 3 and 6 of each epoch: the first kill loses a step, the second two.
    assert train(study, out, kill_epoch=0, kill_batch=4) == -signal.SIGKILL
    assert train(study, out, kill_epoch=1, kill_batch=5, workers=2) == -signal.SIGKILL
    assert train(study, out, workers=2) == 0
    expected, found = state(whole), state(out)
    assert expected["epoch"] == 1
    assert expected["global_step"] == 16
    for part in ("epoch", "global_step", "state_dict", "current_model_state", "averaging_state", "optimizer_states"):
        assert_same(expected[part], found[part])
    assert_same(expected["lr_schedulers"], found["lr_schedulers"])
    assert_same(read_country_run(whole).network.state_dict(), read_country_run(out).network.state_dict())


def test_a_finished_run_is_not_trained_on(study: Path, whole: Path) -> None:
    before = (whole / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    photos = read_manifest(study / "manifest.csv", columns=["place", "split"])
    assert (
        train_country(read_recipe(str(study / "tiny.toml")), photos, whole, None, LoadOptions(workers=0))
        == whole / "finished.safetensors"
    )
    assert (whole / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
    assert not (whole / "checkpoints" / "resume.ckpt").exists()


def test_each_checkpoint_holds_the_run_config(study: Path, whole: Path) -> None:
    run_config = json.loads((whole / "run.json").read_text())
    assert state(whole)["triovision"] == run_config
    assert run_config["manifest_sha256"] == read_manifest(study / "manifest.csv").sha256


def test_labels_that_the_run_lacks_are_named(study: Path, whole: Path) -> None:
    table = (study / "manifest.csv").read_text().replace("FR", "DE")
    (study / "other.csv").write_text(table)
    photos = read_manifest(study / "other.csv", columns=["place", "split"])
    with pytest.raises(RecipeError, match=r"does not know DE.*another --out"):
        train_country(read_recipe(str(study / "tiny.toml")), photos, whole, None, LoadOptions(workers=0))


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(10)}, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the system refuses to write more than this
    try:
        with pytest.raises(RecipeError, match=os.strerror(errno.EFBIG)):
            AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torch.equal(torch.load(path, weights_only=True)["weights"], torch.zeros(10))
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
