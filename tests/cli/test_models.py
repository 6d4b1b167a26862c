from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from click.testing import Result

Run = Callable[..., Result]


def test_models_are_listed(run: Run) -> None:
    assert "test_efficientnet.noise: Random weights" in run("models").stdout


def test_models_are_listed_for_programs(run: Run) -> None:
    rows = {row["model"]: row for row in map(json.loads, run("models", "list", "--format", "json").stdout.splitlines())}
    assert rows["test_efficientnet.noise"]["installed"] is True
    assert rows["geoclip.mp16"]["installed"] is False
    assert "triovision models install geoclip" in rows["geoclip.mp16"]["remedy"]
    table = list(csv.DictReader(io.StringIO(run("models", "list", "--format", "csv").stdout)))
    assert [row["model"] for row in table] == list(rows)
