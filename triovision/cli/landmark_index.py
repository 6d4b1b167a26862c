"""Commands `triovision models index add|list|clear`: a person's own landmarks in a model's index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from triovision.cli.terminal import one_line

if TYPE_CHECKING:
    from triovision.inference.landmark_engine import LandmarkEngine

_MODEL = click.option("--model", "model_id", help="A model with a landmark index; by default the default model.")


@click.group()
def index() -> None:
    """Add your own landmarks to a model, without training."""


@index.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_MODEL
def add(folder: Path, model_id: str | None) -> None:
    """Add the landmarks in FOLDER: one subfolder of photos for each, named as the landmark.

    Positions come from FOLDER/places.csv (columns name, lat, lon) or from the GPS positions in the photos.
    Exit status: 0 if a landmark was added, 1 if none was.

    \b
    Examples:
      triovision models index add my-places
      triovision models index add my-places --model efficientnet_lites.places14k
    """  # noqa: D301 - click reads the escape
    from triovision.inference.landmark_additions import add_landmarks  # noqa: PLC0415 - `--help` must not wait

    engine = _engine(model_id)
    result = add_landmarks(engine, folder)
    for reason in result.skipped:
        click.echo(f"skipped {one_line(reason)}", err=True)
    for name, photos in result.photos.items():
        click.echo(f"{one_line(name)}: {photos} photos")
    if not result.photos:
        raise click.ClickException("No landmark was added. Give a folder with one subfolder of photos for each.")
    click.echo(f"{engine.card.id} knows {len(result.photos)} more landmarks from its next start.")


@index.command(name="list")
@_MODEL
def list_(model_id: str | None) -> None:
    """List the landmarks that were added.

    \b
    Examples:
      triovision models index list
      triovision models index list --model efficientnet_lites.places14k
    """  # noqa: D301 - click reads the escape
    from triovision.inference.landmark_additions import read_additions  # noqa: PLC0415 - `--help` must not wait

    engine = _engine(model_id)
    added = read_additions(engine.index, engine.card.id)
    for landmark in () if added is None else added.landmarks:
        click.echo(f"{one_line(landmark.name)} ({landmark.country}) {landmark.lat_deg:.5f}, {landmark.lon_deg:.5f}")
    if added is None:
        click.echo(f"No landmark was added to {engine.card.id}.")


@index.command()
@_MODEL
def clear(model_id: str | None) -> None:
    """Remove all landmarks that were added.

    \b
    Examples:
      triovision models index clear
      triovision models index clear --model efficientnet_lites.places14k
    """  # noqa: D301 - click reads the escape
    from triovision.inference.landmark_additions import additions_file  # noqa: PLC0415 - `--help` must not wait
    from triovision.inference.registry import default_model, model_folder  # noqa: PLC0415 - `--help` must not wait

    # The model is not loaded: that fails where the landmarks were added to an older version of it.
    model_id = model_folder(model_id or default_model()).name
    path = additions_file(model_id)
    click.echo(f"Removed {path}." if path.exists() else f"No landmark was added to {model_id}.")
    path.unlink(missing_ok=True)


def _engine(model_id: str | None) -> LandmarkEngine:
    from triovision.inference import load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.landmark_engine import LandmarkEngine  # noqa: PLC0415

    model = load_model(model_id)
    if not isinstance(model, LandmarkEngine):
        raise click.UsageError(f"{model.card.id} has no landmark index. Give another --model; see `models list`.")
    return model
