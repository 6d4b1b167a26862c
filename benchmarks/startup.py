"""Start-up in fresh processes: `import triovision` and `triovision predict` for one photo, beside their bare limits.

The bare limit of the import is an empty Python, that of the prediction `import torch, timm`. All cases take turns, and
CPU time (user and system) stands beside wall time, because other processes disturb it less.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from benchmarks.images import jpeg

ROOT = Path(__file__).resolve().parents[1]


class Seconds(NamedTuple):
    """Wall time and CPU time of a process."""

    wall: float
    cpu: float


def run(arguments: Sequence[str], checkout: Path) -> Seconds:
    """Run Python in a checkout and return the time of the process."""
    before, start = os.times(), os.times().elapsed
    subprocess.run([sys.executable, *arguments], cwd=checkout, check=True, capture_output=True)  # noqa: S603 - ours
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Seconds(after.elapsed - start, cpu)


def measure(cases: dict[str, tuple[Sequence[str], Path]], rounds: int) -> dict[str, Seconds]:
    """Return the medians of each case over rounds in turn, after one round of warm-up."""
    times: dict[str, list[Seconds]] = {name: [] for name in cases}
    for counted in [False] + [True] * rounds:
        for name, (arguments, checkout) in cases.items():
            seconds = run(arguments, checkout)
            if counted:
                times[name].append(seconds)
    return {
        name: Seconds(statistics.median(one.wall for one in of_case), statistics.median(one.cpu for one in of_case))
        for name, of_case in times.items()
    }


@click.command()
@click.option("--against", type=click.Path(exists=True, path_type=Path), help="Another checkout to run in turn.")
@click.option("--rounds", default=5, show_default=True)
def main(against: Path | None, rounds: int) -> None:
    """Print the medians and their ratios, and the ratios to another checkout."""
    checkouts = {"this": ROOT} | ({"other": against.resolve()} if against else {})
    with TemporaryDirectory() as scratch:
        photo = Path(scratch) / "photo.jpg"
        photo.write_bytes(jpeg(4000, 3000))
        cases: dict[str, tuple[Sequence[str], Path]] = {
            "bare import": (["-c", "pass"], ROOT),
            "bare predict": (["-c", "import torch, timm"], ROOT),
        }
        for name, checkout in checkouts.items():
            cases[f"{name} import"] = (["-c", "import triovision"], checkout)
            cases[f"{name} predict"] = (["-m", "triovision", "predict", str(photo), "--device", "cpu"], checkout)
        medians = measure(cases, rounds)
    print(f"{os.cpu_count()} cores, {rounds} rounds, photo of 4000 x 3000")
    for name, seconds in medians.items():
        bare = medians[f"bare {name.partition(' ')[2]}"]
        ratios = f"{seconds.wall / bare.wall:5.2f} x bare wall, {seconds.cpu / bare.cpu:5.2f} x bare CPU"
        print(f"{name:14} wall {seconds.wall:6.2f} s   CPU {seconds.cpu:6.2f} s   {ratios}")
    for name in ("import", "predict") if against else ():
        this, other = medians[f"this {name}"], medians[f"other {name}"]
        print(f"{name}: this / other = {this.wall / other.wall:.2f} wall, {this.cpu / other.cpu:.2f} CPU")


if __name__ == "__main__":
    main()
