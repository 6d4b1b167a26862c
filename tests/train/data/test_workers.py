from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from triovision.train.data.workers import map_in_processes

ROOT = Path(__file__).resolve().parents[3]
PARENT = """
    import multiprocessing, os, sys
    from triovision.train.data.workers import map_in_processes

    if __name__ == "__main__":
        pids = map_in_processes(os.getpgid, [0], workers=1, chunk_size=1, on_crash=None)
        next(pids)
        print(*(process.pid for process in multiprocessing.active_children()), flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="waits for a process that is not its child")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT))
    with subprocess.Popen(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        handles = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(handles) == 1
    for handle in handles:
        assert select.select([handle], [], [], 120)[0]
        os.close(handle)


@pytest.mark.skipif(sys.platform == "win32", reason="has no signal masks")
def test_workers_leave_ctrl_c_to_their_parent() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    blocked = list(map_in_processes(blocked_signals, [0], workers=1, chunk_size=1, on_crash=blocked_signals))
    assert signal.SIGINT in blocked[0][0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def blocked_signals(_: int) -> set[int]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())
