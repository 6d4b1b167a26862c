"""Walls between packages: import contracts on the source, and the modules that a fresh process really loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "streamlit"}

#: Modules that the import of a package must not load.
WALLS = {
    "triovision": HEAVY | {"timm", "PIL", "httpx"},
    "triovision.results": HEAVY | {"PIL", "triovision.photo"},
    "triovision.explanation_settings": HEAVY | {"numpy", "triovision.explain"},
    "triovision.errors": HEAVY | {"numpy"},
    "triovision.files": HEAVY | {"numpy"},
    "triovision.geo": HEAVY | {"PIL", "pandas", "triovision.photo"},
    "triovision.photo": HEAVY | {"timm", "triovision.geo", "triovision.inference"},
    "triovision.networks": {"streamlit", "triovision.photo", "triovision.geo", "triovision.inference"},
    "triovision.inference": {"streamlit", "triovision.viz", "triovision.train", "triovision.ui", "triovision.explain"}
    | {"transformers", "geoclip"},
    "triovision.explain": {"streamlit", "triovision.viz", "triovision.train", "triovision.ui"}
    | {"captum", "matplotlib", "skimage"},
    "triovision.viz": HEAVY | {"timm", "triovision.inference", "triovision.train", "triovision.ui"},
    "triovision.collections": HEAVY | {"timm", "triovision.inference", "triovision.train", "triovision.ui"},
    "triovision.photo_report": HEAVY | {"timm", "triovision.inference", "triovision.train", "triovision.ui"},
    "triovision.serve": {"streamlit", "triovision.train", "triovision.ui"},
    "triovision.serve.client": HEAVY | {"timm", "fastapi", "prometheus_client", "triovision.inference"},
    "triovision.metrics": HEAVY | {"triovision.train", "triovision.viz", "triovision.ui"},
    "triovision.train": {"streamlit", "triovision.viz", "triovision.ui", "triovision.reporting"},
    "triovision.reporting": {"streamlit", "triovision.ui"},
    "triovision.ui": {"torch", "timm", "lightning", "triovision.train", "triovision.reporting"},
    "triovision.cli": HEAVY | {"timm", "lightning"},
}
#: Of these, every module is imported and not the package alone.
WHOLE = {
    "triovision.collections",
    "triovision.metrics",
    "triovision.train",
    "triovision.reporting",
    "triovision.ui",
    "triovision.serve",
    "triovision.viz",
}


def modules_of(package: str) -> list[str]:
    paths = ROOT.joinpath(*package.split(".")).rglob("*.py")
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return sorted(name.removesuffix(".__init__") for name in names)


def loaded_by(*modules: str) -> set[str]:
    code = f"import json, sys; {'; '.join(f'import {name}' for name in modules)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", WALLS)
def test_a_package_loads_nothing_beyond_its_walls(package: str) -> None:
    modules = modules_of(package) if package in WHOLE else [package]
    assert loaded_by(*modules).isdisjoint(WALLS[package])


def test_every_package_has_its_walls() -> None:
    packages = {f"triovision.{path.parent.name}" for path in (ROOT / "triovision").glob("*/__init__.py")}
    assert packages <= WALLS.keys()


def test_imports_keep_the_contracts_and_form_no_circle() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_file_has_a_name_without_meaning() -> None:
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "misc.py", "common.py"}
    assert not [path for path in (ROOT / "triovision").rglob("*.py") if path.name in vague]
