"""Command line: `triovision predict`, `evaluate`, `report`, `serve`, `app`, `models` and `train`."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

import click
from tqdm import tqdm

from triovision.cli.app import app
from triovision.cli.calibrate import calibrate
from triovision.cli.model_figures import figures, studies
from triovision.cli.models import models
from triovision.cli.report import report
from triovision.cli.serve import serve
from triovision.cli.terminal import json_line, one_line
from triovision.cli.train import train
from triovision.cli.train.options import DEVICE, WHERE, photos_where
from triovision.errors import TrioVisionError
from triovision.extras import require
from triovision.languages import ENGLISH
from triovision.prediction_texts import area_sentence, area_title, confidence_name, title_probability
from triovision.results import Prediction

OUTPUT = click.Choice(["json", "table"])


_NO_ROOM = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota error
_MAKE_ROOM = "Free some space, or name a folder that can be written, and run the same command again."


class _Commands(click.Group):
    """Command group that prints errors of TrioVision in one line on standard error, with exit status 2.

    So it does with a full disk, which any command may meet in any file.
    """

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except TrioVisionError as exc:
            click.echo(f"Error: {one_line(exc)}", err=True)
            ctx.exit(2)
        except OSError as exc:
            if exc.errno not in _NO_ROOM:
                raise
            where = one_line(exc.filename or "the disk")
            click.echo(f"Error: {where}: cannot be written ({exc.strerror}). {_MAKE_ROOM}", err=True)
            ctx.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Where was this photo taken?"""


models.add_command(calibrate)
models.add_command(figures)
models.add_command(studies)
main.add_command(app)
main.add_command(models)
main.add_command(report)
main.add_command(serve)
main.add_command(train)


@main.command()
@click.argument("photos", nargs=-1, required=True)
@click.option("--model", "model_id", help="Model id; see `models`.")
@click.option("--top-k", default=5, type=click.IntRange(min=1), help="Number of countries in each prediction.")
@click.option("--format", "form", type=OUTPUT, default="table")
@DEVICE
def predict(photos: tuple[str, ...], model_id: str | None, top_k: int, form: str, device: str | None) -> None:
    """Predict where PHOTOS were taken: files, folders (searched recursively) and globs.

    JSON has one object per line. Exit status: 0 after a prediction for every photo, 1 if a photo was refused, 2 for
    wrong usage.
    """
    from triovision.inference import load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.batch import predict_files  # noqa: PLC0415

    paths = list(_files(photos))
    if not paths:
        raise click.UsageError(f"No file found under {', '.join(photos)}.")
    model = load_model(model_id, device)
    show = _json_line if form == "json" else _table_line
    refused = 0
    # disable=None: a bar in a terminal but not in a pipe; a single photo needs none.
    with tqdm(total=len(paths), unit="photo", disable=None if len(paths) > 1 else True) as bar:
        for path, outcome in predict_files(model, paths, top_k):
            with tqdm.external_write_mode(file=sys.stdout):
                click.echo(show(path, outcome))
            refused += not isinstance(outcome, Prediction)
            bar.update()
    sys.exit(1 if refused else 0)


@main.command()
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="CSV: file, country, lat, lon.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the files; the manifest's by default.")
@click.option("--model", "model_id", help="Model id; see `models`.")
@WHERE
@click.option(
    "--training-manifest",
    type=click.Path(path_type=Path),
    help="Manifest of the model's training photos, for distances by the nearest training photo.",
)
@click.option("--format", "form", type=OUTPUT, default="table")
@DEVICE
def evaluate(
    manifest: Path,
    root: Path | None,
    model_id: str | None,
    where: tuple[str, ...],
    training_manifest: Path | None,
    form: str,
    device: str | None,
) -> None:
    """Measure a model on photos with known places.

    Unreadable photos are counted and listed. Exit status 0 when all were read, 1 when some were not.
    """
    require("train")
    from triovision.inference import load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.evaluation.predict import evaluate as evaluate_model  # noqa: PLC0415

    _, photos = photos_where(manifest, root, where)
    trained_on = None if training_manifest is None else read_manifest(training_manifest, columns=["lat", "lon"])
    with tqdm(total=len(photos), unit="photo", disable=None) as bar:
        evaluation = evaluate_model(load_model(model_id, device), photos, bar.update, trained_on)
    if form == "json":
        unreadable = [{"file": file, "reason": reason} for file, reason in evaluation.unreadable]
        click.echo(json.dumps({"model": evaluation.model, "metrics": evaluation.metrics, "unreadable": unreadable}))
    else:
        for name, value in evaluation.metrics.items():
            click.echo(f"{name:32} {'-' if value is None else f'{value:.4g}'}")
        for _, reason in evaluation.unreadable:
            click.echo(f"unreadable: {one_line(reason)}", err=True)
    sys.exit(1 if evaluation.unreadable else 0)


def _files(arguments: Iterable[str]) -> Iterator[Path]:
    """Yield files in the order of the arguments; folders and globs are sorted, missing files are refused later."""
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            yield from sorted(entry for entry in path.rglob("*") if entry.is_file() and not entry.name.startswith("."))
        elif not path.exists() and any(sign in argument for sign in "*?["):
            yield from sorted(Path(entry) for entry in glob(argument, recursive=True) if Path(entry).is_file())
        else:
            yield path


def _json_line(path: Path, outcome: Prediction | TrioVisionError) -> str:
    if isinstance(outcome, Prediction):
        return json_line({**outcome.to_dict(), "photo": str(path)})
    error = {"type": type(outcome).__name__, "message": str(outcome)}
    return json_line({"photo": str(path), "error": error})


def _table_line(path: Path, outcome: Prediction | TrioVisionError) -> str:
    if not isinstance(outcome, Prediction):
        return f"{one_line(path)}: refused: {one_line(outcome)}"
    probability = title_probability(outcome)
    sure = confidence_name(outcome, ENGLISH) + ("" if probability is None else f", {probability:.0%}")
    # The percentages of an uncalibrated model are no shares of right answers.
    shares = [f" {guess.probability:.0%}" if outcome.calibrated else "" for guess in outcome.countries]
    countries = "  ".join(guess.country + share for guess, share in zip(outcome.countries, shares, strict=True))
    title, sentence = area_title(outcome.area, ENGLISH), area_sentence(outcome, ENGLISH)
    at = outcome.landmark or outcome.place
    position = f"{at.lat_deg:.2f}, {at.lon_deg:.2f}"
    return f"{one_line(path)}: {title} ({sure}). {sentence}  {countries}  →  {position}"
