"""Dependencies of each part in `pyproject.toml`, and the error for a missing one."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import triovision
from triovision import extras
from triovision.errors import MissingPackageError

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PARTS = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}

#: Import names that differ from the name of the package.
IMPORTED_AS = {"pillow": "PIL", "scikit-image": "skimage", "scikit-learn": "sklearn"}


#: Runs `main` as in an environment that lacks the packages named first: a None there stops their import.
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
from triovision.cli import main
main(sys.argv[2:], prog_name="triovision")
"""


def run_without(packages: set[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-c", WITHOUT, ",".join(packages), *map(str, arguments)]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("extra", extras.PACKAGES)
def test_the_table_of_packages_is_the_one_of_pyproject(extra: str) -> None:
    names = [Requirement(line).name for line in PARTS[extra]]
    assert sorted(extras.PACKAGES[extra]) == sorted(IMPORTED_AS.get(name, name.replace("-", "_")) for name in names)


@pytest.mark.parametrize(
    "command",
    [
        ("train", "run", "tf_efficientnet_lite0", "--manifest", "m.csv", "--out", "out"),
        ("train", "gps", "run", "resnetgps_v1"),
        ("evaluate", "--manifest", "m.csv"),
    ],
)
def test_without_the_extra_of_training_a_command_says_what_to_install(command: tuple[str, ...]) -> None:
    done = run_without({"torchmetrics", "optuna"}, *command)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: optuna, torchmetrics: is needed by training and evaluation and is not installed. "
        "Install it: pip install -r requirements-train.txt.\n"
    )


def test_the_page_without_streamlit_says_what_to_install() -> None:
    done = run_without({"streamlit"}, "app")
    assert done.returncode == 2
    assert done.stderr == (
        "Error: streamlit: is needed by TrioVision and is not installed. Install it: pip install -r requirements.txt.\n"
    )


def test_an_installed_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "BUNDLE", tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingPackageError, match=r"^optuna: .* pip install 'triovision\[train\]'\.$"):
        extras.require("train")


def test_photos_are_answered_and_commands_explained_without_any_extra(photo_folder: Path) -> None:
    absent = {*extras.PACKAGES["train"], *extras.PACKAGES["geoclip"]}
    done = run_without(absent, "predict", photo_folder / "0.jpg", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert run_without(absent, "train", "run", "--help").returncode == 0
    assert run_without(absent, "models", "list").returncode == 0


def test_the_lock_file_holds_a_fitting_version_of_every_dependency() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked: dict[str, set[str]] = {}
    for line in lines:
        if found := re.match(r"([a-z0-9-]+)==([^ ]+)", line):
            locked.setdefault(found[1], set()).add(found[2])
    wanted = [Requirement(line) for part in PARTS.values() for line in part]
    for one in wanted:
        if one.name != PROJECT["name"]:
            versions = locked.get(canonicalize_name(one.name), set())
            assert versions, f"{one.name}: not in requirements.lock; make lock"
            assert all(one.specifier.contains(version) for version in versions), f"{one}: {versions}; make lock"


def test_the_lock_file_names_no_server() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|--index-url|--find-links|--trusted-host", text)


def test_the_version_is_the_newest_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == triovision.__version__
