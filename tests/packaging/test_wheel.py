"""Prediction and page of the installed wheel, without a checkout."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from triovision.bundle import NODE_MODULES
from triovision.inference.registry import EMBEDDED_MODEL
from triovision.ui.animations import PLAYER
from triovision.viz.leaflet import missing_files

ROOT = Path(__file__).resolve().parents[2]
STARTUP_S = 60

#: The files and folders that the wheel takes from the top of the repository.
BESIDE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["hooks"]["custom"]["files"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Gives Python some arguments, in a folder that holds nothing."""

    def run_(*arguments: object) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, *map(str, arguments)]
        return subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run_


@pytest.fixture
def address(environment: dict[str, str], installed: Path, tmp_path: Path) -> Iterator[str]:
    """Address of `triovision app`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-browser"]
    call = [sys.executable, str(installed / "bin" / "triovision"), "app", *options]
    log = tmp_path / "log.txt"
    with log.open("wb") as out, subprocess.Popen(call, cwd=tmp_path, env=environment, stdout=out, stderr=out) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/_stcore/health", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTUP_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if urlopen(url).read() == b"ok":  # noqa: S310 - our own server
                return
        except URLError:
            time.sleep(0.2)
    pytest.fail(f"the page did not start:\n{log.read_text(errors='replace')}")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_it_carries_every_file_that_lies_beside_the_code(wheel: Path) -> None:
    carried = set(ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["/usr/bin/env", "git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    tops = {name.partition("/")[0] for name in BESIDE}
    beside = {f"triovision/_bundle/{name}" for name in listed.split("\0") if name.partition("/")[0] in tops}
    code = {name for name in listed.split("\0") if name.startswith("triovision/")}
    assert {name.split("/")[2] for name in beside} == tops
    assert (beside | code) - carried == set()
    assert not [name for name in carried if name.startswith(("tests/", "benchmarks/", "examples/"))]


@pytest.mark.skipif(bool(missing_files(NODE_MODULES)), reason="needs the npm packages: make assets")
def test_it_carries_the_scripts_of_the_map(installed: Path) -> None:
    packages = installed / "triovision" / "_bundle" / "node_modules"
    assert missing_files(packages) == []
    assert (packages / "world-atlas" / "countries-50m.json").is_file()
    assert (packages / "flag-icons" / "flags" / "4x3" / "fr.svg").is_file()
    assert (packages / "flag-icons" / "LICENSE").is_file()
    assert (packages / PLAYER.relative_to(NODE_MODULES)).is_file()
    for style in packages.rglob("*.css"):
        for address in re.findall(r"url\(['\"]?([^'\")#?]+)", style.read_text(encoding="utf-8")):
            assert address.startswith("data:") or (style.parent / address).is_file(), f"{style}: {address}"


def test_it_builds_without_them(build: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    bare = tmp_path / "checkout"
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "triovision", *BESIDE):
        (bare / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, bare / name)
    names = ZipFile(build(bare, tmp_path)).namelist()
    assert "triovision/_bundle/app.py" in names
    assert not [name for name in names if "node_modules" in name]


def test_it_answers_a_photo(run: Run, installed: Path) -> None:
    photo = installed / "triovision" / "_bundle" / "assets" / "examples" / "china.jpg"
    done = run(installed / "bin" / "triovision", "predict", photo, "--format", "json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["model"] == EMBEDDED_MODEL
    assert "CN" in [guess["country"] for guess in answer["countries"][:2]]


def test_its_models_are_whole(run: Run) -> None:
    done = run("-m", "triovision", "models", "verify")
    assert done.returncode == 0, done.stderr
    assert f"{EMBEDDED_MODEL}: whole" in done.stdout


def test_its_page_runs(run: Run, installed: Path) -> None:
    page = installed / "triovision" / "_bundle" / "studio.py"
    code = f"""
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
import triovision
print(triovision.__file__)
# AppTest makes a new server for every run, see `require_app_frame`.
begin = PagesManager.__init__
def begin_visited(self, *args, **options):
    begin(self, *args, **options)
    PagesManager.uses_pages_directory = False
PagesManager.__init__ = begin_visited
app = AppTest.from_file({str(page)!r}, default_timeout=60).run()
assert not app.exception, app.exception
app.button("example").click().run()
assert not app.exception, app.exception
bars = [bar.proto.text for bar in app.get("progress")]
assert any("China" in text for text in [app.header[0].value, *bars]), (app.header, bars)
"""
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(installed / "triovision" / "__init__.py")


def test_its_page_is_served(address: str) -> None:
    assert b"<title>" in urlopen(address).read()  # noqa: S310 - our own server


def test_its_page_has_our_configuration(run: Run) -> None:
    code = """
import os
from streamlit import config
from streamlit.web import bootstrap
names = ("server.port", "server.address", "server.maxUploadSize", "theme.light.primaryColor")
bootstrap.run_asgi_app = lambda *_: print(os.environ["TRIOVISION_MODEL"], [config.get_option(name) for name in names])
from triovision.cli import main
main(["app", "--port", "8600", "--host", "127.0.0.1", "--model", "tf_efficientnet_lite0.places10k"])
"""
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "tf_efficientnet_lite0.places10k [8600, '127.0.0.1', 500, '#0b6b6e']"


def test_its_page_does_not_start_with_an_unknown_model(run: Run) -> None:
    done = run("-m", "triovision", "app", "--model", "nope.nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: nope.nothing: is not installed.")
    assert EMBEDDED_MODEL in done.stderr
