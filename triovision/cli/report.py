"""Command `triovision report`: the report of one photo as HTML or PDF."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from triovision.cli.terminal import one_line
from triovision.cli.train.options import DEVICE, FILE
from triovision.errors import ExplanationError, ReportError
from triovision.files import atomic_write
from triovision.languages import LANGUAGES, get_translator

if TYPE_CHECKING:
    from triovision.explain import ExplainableModel
    from triovision.inference import GeoModel
    from triovision.prediction_texts import Fact
    from triovision.results import Explanation, Photo, Prediction

_FORMATS = (".html", ".htm", ".pdf")


@click.command()
@click.argument("photo", type=FILE)
@click.option("--to", "target", required=True, type=FILE, help="File to write: FILE.html or FILE.pdf.")
@click.option("--model", "model_id", help="Model id; see `models`.")
@click.option("--language", default="en", type=click.Choice(list(LANGUAGES)), help="Language of the report.")
@click.option(
    "--include",
    "facts",
    multiple=True,
    type=click.Choice(["taken", "camera", "position"]),
    help="Show what the camera wrote: time, camera, position. May be repeated; nothing by default.",
)
@click.option("--no-explanation", is_flag=True, help="Leave out the heat map.")
@DEVICE
def report(
    photo: Path,
    target: Path,
    model_id: str | None,
    language: str,
    facts: tuple[Fact, ...],
    no_explanation: bool,
    device: str | None,
) -> None:
    """Predict where PHOTO was taken and write the report: one file that needs no network.

    A PDF is printed by an installed Chrome or Chromium. Exit status: 0 when the report is written, 2 for a photo that
    is refused, a missing browser or wrong usage.

    \b
    Examples:
      triovision report holiday.jpg --to holiday.html
      triovision report holiday.jpg --to holiday.pdf --language fr --include taken --include camera
    """  # noqa: D301 - click reads the escape
    if target.suffix.lower() not in _FORMATS:
        raise click.BadParameter("Give a file that ends with .html or .pdf.", param_hint="--to")
    from triovision.inference import load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.batch import load_photo_file  # noqa: PLC0415
    from triovision.photo import decoder_pool  # noqa: PLC0415
    from triovision.photo_report import Report, report_page, write_pdf  # noqa: PLC0415
    from triovision.photo_report.printing import find_browser  # noqa: PLC0415

    if target.suffix.lower() == ".pdf":
        find_browser()  # a missing browser is reported before the model has run
    read = decoder_pool().read(*load_photo_file(photo))
    model = load_model(model_id, device)
    (prediction,) = model.predict([read], top_k=len(model.card.labels))
    content = Report(
        photo=read,
        prediction=prediction,
        fitted_on=model.card.calibration.fitted_on,
        explanation=None if no_explanation else _explanation(model, read, prediction),
        facts=frozenset(facts),
    )
    page = report_page(content, get_translator(language), datetime.now(UTC).astimezone().date())
    try:
        if target.suffix.lower() == ".pdf":
            write_pdf(page, target)
        else:
            atomic_write(target, page)
    except OSError as exc:
        raise ReportError(
            str(target), f"cannot be written ({exc.strerror})", "Check the folder and its permissions"
        ) from exc
    click.echo(f"wrote {one_line(target)}")


def _explanation(model: GeoModel, photo: Photo, prediction: Prediction) -> Explanation | None:
    """Heat map of the most probable country; None, with a line on standard error, where the model has none."""
    from triovision.explain import explain_country  # noqa: PLC0415 - torch

    try:
        return explain_country(cast("ExplainableModel", model), photo, prediction.countries[0].country)
    except ExplanationError as error:
        click.echo(f"The report has no heat map: {one_line(error)}", err=True)
        return None
