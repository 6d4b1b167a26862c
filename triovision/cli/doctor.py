"""Command `triovision doctor`: what this installation has, what it lacks, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final, Literal

import click

from triovision import __version__
from triovision.bundle import ASSETS, NODE_MODULES
from triovision.cli.formats import FORMAT, print_rows
from triovision.cli.terminal import one_line
from triovision.errors import ReportError, TrioVisionError
from triovision.extras import PACKAGES, PURPOSES, install_command, missing_packages
from triovision.files import cache_folder

State = Literal["ok", "note", "fault"]

#: Servers that are asked only when somebody wants what they have, and what is missing without them.
_SERVERS: Final = {
    os.environ.get("HF_ENDPOINT", "https://huggingface.co"): "the worldwide model cannot be installed",
    "https://services.arcgisonline.com": "maps show country outlines, without streets and satellite pictures",
    "https://commons.wikimedia.org": "example photos of Wikimedia Commons cannot be fetched",
}
_TIMEOUT_S: Final = 4.0
_LEAST_FREE_GB: Final = 2.0
_EXAMPLE: Final = ASSETS / "examples" / "china.jpg"


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check.

    Attributes:
        check: What was looked at.
        state: `ok`; `note` for an optional part that is not there; `fault` for something that must be mended.
        found: What was found.
        remedy: What to do; empty where nothing is to be done.
    """

    check: str
    state: State
    found: str
    remedy: str = ""


@click.command()
@click.option("--offline", is_flag=True, help="Ask no server on the internet.")
@click.option("--device", help="Device to look at; the fastest present by default.")
@FORMAT
def doctor(offline: bool, device: str | None, form: str) -> None:
    """Check this installation: versions, device, models and their hashes, map, disk, network; then answer a photo.

    Each line says what was found and what to do. Exit status: 0 if nothing must be mended, else 1.

    \b
    Examples:
      triovision doctor
      triovision doctor --offline --format json
    """  # noqa: D301 - click reads the escape
    faults = 0

    def checks() -> Iterator[Check]:
        nonlocal faults
        for check in run_checks(device, offline):
            faults += check.state == "fault"
            yield check

    if form == "table":
        for check in checks():
            _print(check)
        click.echo("Everything needed is there." if not faults else f"To be mended: {faults}.")
    else:
        print_rows(map(asdict, checks()), form)
    sys.exit(1 if faults else 0)


def run_checks(device: str | None, offline: bool) -> Iterator[Check]:
    """Run all checks one by one, the quick ones first; none of them raises."""
    yield Check("TrioVision", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    missing = missing_packages("")
    yield from _packages(missing)
    for name, check in (("map", _map), ("PDF", _browser), ("cache", _cache)):
        yield from _guarded(name, check)
    if not missing:
        yield from _guarded("device", lambda: _device(device))
        yield from _guarded("models", _models)
        yield from _guarded("prediction", lambda: _prediction(device))
    if not offline:
        for server, without in _SERVERS.items():
            yield _server(server, without)


def _guarded(name: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """A check that fails is a fault with its reason."""
    try:
        yield from check()
    except TrioVisionError as exc:
        yield Check(name, "fault", f"{exc.subject}: {exc.reason}", str(exc.remedy))
    except Exception as exc:
        yield Check(name, "fault", f"{type(exc).__name__}: {exc}", f"Install the packages anew: {install_command('')}")


def _packages(missing: tuple[str, ...]) -> Iterator[Check]:
    if missing:
        yield Check("packages", "fault", f"missing: {', '.join(missing)}", install_command(""))
    else:
        versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm", "streamlit"))
        yield Check("packages", "ok", versions)
    for extra in filter(None, PACKAGES):
        absent = missing_packages(extra)
        found = f"for {PURPOSES[extra]}: " + (f"missing {', '.join(absent)}" if absent else "installed")
        yield Check(f"packages of {extra}", "note" if absent else "ok", found, install_command(extra) if absent else "")


def _device(name: str | None) -> Iterator[Check]:
    import torch  # noqa: PLC0415 - slow
    import torchvision  # noqa: F401, PLC0415 - fails where it was built for another release of torch

    from triovision.inference.device import choose_device, choose_precision  # noqa: PLC0415

    device = choose_device(name)
    precision = str(choose_precision(device)).removeprefix("torch.")
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    slow = "" if precision == "bfloat16" else "; it computes no bfloat16, which would be faster"
    yield Check("device", "ok", f"{device} ({kind}), {precision}{slow}")


def _models() -> Iterator[Check]:
    from triovision.inference.card import read_card  # noqa: PLC0415 - torch
    from triovision.inference.registry import default_model, file_faults, found_models  # noqa: PLC0415

    folders, default = found_models(), default_model()
    if default not in folders:
        yield Check("models", "fault", f"the default model {default} is not installed", "See `triovision models`")
    for model_id, folder in folders.items():
        fault = next(file_faults(folder, card := read_card(folder, model_id)), None)
        name = f"model {model_id}"
        if fault is not None:
            needed = model_id == default
            yield Check(name, "fault" if needed else "note", f"{fault.subject}: {fault.reason}", str(fault.remedy))
            continue
        hashed = "" if card.weights_sha256 is None else f", SHA-256 {card.weights_sha256[:12]}…"
        yield Check(name, "ok", f"whole{hashed}{', the default' if model_id == default else ''}")


def _prediction(device: str | None) -> Iterator[Check]:
    """Answer the example photo, through a decoder process as the page does."""
    from triovision.inference import load_model  # noqa: PLC0415 - torch
    from triovision.photo import decoder_pool  # noqa: PLC0415

    photo = decoder_pool().read(_EXAMPLE.read_bytes(), _EXAMPLE.name)
    model = load_model(None, device)
    model.predict([photo])  # the first one also allocates
    (answer,) = model.predict([photo])
    yield Check("prediction", "ok", f"{model.card.id} answers the example photo in {answer.elapsed_ms:.0f} ms")


def _map() -> Iterator[Check]:
    from triovision.viz.leaflet import missing_files  # noqa: PLC0415 - folium

    if missing := missing_files(NODE_MODULES):
        remedy = "In the checkout: make assets, or npm ci --ignore-scripts"
        yield Check("map", "fault", f"{len(missing)} files missing, such as {missing[0]}", remedy)
    else:
        yield Check("map", "ok", f"scripts in {NODE_MODULES}")


def _browser() -> Iterator[Check]:
    from triovision.photo_report.printing import find_browser  # noqa: PLC0415 - slow

    try:
        yield Check("PDF", "ok", f"printed by {find_browser()}")
    except ReportError as exc:
        yield Check("PDF", "note", str(exc.reason), str(exc.remedy))


def _cache() -> Iterator[Check]:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        yield Check("cache", "fault", f"{folder}: {os.strerror(exc.errno or 0)}", "Name a folder in XDG_CACHE_HOME")
        return
    free_gb = shutil.disk_usage(folder).free / 1e9
    enough = free_gb >= _LEAST_FREE_GB
    remedy = "" if enough else "Free some space: the worldwide model needs 1.7 GB"
    yield Check("cache", "ok" if enough else "note", f"{folder}, {free_gb:.1f} GB free", remedy)


def _server(url: str, without: str) -> Check:
    """Ask a server for its headers, through the proxy of the environment; any answer will do."""
    import requests  # noqa: PLC0415 - slow

    from triovision.transfer import root_cause  # noqa: PLC0415 - imports requests

    try:
        requests.head(url, timeout=_TIMEOUT_S).close()
    except requests.RequestException as exc:
        return Check(f"network: {url}", "note", f"not reached ({root_cause(exc)}); {without}")
    return Check(f"network: {url}", "ok", "reached")


def _print(check: Check) -> None:
    colour = {"ok": "green", "note": "yellow", "fault": "red"}[check.state]
    click.echo(f"{click.style(f'{check.state:6}', fg=colour)}{check.check}: {one_line(check.found)}")
    if check.remedy:
        click.echo(f"      → {one_line(check.remedy)}")
