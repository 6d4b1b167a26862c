"""Command `triovision predict`: where photos were taken, in lines that come as soon as they are known."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from glob import glob
from itertools import chain
from pathlib import Path
from typing import Final

import click
from tqdm import tqdm

from triovision.cli.formats import FORMAT, csv_line, json_line
from triovision.cli.terminal import CANCELLED, STANDARD_INPUT, one_line, standard_input_names
from triovision.cli.train.options import DEVICE
from triovision.errors import TrioVisionError
from triovision.languages import ENGLISH
from triovision.prediction_texts import area_sentence, area_title, confidence_name, title_probability
from triovision.results import Prediction

_COLUMNS: Final = (
    *("photo", "area_kind", "area", "country", "probability", "place", "lat_deg", "lon_deg"),
    *("radius_km", "radius_90_km", "abstained", "model", "error"),
)


@click.command()
@click.argument("photos", nargs=-1, required=True)
@click.option("--model", "model_id", help="Model id; see `models`.")
@click.option("--top-k", default=5, type=click.IntRange(min=1), help="Number of countries in each prediction.")
@FORMAT
@DEVICE
def predict(photos: tuple[str, ...], model_id: str | None, top_k: int, form: str, device: str | None) -> None:
    """Predict where PHOTOS were taken: files, folders (searched recursively), globs, or - for paths on standard input.

    Each answer is printed as soon as it is known, in the order of the photos. Exit status: 0 after a prediction for
    every photo, 1 if a photo was refused, 2 for wrong usage, 130 after Ctrl-C.

    \b
    Examples:
      triovision predict holiday.jpg Pictures/
      find / -name '*.heic' | triovision predict - --format csv > answers.csv
    """  # noqa: D301 - click reads the escape
    from triovision.inference import load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.batch import predict_files  # noqa: PLC0415

    paths = _files(photos)
    first = next(paths, None)
    if first is None:
        where = "standard input" if photos == (STANDARD_INPUT,) else ", ".join(photos)
        raise click.UsageError(f"No file found under {where}.")
    model = load_model(model_id, device)
    if form == "csv":
        click.echo(csv_line(_COLUMNS))
    done = refused = 0
    # disable=None: a bar in a terminal but not in a pipe.
    with tqdm(total=_count(photos), unit="photo", disable=None) as bar:
        try:
            for path, outcome in predict_files(model, chain([first], paths), top_k):
                with tqdm.external_write_mode(file=sys.stdout):
                    click.echo(_LINES[form](path, outcome))
                done, refused = done + 1, refused + (not isinstance(outcome, Prediction))
                bar.update()
        except KeyboardInterrupt:
            click.echo(f"Cancelled after {done} photos; their answers are complete.", err=True)
            sys.exit(CANCELLED)
    sys.exit(1 if refused else 0)


def _files(arguments: Iterable[str]) -> Iterator[Path]:
    """Yield files in the order of the arguments; folders and globs are sorted, missing files are refused later."""
    for argument in arguments:
        path = Path(argument)
        if argument == STANDARD_INPUT:
            yield from (file for name in standard_input_names() for file in _in_folder(Path(name)))
        elif not path.exists() and any(sign in argument for sign in "*?["):
            yield from sorted(Path(entry) for entry in glob(argument, recursive=True) if Path(entry).is_file())
        else:
            yield from _in_folder(path)


def _in_folder(path: Path) -> Iterator[Path]:
    """Yield the files below a folder, one folder after the other, so that the first comes at once; or the file."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _count(arguments: tuple[str, ...]) -> int | None:
    """Number of files for the time left on a terminal; None where nobody sees it or only the end tells it."""
    if STANDARD_INPUT in arguments or not sys.stderr.isatty():
        return None
    return sum(1 for _ in _files(arguments))


def _json_line(path: Path, outcome: Prediction | TrioVisionError) -> str:
    if isinstance(outcome, Prediction):
        return json_line({**outcome.to_dict(), "photo": str(path)})
    error = {"type": type(outcome).__name__, "message": str(outcome)}
    return json_line({"photo": str(path), "error": error})


def _csv_line(path: Path, outcome: Prediction | TrioVisionError) -> str:
    if not isinstance(outcome, Prediction):
        return csv_line([str(path), *[None] * (len(_COLUMNS) - 2), str(outcome)])
    fields = outcome.to_dict()
    country, place = fields["countries"][0], fields["landmark"] or fields["place"]
    return csv_line(
        [
            *(str(path), outcome.area.kind, area_title(outcome.area, ENGLISH)),
            *(country["country"], country["probability"], place["name"], place["lat_deg"], place["lon_deg"]),
            *(fields["place"]["radius_km"], fields["place"]["radius_90_km"]),
            *(outcome.abstained, outcome.model, None),
        ]
    )


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


_LINES: Final[dict[str, Callable[[Path, Prediction | TrioVisionError], str]]] = {
    "json": _json_line,
    "csv": _csv_line,
    "table": _table_line,
}
