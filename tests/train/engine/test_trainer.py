"""Trainer and loggers of a run, and the memory allocator."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from triovision.errors import RecipeError
from triovision.train.engine.callbacks import AtomicCheckpointIO, StepSeed, StopEarly
from triovision.train.engine.optim import MovingAverage
from triovision.train.engine.trainer import TrainerOptions, keep_freed_memory, loggers
from triovision.train.recipes.country_recipe import read_recipe


def test_the_trainer_of_a_recipe_stops_early_and_averages(tmp_path: Path) -> None:
    recipe = read_recipe(
        "imbalance", ["optimisation.accumulation=3", "optimisation.ema_decay=0.9", "optimisation.precision=32-true"]
    )
    trainer = TrainerOptions("cpu").build(recipe, tmp_path, 5, [StepSeed(0)])
    kinds = [type(callback) for callback in trainer.callbacks]
    assert {StopEarly, MovingAverage, StepSeed} <= set(kinds)
    assert trainer.accumulate_grad_batches == 3
    assert trainer.gradient_clip_val == recipe.optimisation.clip_norm


def test_a_plain_trainer_has_only_the_callbacks_that_it_is_given(tmp_path: Path) -> None:
    trainer = TrainerOptions("cpu").build_plain("gan", tmp_path, 7, 5, [StepSeed(0)], precision="32-true")
    kinds = {type(callback) for callback in trainer.callbacks}
    assert StepSeed in kinds
    assert not kinds & {StopEarly, MovingAverage}
    assert (trainer.max_epochs, trainer.log_every_n_steps, trainer.gradient_clip_val) == (7, 5, None)
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)


def test_lightning_advertises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        TrainerOptions().build_plain("plain", tmp_path, 2, 7, [])
    assert "GPU available" in caplog.text
    assert "Tip" not in caplog.text


def test_what_lightning_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="gan: cannot be trained with these options"):
        TrainerOptions("cpu").build_plain("gan", tmp_path, 1, 1, [], precision="7-bit")


def test_without_tensorboard_metrics_are_logged_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triovision.train.engine.trainer.find_spec", lambda _: None)
    (log,) = loggers(tmp_path)
    assert log.name == "logs"


def test_both_logs_of_a_start_have_one_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "logs" / "version_3").mkdir(parents=True)
    assert [log.log_dir for log in loggers(tmp_path)] == [str(tmp_path / "logs" / "version_4")] * 2


#: Prints the number of page faults of blocks that were freed before.
CHILD = """
import resource
from triovision.train.engine.trainer import keep_freed_memory
{first}
size = 48_000_000  # larger than what glibc keeps by itself
def step():
    for _ in range(10):
        b"1" * size
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    def faults(first: str) -> int:
        code = CHILD.format(first=first)
        # Without settings of the environment that the tests run in.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        return int(done.stdout)

    assert faults("keep_freed_memory()") < 100
    assert faults("") > 200  # even where the system gives large pages of two megabytes


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda _: pytest.fail("no library is to be opened"))
    keep_freed_memory()
