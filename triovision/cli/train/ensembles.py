"""Make several models answer together, and lay all of them side by side."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click
from tqdm import tqdm

from triovision.cli.train.options import FILE, FOLDER, MANIFEST, ROOT
from triovision.cli.train.studies import resumable
from triovision.errors import ModelError

DEVICE = click.option("--device", help="cpu, cuda, cuda:1 or mps; the fastest present by default.")


@click.command()
@click.argument("member_ids", metavar="MODEL MODEL...", nargs=-1, required=True)
@MANIFEST
@ROOT
@DEVICE
@click.option("--id", "model_id", required=True, help="<architecture>.<what it was trained on>")
@click.option("--describe", required=True, type=FILE, help="TOML: summary, data, limits, licence.")
@click.option("--accuracy", default=0.75, type=click.FloatRange(0, 1), help="Wanted of answers not abstained.")
@click.option("--models", type=FOLDER, default="models", help="Where the ensemble's folder goes.")
@click.option(
    "--stand-in",
    "stand_ins",
    multiple=True,
    metavar="MEMBER=MODEL",
    help="Fit and measure MODEL in place of MEMBER: one of the same labels that held more photos out. Repeatable.",
)
def ensemble(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    member_ids: tuple[str, ...],
    manifest: Path,
    root: Path | None,
    device: str | None,
    model_id: str,
    describe: Path,
    accuracy: float,
    models: Path,
    stand_ins: tuple[str, ...],
) -> None:
    """Let models of this machine answer together, each weighed by what it is worth on held-out photos.

    The photos are those that no MODEL learnt from, as the cards say. One half of their places is for the weights and
    the calibration, the other for the figures. Kill it at any time and give the same command to go on.
    """
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.export.card import read_description  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.export.ensemble import make_ensemble  # noqa: PLC0415
    from triovision.train.export.ensemble_members import EnsembleRequest  # noqa: PLC0415

    photos = read_manifest(manifest, root, ["place"])
    words = read_description(describe)
    # What lies where on this machine is nobody's business.
    command = shlex.join(["triovision", *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])])
    pairs = [pair.partition("=") for pair in stand_ins]
    if not all(member and model for member, _, model in pairs):
        raise click.UsageError("Give --stand-in as MEMBER=MODEL.")
    instead = {member: model for member, _, model in pairs}
    request = EnsembleRequest(model_id, member_ids, accuracy, models, command, instead, device)
    with resumable(), tqdm(unit="photo", disable=None) as bar:

        def on_photo(total: int) -> None:
            bar.total = total
            bar.update()

        card = make_ensemble(request, photos, words, on_photo)
    click.echo(f"{'':32} {'countries':>9} {'places':>9}")
    for member in card.ensemble.members if card.ensemble else ():
        click.echo(f"{member.id:32} {member.country_weight:9.1%} {member.place_weight:9.1%}")
    click.echo(f"fitted on {card.calibration.fitted_on}")
    click.echo(f"wrote {models / card.id}")


@click.command()
@click.argument("model_ids", metavar="[MODEL]...", nargs=-1)
@MANIFEST
@ROOT
@DEVICE
@click.option(
    "--split",
    "columns",
    multiple=True,
    default=("split_new_places", "split_known_places"),
    help="Column of the manifest that marks held-out photos `val`; repeatable, a photo belongs to the first.",
)
@click.option("--timed", default=100, type=click.IntRange(min=1), help="Photos to take the time of, one at a time.")
@click.option("--markdown", is_flag=True, help="Print the tables for a document.")
@click.option("--out", type=FILE, help="JSON, CSV or Parquet file for all figures.")
def engines(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    model_ids: tuple[str, ...],
    manifest: Path,
    root: Path | None,
    device: str | None,
    columns: tuple[str, ...],
    timed: int,
    markdown: bool,
    out: Path | None,
) -> None:
    """Measure each MODEL of this machine, all by default, on the same held-out photos: one table a split.

    A model that cannot be used is named and left out. Exit status 0 when all models and photos could be used, else 1.
    """
    from triovision.inference import list_models, load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.evaluation import benchmark as t  # noqa: PLC0415
    from triovision.train.evaluation.benchmark import build_benchmark, run_benchmark  # noqa: PLC0415

    if out is not None:
        t.check_out(out)
    photos = build_benchmark(read_manifest(manifest, root, ["place", *columns]), columns, timed)
    wanted = list(dict.fromkeys(model_ids or [card.id for card in list_models()]))
    found, faults = [], []
    with tqdm(total=len(wanted) * sum(map(len, photos.parts.values())), unit="photo", disable=None) as bar:
        for model_id in wanted:
            try:
                found += run_benchmark(load_model(model_id, device), photos, bar.update)
            except ModelError as error:
                faults.append(str(error))
    unreadable = dict(pair for one in found for pair in one.evaluation.unreadable)
    if found:
        click.echo(t.benchmark_tables(found, len(photos.timed), markdown=markdown))
    if found and out is not None:
        t.write_results(found, out)
        click.echo(f"wrote {out}", err=True)
    for fault in (*faults, *(f"unreadable: {reason}" for reason in unreadable.values())):
        click.echo(fault, err=True)
    sys.exit(1 if faults or unreadable else 0)
