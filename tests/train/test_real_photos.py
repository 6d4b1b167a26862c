"""The embedded model on real photos that its training never saw."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from triovision.cli import main

DATA = os.environ.get("TRIOVISION_DATA")

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(DATA is None, reason="set TRIOVISION_DATA to a folder with manifest.csv and its photos"),
]


def test_new_photos_of_known_places_are_recognised() -> None:
    manifest = Path(str(DATA)) / "manifest.csv"
    condition = "split_known_places=val"
    result = CliRunner().invoke(
        main, ["evaluate", "--manifest", str(manifest), "--where", condition, "--format", "json", "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["metrics"]
    assert found["photos"] > 1000
    assert found["country_top1_known"] > 0.8
    assert found["country_top5_known"] > 0.9
    assert found["answered_accuracy"] > 0.93
    assert found["expected_calibration_error"] < 0.12
    assert 0.4 < found["radius_holds"] < 0.7
