"""The container's files: packages of deploy/requirements.lock, and what the Dockerfile copies."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


def pins(lock: str) -> dict[str, str]:
    """Each pin of a lock file, such as `numpy==2.4.6 ; python_full_version < '3.12'`, with its hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.findall(r"^([a-z0-9-]+==.+?) \\\n((?:    --hash=.+\n)+)", text, re.MULTILINE)
    return {pin: re.sub(r"[\s\\]+", " ", hashes) for pin, hashes in blocks}


def names(lock: str) -> set[str]:
    return {pin.partition("==")[0] for pin in pins(lock)}


def test_a_server_has_the_versions_and_hashes_of_the_lock_file() -> None:
    everything, server = pins("requirements.lock"), pins("deploy/requirements.lock")
    assert len(server) > 80
    versions = {pin.partition(" ")[0]: hashes for pin, hashes in everything.items()}
    for pin, hashes in server.items():
        name = pin.partition("==")[0]
        if name in names("requirements.lock"):  # markers may differ: other packages ask for it
            assert versions.get(pin.partition(" ")[0]) == hashes, f"{pin}: make lock"


def test_a_server_has_all_that_the_page_needs_and_no_developers_package() -> None:
    lines = PYPROJECT["project"]["dependencies"] + EXTRAS["serve"]
    wanted = {canonicalize_name(Requirement(line).name) for line in lines}
    assert wanted | {"authlib"} <= names("deploy/requirements.lock")
    developers = {canonicalize_name(Requirement(line).name) for line in EXTRAS["dev"] + EXTRAS["train"]}
    both = {"authlib"}  # the tests of the login need it, too
    assert not (developers - both) & names("deploy/requirements.lock")


def test_the_lock_file_of_a_server_names_no_index() -> None:
    text = (ROOT / "deploy" / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|--index-url|--find-links|--trusted-host", text)


def test_the_container_has_every_file_that_the_wheel_has() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    copied = {source for line in lines for source in line.split()}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for file in [*PYPROJECT["tool"]["hatch"]["build"]["hooks"]["custom"]["files"], "triovision"]:
        assert {file, file.partition("/")[0]} & copied, f"{file}: not in the Dockerfile"
    for source in copied - {"${LOCK}"}:
        through = any(fnmatch(source, line) or line.startswith(f"{source}/") for line in let_in)
        assert through, f"{source}: not in .dockerignore"
