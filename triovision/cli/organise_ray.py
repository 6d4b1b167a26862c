"""Options and output of `triovision organise --engine ray`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
from tqdm import tqdm

from triovision.cli.terminal import CANCELLED, STANDARD_INPUT, one_line, standard_input_names
from triovision.extras import require


class _Range(click.ParamType[tuple[int, int]]):
    """`MIN:MAX`, or one number for both."""

    name = "MIN:MAX"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return both numbers."""
        if isinstance(value, tuple):
            return value
        least, _, most = str(value).partition(":")
        try:
            bounds = int(least), int(most or least)
        except ValueError:
            bounds = 0, 0
        if not 1 <= bounds[0] <= bounds[1]:
            self.fail(f"{value}: give a number of workers, or MIN:MAX such as 2:16", param, ctx)
        return bounds


_OPTIONS = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        help="ray: answer on a cluster; SOURCE and DIR may be addresses such as s3://bucket/folder, SOURCE - a list.",
    ),
    click.option("--address", help="ray: address of the cluster, such as auto; one on this machine by default."),
    click.option("--concurrency", type=_Range(), default="1:1", help="ray: number of workers, each with a model."),
    click.option("--worker-cpus", type=click.IntRange(1), default=1, help="ray: processors of a worker."),
    click.option("--num-gpus", type=click.FloatRange(0), default=0.0, help="ray: GPUs of a worker, also a fraction."),
    click.option("--part-rows", type=click.IntRange(1), default=2000, help="ray: photos in a file of answers."),
)


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the engines."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_on_ray(
    sources: tuple[str, ...],
    target: str,
    model_id: str | None,
    values: dict[str, Any],
    show: Callable[[list[dict[str, Any]]], object],
) -> None:
    """Answer photos on a cluster, show what was done, and end the program with the exit status.

    Args:
        sources: Folders, files and addresses; `-` stands for those on standard input.
        target: Folder or address of the answers.
        model_id: Model; the default one of this machine if None.
        values: Values of the options: those of `ray_options`, `batch_size` and `max_failure_rate`.
        show: Prints the summary.
    """
    require("ray")
    from triovision.collections.cluster.ray_run import RayOptions, RayProgress, organise_on_ray  # noqa: PLC0415
    from triovision.collections.organiser.progress import FailureRateError  # noqa: PLC0415 - DuckDB
    from triovision.inference.registry import default_model  # noqa: PLC0415 - torch

    least, most = values["concurrency"]
    options = RayOptions(
        address=values["address"],
        batch_size=values["batch_size"],
        min_workers=least,
        max_workers=most,
        worker_cpus=values["worker_cpus"],
        worker_gpus=values["num_gpus"],
        part_rows=values["part_rows"],
        max_failure_rate=values["max_failure_rate"],
    )
    progress = RayProgress()
    click.echo("Searching for photos …", err=True)
    try:
        with tqdm(total=0, unit="photo", disable=None) as bar:

            def draw() -> None:
                if progress.work is not None and bar.total != progress.work:
                    bar.reset(progress.work)
                bar.update(progress.done - bar.n)

            organise_on_ray(_named(sources), target, model_id or default_model(), options, progress, draw)
    except KeyboardInterrupt:
        click.echo(f"Stopped after {progress.done} photos. The same command goes on from here.", err=True)
        sys.exit(CANCELLED)
    except FailureRateError as exc:
        click.echo(f"Error: {one_line(exc)}", err=True)
        show([asdict(progress)])
        sys.exit(1)
    show([asdict(progress)])
    sys.exit(1 if progress.refused or progress.unreadable else 0)


def _named(sources: tuple[str, ...]) -> list[str]:
    names = (standard_input_names() if source == STANDARD_INPUT else (source,) for source in sources)
    return [name for group in names for name in group]
