"""Which package may load what, looked at in a fresh process each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "streamlit"}

#: Modules that must not be loaded by importing a package; DESIGN's walls.
WALLS = {
    "triovision": HEAVY | {"timm", "PIL"},
    "triovision.results": HEAVY | {"PIL", "triovision.photo"},
    "triovision.errors": HEAVY | {"numpy"},
    "triovision.geo": HEAVY | {"PIL", "pandas", "triovision.photo"},
    "triovision.photo": HEAVY | {"timm", "triovision.geo", "triovision.inference"},
    "triovision.networks": {"streamlit", "triovision.photo", "triovision.geo", "triovision.inference"},
    "triovision.inference": {"streamlit", "triovision.viz", "triovision.train", "triovision.ui", "triovision.explain"}
    | {"transformers", "geoclip"},
    "triovision.explain": {"streamlit", "triovision.viz", "triovision.train", "triovision.ui"},
    "triovision.viz": HEAVY | {"timm", "triovision.inference", "triovision.train", "triovision.ui"},
    "triovision.metrics": HEAVY | {"triovision.train", "triovision.viz", "triovision.ui"},
    "triovision.train": {"streamlit", "triovision.viz", "triovision.ui"},
    "triovision.reporting": {"streamlit", "triovision.ui"},
    "triovision.cli": HEAVY | {"timm", "lightning"},
    "triovision.train.engine.run": {"streamlit", "triovision.viz", "triovision.ui"},
    "triovision.train.export.card": {"streamlit", "triovision.viz", "triovision.ui"},
    "triovision.train.export.ensemble.making": {"streamlit", "triovision.viz", "triovision.ui"},
    "triovision.train.evaluation.benchmark_tables": {"streamlit", "triovision.viz", "triovision.ui"},
    "triovision.train.evaluation.baselines": {"streamlit", "triovision.viz", "triovision.ui"},
}


def loaded_by(*modules: str) -> set[str]:
    code = f"import json, sys; {'; '.join(f'import {name}' for name in modules)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", WALLS)
def test_a_package_keeps_within_its_walls(package: str) -> None:
    assert loaded_by(package).isdisjoint(WALLS[package])


def test_every_package_has_its_walls() -> None:
    found = {f"triovision.{path.parent.name}" for path in (ROOT / "triovision").glob("*/__init__.py")}
    named = {name for wall in WALLS for name in (wall, wall.rpartition(".")[0])}
    assert found - named == {"triovision.ui"}


def test_the_pages_words_load_neither_torch_nor_training() -> None:
    modules = sorted(f"triovision.ui.{path.stem}" for path in (ROOT / "triovision" / "ui").glob("[a-z]*.py"))
    assert loaded_by(*modules).isdisjoint({"torch", "timm", "lightning", "triovision.train"})


def test_no_file_is_called_after_nothing() -> None:
    nothing = {"utils.py", "util.py", "helpers.py", "helper.py", "misc.py", "common.py"}
    assert not [path for path in (ROOT / "triovision").rglob("*.py") if path.name in nothing]
