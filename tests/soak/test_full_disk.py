"""Commands on a full disk: one line of error, the old files whole, and success once there is room again.

The disk is a file system of 20 MB in memory, mounted by the test.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.command_process import CommandProcess, Ended
from tests.soak.jobs import Job

DISK_BYTES = 20_000_000


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A small disk in place of the folder of all files that a command writes."""
    folder = tmp_path / "out"
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["/bin/umount", folder], check=True)


def fill(folder: Path, room: int) -> None:
    """Leave so many bytes free."""
    (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free - room))


def assert_one_line_of_error(ended: Ended) -> None:
    assert ended.status == 2, ended.output
    lines = ended.output.splitlines()
    assert lines[-1].startswith("Error: "), ended.output
    assert sum("Error" in line for line in lines) == 1, ended.output
    assert "Traceback" not in ended.output


@pytest.mark.parametrize("name", ["training", "manifest", "landmarks", "installation"])
def test_a_full_disk_costs_nothing_but_time(
    commands: CommandProcess, name: str, request: pytest.FixtureRequest, long_form: bool
) -> None:
    job: Job = request.getfixturevalue(name)
    job.fresh()
    before = set(job.hashes())
    assert job.run(commands).status == 0
    expected = job.hashes()
    needed = sum((job.out / file).stat().st_size for file in set(expected) - before)
    failed = 0
    for percent in range(0, 100, 10) if long_form else (0, 60):
        job.fresh()
        fill(job.out, needed * percent // 100)
        ended = job.run(commands)
        (job.out / "filler").unlink()
        if ended.status:
            failed += 1
            assert_one_line_of_error(ended)
        assert job.run(commands).status == 0
        assert job.hashes() == expected
    assert failed
    fill(job.out, 0)
    ended = job.run(commands)  # of what is there already
    if ended.status:
        assert_one_line_of_error(ended)
    (job.out / "filler").unlink()
    assert job.hashes() == expected
    print(f"{job.name}: {failed} times on a full disk, one line of error each, same hashes once there was room")
