"""Process that has imported the program once and forks a child for each command, which may be killed at any moment.

A moment then falls into the work of a command and not into its imports, and 20 kills cost seconds. Run as a program it
reads a command a line and answers with what became of it; `CommandProcess` is its other end. Linux only.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[2]
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_S = 300.0
_ORPHANS_S = 60.0  # that children of a killed command may live on


class Ended(NamedTuple):
    """What became of a command.

    Attributes:
        status: Exit status; -9 if it was killed.
        seconds: Seconds until then.
        orphans: Children that still ran a minute after it.
        output: What it printed.
    """

    status: int
    seconds: float
    orphans: int
    output: str


class CommandProcess:
    """The process, from outside; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        *arguments: object,
        log: Path,
        kill_after_s: float | None = None,
        env: dict[str, str] | None = None,
        model: tuple[Path, Path] | None = None,
    ) -> Ended:
        """Run `triovision` with arguments.

        Args:
            arguments: Those of the command line.
            log: File for its output.
            kill_after_s: When to send SIGKILL.
            env: Variables to set.
            model: Card of the model that can be installed, and folder of its package.
        """
        command = {
            "arguments": [str(argument) for argument in arguments],
            "log": str(log),
            "kill_after_s": kill_after_s,
            "env": env or {},
            "model": [str(path) for path in model or ()],
        }
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()), log.read_text("utf-8"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


def _child(command: dict[str, Any]) -> None:
    """Become the command."""
    os.setsid()
    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(command["env"])
    from triovision import transfer_limits  # noqa: PLC0415
    from triovision.cli import main as triovision  # noqa: PLC0415
    from triovision.inference.card import ModelCard  # noqa: PLC0415
    from triovision.inference.geoclip import release  # noqa: PLC0415

    # Neither can be chosen by an option of the program.
    transfer_limits.LIMITS = transfer_limits.TransferLimits(allowed=lambda address: address.is_loopback)
    if command["model"]:
        path, package = map(Path, command["model"])
        card = ModelCard.model_validate_json(path.read_bytes())
        release.released_card = lambda: card
        release.package_folder = lambda: package
    sys.argv = ["triovision", *command["arguments"]]
    triovision(command["arguments"])


def _wait(child: int, kill_after_s: float | None) -> tuple[int, float]:
    start = time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - start
        if pid:
            return os.waitstatus_to_exitcode(status), seconds
        if seconds >= (_LONGEST_S if kill_after_s is None else kill_after_s):
            os.kill(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seconds
        time.sleep(0.001)


def _count_orphans(session: int) -> int:
    """Wait for the children of a command, which are ours once it has died."""
    end = time.monotonic() + _ORPHANS_S
    while time.monotonic() < end:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.01)
        except ChildProcessError:
            return 0
    left = [int(child) for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()]
    os.killpg(session, signal.SIGKILL)
    return len(left)


def _serve() -> None:
    """Answer commands until there are no more."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    import lightning.pytorch  # noqa: F401, PLC0415
    import torchvision.transforms.v2  # noqa: F401, PLC0415
    import transformers  # noqa: F401, PLC0415

    from triovision.cli import train  # noqa: F401, PLC0415
    from triovision.collections.organiser import run as organiser_run  # noqa: F401, PLC0415
    from triovision.collections.organiser import sorting  # noqa: F401, PLC0415
    from triovision.inference import registry  # noqa: F401, PLC0415
    from triovision.inference.geoclip import installation, loading  # noqa: F401, PLC0415
    from triovision.train.data.build import folders  # noqa: F401, PLC0415
    from triovision.train.data.gldv2 import download  # noqa: F401, PLC0415
    from triovision.train.engine import run  # noqa: F401, PLC0415

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                _child(command)
            except SystemExit as end:
                sys.stdout.flush()
                os._exit(end.code if isinstance(end.code, int) else 1)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(70)
        status, seconds = _wait(child, command["kill_after_s"])
        print(json.dumps([status, seconds, _count_orphans(child)]), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
