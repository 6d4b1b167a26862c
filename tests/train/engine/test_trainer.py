from __future__ import annotations

from pathlib import Path

import pytest

from triovision.train.engine.trainer import loggers


def test_without_tensorboard_the_figures_are_logged_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triovision.train.engine.trainer.find_spec", lambda _: None)
    (log,) = loggers(tmp_path)
    assert log.name == "logs"


def test_both_logs_of_a_start_have_one_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "logs" / "version_3").mkdir(parents=True)
    assert [log.log_dir for log in loggers(tmp_path)] == [str(tmp_path / "logs" / "version_4")] * 2
