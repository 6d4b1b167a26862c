"""Wheel built from this checkout and installed into a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def build() -> Callable[[Path, Path], Path]:
    """Builds the wheel of a checkout into a folder, with the packages of this environment and no network."""

    def build_(checkout: Path, folder: Path) -> Path:
        pip("wheel", checkout, "--no-build-isolation", "--wheel-dir", folder)
        (built,) = folder.glob("*.whl")
        return built

    return build_


@pytest.fixture(scope="session")
def wheel(build: Callable[[Path, Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", wheel, "--no-compile", "--target", folder)
    return folder


@pytest.fixture
def environment(installed: Path, tmp_path: Path) -> dict[str, str]:
    """Environment in which that folder comes before this checkout and no other model is installed."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("TRIOVISION_", "STREAMLIT_"))}
    return ours | {"PYTHONPATH": str(installed), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def pip(command: str, *arguments: object) -> None:
    call = [sys.executable, "-m", "pip", command, "--no-deps", "--no-index", "--quiet", *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
