"""Commands that are killed at random moments and repeated end with the files of an undisturbed one.

Each kill falls at a random moment of the time that the undisturbed command took; what is left to do shrinks from
repetition to repetition, so that some end before their moment, and begin anew in an empty folder.
"""

from __future__ import annotations

import random
import signal

import pytest

from tests.soak.command_process import CommandProcess
from tests.soak.jobs import Job


def kill_often(commands: CommandProcess, job: Job, kills: int, seed: int) -> None:
    job.fresh()
    whole = job.run(commands)
    assert whole.status == 0, whole.output
    expected = job.hashes()
    moments, killed, parts, rounds = random.Random(seed), 0, 0, 0  # noqa: S311 - moments, not secrets
    while killed < kills:
        job.fresh()
        rounds += 1
        for _ in range(5):  # kills of one folder at most; then it is to end
            ended = job.run(commands, moments.uniform(0, whole.seconds) if killed < kills else None)
            assert ended.orphans == 0
            if ended.status != -signal.SIGKILL:
                break
            killed += 1
            parts += sum(path.suffix == ".part" for path in job.out.rglob("*"))
        else:
            ended = job.run(commands)
        assert ended.status == 0, ended.output
        assert job.hashes() == expected
    print(f"{job.name}: {killed} kills in {rounds} folders left {parts} parts, the repeated command none; same hashes")


@pytest.mark.parametrize(("seed", "name"), list(enumerate(["training", "manifest", "landmarks", "installation"])))
def test_killed_commands_end_with_the_files_of_undisturbed_ones(
    commands: CommandProcess, seed: int, name: str, request: pytest.FixtureRequest, long_form: bool
) -> None:
    kill_often(commands, request.getfixturevalue(name), 20 if long_form else 3, seed)
