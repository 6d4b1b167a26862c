from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from triovision.collections.organiser.progress import FailureRateError
from triovision.errors import CollectionError

Run = Callable[..., Result]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Records what the engine is asked to do, in place of a cluster."""
    from triovision.collections.cluster import ray_run  # noqa: PLC0415 - slow

    made: list[tuple[Any, ...]] = []

    def engine(sources: Any, target: str, model_id: str, options: Any, progress: Any, on_progress: Any) -> None:
        made.append((sources, target, model_id, options))
        progress.work, progress.answered = 3, 2
        progress.refused = 1
        on_progress()

    monkeypatch.setattr(ray_run, "organise_on_ray", engine)
    return made


def test_addresses_and_options_reach_the_engine(run: Run, calls: list[tuple[Any, ...]]) -> None:
    options = ("--concurrency", "2:16", "--num-gpus", "0.5", "--batch-size", "64", "--address", "auto")
    to = ("s3://bucket/in", "--to", "s3://bucket/out", "--model", "test_efficientnet.noise", "--format", "csv")
    result = run("organise", *to, "--engine", "ray", *options)
    ((sources, target, model_id, settings),) = calls
    assert (list(sources), target, model_id) == (["s3://bucket/in"], "s3://bucket/out", "test_efficientnet.noise")
    assert (settings.min_workers, settings.max_workers, settings.worker_gpus) == (2, 16, 0.5)
    assert (settings.batch_size, settings.address) == (64, "auto")
    assert result.exit_code == 1  # one was refused
    assert result.stdout.splitlines() == ["work,known,skipped,answered,refused,unreadable", "3,0,0,2,1,0"]


def test_too_many_failures_end_with_the_summary_as_without_a_cluster(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from triovision.collections.cluster import ray_run  # noqa: PLC0415 - slow

    def engine(_sources: Any, target: str, _model_id: str, _options: Any, progress: Any, _draw: Any) -> None:
        progress.work, progress.answered, progress.refused = 200, 20, 80
        raise FailureRateError(target, "80 of 100 photos failed", "Look at the failures")

    monkeypatch.setattr(ray_run, "organise_on_ray", engine)
    options = ("--model", "test_efficientnet.noise", "--engine", "ray", "--format", "csv")
    result = run("organise", "in", "--to", "out", *options)
    assert result.exit_code == 1
    assert "Error: out: 80 of 100 photos failed" in result.stderr
    assert result.stdout.splitlines()[1] == "200,0,0,20,80,0"


def test_a_list_of_photos_comes_from_standard_input(run: Run, calls: list[tuple[Any, ...]]) -> None:
    names = b"s3://bucket/a.jpg\n\n/archive/b.jpg\n"
    options = ("--to", "out", "--model", "test_efficientnet.noise", "--engine", "ray")
    run("organise", "in", "-", *options, input=names)
    assert calls[0][0] == ["in", "s3://bucket/a.jpg", "/archive/b.jpg"]


@pytest.mark.parametrize("value", ["0", "3:2", "many"])
def test_a_wrong_number_of_workers_is_wrong_usage(run: Run, calls: list[tuple[Any, ...]], value: str) -> None:
    result = run("organise", "in", "--to", "out", "--engine", "ray", "--concurrency", value)
    assert (result.exit_code, calls) == (2, [])


def test_an_option_of_the_other_engine_is_wrong_usage(run: Run, calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    result = run("organise", "in", "--to", str(tmp_path / "out"), "--engine", "ray", "--sort", "copy")
    assert result.exit_code == 2
    assert "--sort: only the local engine has this option" in result.stderr
    result = run("organise", "in", "--to", str(tmp_path / "out"), "--num-gpus", "1")
    assert result.exit_code == 2
    assert "--num-gpus: only the engine ray has this option" in result.stderr
    assert calls == []


def test_a_source_that_is_not_there_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOVISION_MODEL", "test_efficientnet.noise")
    result = run("organise", str(tmp_path / "none"), "--to", str(tmp_path / "out"), "--engine", "ray")
    assert result.exit_code == 2
    assert f"Error: {tmp_path / 'none'}: does not exist" in result.stderr
    assert not isinstance(result.exception, CollectionError)
