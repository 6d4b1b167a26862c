"""Commands `triovision organise` and `triovision organise undo`."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource
from tqdm import tqdm

from triovision.cli.formats import FORMAT, print_rows
from triovision.cli.organise_ray import ray_options, run_on_ray
from triovision.cli.terminal import CANCELLED, one_line
from triovision.cli.train.options import DEVICE, FILE, FOLDER

if TYPE_CHECKING:
    from triovision.collections.organiser.database import CollectionDatabase
    from triovision.collections.organiser.progress import Progress, RunOptions
    from triovision.inference import GeoModel

FORMS: Final = ("parquet", "geoparquet", "csv", "geojson", "kmz", "gpx")
_SHOWN: Final = 20


#: Options of one engine only.
_LOCAL_ONLY: Final = (
    *("retry", "no_thumbnails", "fuse", "exports", "failures", "sort", "by", "positions"),
    *("min_probability", "write", "device"),
)
_RAY_ONLY: Final = ("address", "concurrency", "worker_cpus", "num_gpus", "part_rows")


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What is made of the answers."""

    exports: tuple[str, ...]
    failures: Path | None
    fuse: bool
    sort: str | None
    by: str
    positions: str | None
    min_probability: float
    write: bool


class _Organise(click.Group):
    """Group whose command `run` needs no name: `organise SOURCE --to DIR`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the name of the command unless one is given."""
        named = args and (args[0] in self.commands)
        return super().parse_args(ctx, args if named else ["run", *args])


class _Run(click.Command):
    """Command whose usage does not show its name."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage."""
        formatter.write_usage("triovision organise", " ".join(self.collect_usage_pieces(ctx)))


def _export_list(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for value in values for name in value.split(",")))
    if unknown := [name for name in names if name not in FORMS]:
        raise click.BadParameter(f"{', '.join(unknown)}: choose among {', '.join(FORMS)}")
    return names


@click.group(cls=_Organise)
def organise() -> None:
    """Answer any number of photos, and sort them."""


@organise.command(cls=_Run)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--to", "folder", required=True, metavar="DIR", help="Folder of the database and of all results.")
@click.option("--model", "model_id", help="Model id; see `models`.")
@click.option("--batch-size", default=32, type=click.IntRange(1, 4096), help="Photos in one pass of the network.")
@click.option("--retry", is_flag=True, help="Read refused photos again.")
@click.option(
    "--max-failure-rate",
    default=1.0,
    type=click.FloatRange(0, 1),
    help="End the run when more than this part of the photos fails; looked at after 100.",
)
@click.option("--no-thumbnails", is_flag=True, help="Keep no thumbnails; they take about 3 KB a photo.")
@click.option("--fuse", is_flag=True, help="Let photos that one camera took within an hour sharpen each other.")
@click.option(
    "--export",
    "exports",
    multiple=True,
    callback=_export_list,
    metavar="FORM,...",
    help=f"Write the answers into DIR: {', '.join(FORMS)}.",
)
@click.option("--failures", type=FILE, help="Write the photos without an answer, with the reasons, as CSV.")
@click.option("--sort", type=click.Choice(["link", "copy", "move"]), help="Sort into folders of DIR/sorted.")
@click.option("--by", type=click.Choice(["country", "place"]), default="country", help="Folders to sort into.")
@click.option(
    "--positions",
    type=click.Choice(["digikam", "lightroom", "copy"]),
    help="Write positions: sidecars photo.jpg.xmp or photo.xmp beside the photos, or copies in DIR/positions.",
)
@click.option(
    "--min-probability", default=0.9, type=click.FloatRange(0, 1), help="Least probability of a written position."
)
@click.option("--write", is_flag=True, help="Do what --sort and --positions say; without it, only show it.")
@ray_options
@FORMAT
@DEVICE
def run(
    sources: tuple[str, ...],
    folder: str,
    model_id: str | None,
    device: str | None,
    form: str,
    **values: Any,  # noqa: ANN401 - the fields of `RunOptions` and `_Outputs`
) -> None:
    """Answer all photos of SOURCE, which are files, folders and ZIP archives, and keep the answers in DIR.

    Each photo is answered once. Stop at any moment; the same command goes on where it stopped, and later answers what
    is new. --sort and --positions show what they would do until you add --write. Photos are never changed; `move`
    deletes an original only after its copy was compared, and `triovision organise undo DIR` takes it back.

    Exit status: 0 when every photo has an answer, 1 when some have none or the run ended early, 2 for wrong usage, 130
    after Ctrl-C.

    \b
    Examples:
      triovision organise holiday/ old.zip --to answers --export csv,geoparquet --failures failures.csv
      triovision organise holiday/ --to answers --sort move --by place --write
    """  # noqa: D301 - click reads the escape
    from triovision.collections.organiser.database import CollectionDatabase  # noqa: PLC0415 - DuckDB
    from triovision.collections.organiser.progress import FailureRateError, Progress, RunOptions  # noqa: PLC0415
    from triovision.inference import load_model  # noqa: PLC0415 - `--help` must not wait for torch

    if values["engine"] == "ray":
        _refuse(_LOCAL_ONLY)
        run_on_ray(sources, folder, model_id, values, lambda rows: _show(rows, form))
    _refuse(_RAY_ONLY)
    options = RunOptions(
        batch_size=values.pop("batch_size"),
        retry=values.pop("retry"),
        max_failure_rate=values.pop("max_failure_rate"),
        thumbnails=not values.pop("no_thumbnails"),
    )
    outputs = _Outputs(**{field.name: values[field.name] for field in fields(_Outputs)})
    progress = Progress()
    with CollectionDatabase(Path(folder)) as database:
        try:
            model = load_model(model_id, device)
            _answer(database, model, tuple(map(Path, sources)), options, progress)
            faults = _write_outputs(database, model, outputs, form)
        except KeyboardInterrupt:
            done = "Stopped before the first photo was read." if progress.plan is None else _stopped(progress)
            click.echo(f"{done} The same command goes on from here.", err=True)
            sys.exit(CANCELLED)
        except FailureRateError as exc:
            click.echo(f"Error: {one_line(exc)}", err=True)
            _show([_summary(database, progress)], form)
            sys.exit(1)
        summary = _summary(database, progress)
        _show([summary], form, err=bool(outputs.sort or outputs.positions))
    sys.exit(1 if faults or summary["without_answer"] else 0)


@organise.command()
@click.argument("folder", type=FOLDER, metavar="DIR")
@FORMAT
def undo(folder: Path, form: str) -> None:
    """Take back what --sort did in DIR: moved photos go back to their places, links and copies are deleted.

    What somebody has changed since stays where it is and is listed. Exit status: 0 when all was taken back, 1 when
    something was not.

    \b
    Examples:
      triovision organise undo answers
      triovision organise undo answers --format json
    """  # noqa: D301 - click reads the escape
    from triovision.collections.organiser.sorting import shown  # noqa: PLC0415 - DuckDB
    from triovision.collections.organiser.sorting import undo as undo_sort  # noqa: PLC0415

    counts = _show_steps(map(shown, undo_sort(folder)), form, "taken back")
    sys.exit(1 if counts["fault"] else 0)


def _refuse(options: Iterable[str]) -> None:
    """Refuse options that the other engine has."""
    context = click.get_current_context()
    given = [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        engines = "the local engine" if given[0] in _LOCAL_ONLY else "the engine ray"
        raise click.UsageError(f"{names}: only {engines} has this option.")


def _answer(
    database: CollectionDatabase, model: GeoModel, sources: tuple[Path, ...], options: RunOptions, progress: Progress
) -> None:
    from triovision.collections.organiser.run import organise as organise_photos  # noqa: PLC0415

    click.echo("Searching for photos …", err=True)
    with tqdm(total=0, unit="file", disable=None) as bar:  # a bar in a terminal but not in a pipe

        def draw() -> None:
            if progress.plan is not None and bar.total != progress.plan.work:
                bar.reset(progress.plan.work)
            failed = progress.refused + progress.unreadable
            if failed:
                bar.set_postfix(failed=failed, refresh=False)
            bar.update(progress.done - bar.n)

        organise_photos(database, model, sources, options, progress, draw)


def _write_outputs(database: CollectionDatabase, model: GeoModel, outputs: _Outputs, form: str) -> int:
    """Make what is wanted of the answers, and return the number of photos for which that failed."""
    from triovision.collections.organiser import exports, fusing, positions, sorting  # noqa: PLC0415 - pandas
    from triovision.collections.row_predictor import answers_sha256  # noqa: PLC0415

    key, folder, faults = answers_sha256(model), database.path.parent, 0
    if outputs.fuse:
        count = fusing.fuse_collection(database, key, model.card.calibration)
        click.echo(f"{count} photos were sharpened by photos taken within an hour.", err=True)
    if outputs.sort is not None:
        how: Any = outputs.sort
        by: Any = outputs.by
        steps = sorting.sort(database, key, how, by) if outputs.write else sorting.plan_sort(database, key, by)
        counts = _show_steps(map(sorting.shown, steps), form, "sorted" + _dry(outputs))
        faults += counts["fault"]
    if outputs.positions is not None:
        style: Any = outputs.positions
        written = positions.write_positions(database, key, style, outputs.min_probability, write=outputs.write)
        counts = _show_steps(map(positions.shown, written), form, "positions" + _dry(outputs))
        faults += counts["fault"]
    for name in outputs.exports:
        for path in exports.export(database, key, name, folder):
            click.echo(f"{one_line(path)} is written.", err=True)
    if outputs.failures is not None:
        count = exports.write_failures(database, outputs.failures)
        click.echo(f"{one_line(outputs.failures)} is written: {count} photos without an answer.", err=True)
    return faults


def _dry(outputs: _Outputs) -> str:
    return "" if outputs.write else ", if you add --write"


def _summary(database: CollectionDatabase, progress: Progress) -> dict[str, Any]:
    from triovision.collections.organiser.photos import FAILURES  # noqa: PLC0415 - pandas

    plan = progress.plan
    (failures,) = database.first(f"SELECT count(*) FROM ({FAILURES})")  # noqa: S608 - a constant
    (answers,) = database.first("SELECT count(*) FROM answers")
    return {
        "found": 0 if plan is None else plan.found,
        "other_files": 0 if plan is None else plan.others,
        "appeared": 0 if plan is None else plan.appeared,
        "changed": 0 if plan is None else plan.changed,
        "vanished": 0 if plan is None else plan.vanished,
        "answered": progress.answered,
        "repeated": progress.repeated,
        "refused": progress.refused,
        "unreadable": progress.unreadable,
        "without_answer": failures,
        "answers": answers,
    }


def _stopped(progress: Progress) -> str:
    work = 0 if progress.plan is None else progress.plan.work
    return f"Stopped: {progress.done} of {work} files were read, and their answers are kept."


def _show(rows: Iterable[dict[str, Any]], form: str, *, err: bool = False) -> None:
    """Print rows: as lines of names and values, as JSON lines, or as CSV."""
    if form != "table":
        print_rows(rows, form, err=err)
        return
    for row in rows:
        for name, value in row.items():
            click.echo(f"{name.replace('_', ' '):16} {'' if value is None else one_line(value)}", err=err)


def _show_steps(steps: Iterator[dict[str, Any]], form: str, title: str) -> Counter[str]:
    """Print what was done with each photo: every one for programs, a few and the numbers for people."""
    counts: Counter[str] = Counter()

    def counted() -> Iterator[dict[str, Any]]:
        for step in steps:
            counts["fault" if step["fault"] else "skipped" if step.get("skipped") else "done"] += 1
            yield step

    if form != "table":
        _show(counted(), form)
        return counts
    rows = counted()
    for step in itertools.islice(rows, _SHOWN):
        click.echo(_step_line(step))
    for step in rows:  # the rest in numbers, and each fault
        if step["fault"]:
            click.echo(_step_line(step))
    parts = [f"{counts['done']} {title}", *(f"{counts[name]} {name}" for name in ("skipped", "fault") if counts[name])]
    click.echo("; ".join(parts).replace(" fault", " failed") + ".")
    return counts


def _step_line(step: dict[str, Any]) -> str:
    why = step["fault"] or step.get("skipped")
    return one_line(f"{step['photo']}: {why}" if why else f"{step['photo']} → {step['target']}")
