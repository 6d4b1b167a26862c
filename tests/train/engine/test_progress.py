"""Remaining time, progress bar and log lines."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from triovision.train.engine.progress import EpochLines, RemainingTime, RunBar


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets."""
    time = [1000.0]
    monkeypatch.setattr("triovision.train.engine.progress.time.monotonic", lambda: time[0])
    return time


def trainer(epoch: int) -> Any:
    metrics = {"val/loss": torch.tensor(0.5)}
    return SimpleNamespace(
        current_epoch=epoch, max_epochs=4, num_training_batches=10, progress_bar_metrics=metrics, loggers=[]
    )


def test_a_resumed_run_estimates_from_its_own_progress(now: list[float]) -> None:
    run = RemainingTime()
    assert run.remaining() is None
    run.update(0.5)
    assert run.remaining() is None
    now[0] += 30
    run.update(0.6)
    assert run.elapsed() == timedelta(seconds=30)
    assert run.remaining() == timedelta(seconds=120)  # a tenth took 30 s, and four tenths are left


def test_epoch_lines_give_metrics_and_remaining_time(now: list[float], caplog: pytest.LogCaptureFixture) -> None:
    lines = EpochLines()
    lines.on_train_batch_start(trainer(1), SimpleNamespace(), None, 0)  # type: ignore[arg-type]
    now[0] += 90
    with caplog.at_level(logging.INFO):
        lines.on_train_epoch_end(trainer(1), SimpleNamespace())  # type: ignore[arg-type]
    assert caplog.messages == ["epoch 2 of 4: val/loss 0.5; 0:01:30 so far, 0:03:00 left at most"]


def test_the_bar_gives_the_remaining_time(now: list[float]) -> None:
    bar = RunBar()
    bar.on_train_batch_start(trainer(0), SimpleNamespace(), None, 0)  # type: ignore[arg-type]
    assert bar.get_metrics(trainer(0), SimpleNamespace()).keys() == {"val/loss"}  # type: ignore[arg-type]
    now[0] += 10
    bar.on_train_batch_start(trainer(0), SimpleNamespace(), None, 4)  # type: ignore[arg-type]
    assert bar.get_metrics(trainer(0), SimpleNamespace())["run_ends_in"] == "0:01:30 at most"  # type: ignore[arg-type]
