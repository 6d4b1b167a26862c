"""PDF of a report, printed by an installed Chrome or Chromium without a window and without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from triovision.errors import Message, ReportError
from triovision.files import atomic_write

TIMEOUT_S: Final = 90
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_PLACES: Final = {
    "darwin": ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",),
    "win32": (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    ),
}
_REMEDY: Final = Message("Write the report as HTML and print it from a browser, or name a browser in BROWSER_PATH")


def find_browser() -> Path:
    """Path of an installed Chrome, Chromium or Edge; the environment variable `BROWSER_PATH` names another one.

    Raises:
        ReportError: If there is none.
    """
    named = os.environ.get("BROWSER_PATH")
    candidates = [named] if named else [*map(shutil.which, _NAMES), *_PLACES.get(sys.platform, ())]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    if named:
        raise ReportError(named, Message("is not a browser's program file"), _REMEDY)
    raise ReportError("PDF", Message("needs Chrome or Chromium, and none was found"), _REMEDY)


def write_pdf(page: str, target: Path) -> None:
    """Print an HTML page to a PDF file.

    Args:
        page: A page that needs nothing but itself.
        target: The file; replaced when it exists.

    Raises:
        ReportError: If no browser is installed, or it fails or takes too long.
        OSError: If the file cannot be written.
    """
    browser = find_browser()
    with TemporaryDirectory(prefix="triovision-report-", ignore_cleanup_errors=True) as scratch:
        source, printed = Path(scratch) / "report.html", Path(scratch) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        message = _run([str(browser), *_flags(Path(scratch), printed), source.as_uri()])
        content = printed.read_bytes() if printed.is_file() else b""
    if not content.startswith(b"%PDF"):
        raise ReportError(str(browser), Message("wrote no PDF ({why})", why=message), _REMEDY)
    atomic_write(target, content)


def _flags(scratch: Path, printed: Path) -> list[str]:
    flags = [
        "--headless",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-extensions",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--no-first-run",
        "--no-pdf-header-footer",
        f"--user-data-dir={scratch / 'profile'}",
        f"--print-to-pdf={printed}",
    ]
    # Chromium refuses to run its sandbox as root, which is the user of many containers.
    return [*flags, "--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else flags


def _run(command: list[str]) -> str:
    """Run the browser and return the last line that it printed."""
    try:
        done = subprocess.run(  # noqa: S603 - a browser of this machine, without a shell
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        reason = Message("took longer than {seconds} s", seconds=TIMEOUT_S)
        raise ReportError(command[0], reason, _REMEDY) from exc
    except OSError as exc:
        raise ReportError(command[0], Message("cannot be started ({why})", why=exc.strerror), _REMEDY) from exc
    lines = done.stderr.strip().splitlines()
    return lines[-1][:200] if lines else f"exit status {done.returncode}"
