"""The command that builds an ensemble of models."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from triovision.cli.train.options import DEVICE, FILE, FOLDER, MANIFEST, ROOT, command_line
from triovision.cli.train.studies import resumable


@click.command()
@click.argument("member_ids", metavar="MODEL MODEL...", nargs=-1, required=True)
@MANIFEST
@ROOT
@DEVICE
@click.option("--id", "model_id", required=True, help="<architecture>.<what it was trained on>")
@click.option("--describe", required=True, type=FILE, help="TOML: summary, data, limits, licence.")
@click.option(
    "--accuracy", default=0.75, type=click.FloatRange(0, 1), help="Target accuracy of the confident predictions."
)
@click.option("--models", type=FOLDER, default="models", help="Where the ensemble's folder goes.")
def ensemble(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    member_ids: tuple[str, ...],
    manifest: Path,
    root: Path | None,
    device: str | None,
    model_id: str,
    describe: Path,
    accuracy: float,
    models: Path,
) -> None:
    """Combine installed models into an ensemble, with weights fitted on held-out photos.

    The photos used are those that no MODEL was trained on, according to the cards. The photos of one half of the
    places fit the weights and the calibration, the others evaluate it. Stop it at any time; the same command resumes
    it.

    \b
    Examples:
      triovision train ensemble tf_efficientnet_lite0.mine resnetgps_v1.mine --manifest data/manifest.csv \\
          --id ensemble.mine --describe words.toml
      triovision train ensemble a.mine b.mine --manifest data/manifest.csv --accuracy 0.9 --id ensemble.sure \\
          --describe words.toml
    """  # noqa: D301 - click reads the escape
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.export.card import read_description  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.export.ensemble import export_ensemble  # noqa: PLC0415
    from triovision.train.export.ensemble_members import EnsembleRequest  # noqa: PLC0415

    photos = read_manifest(manifest, root, ["place"])
    description = read_description(describe)
    # A card must not publish paths of this machine.
    command = command_line()
    request = EnsembleRequest(model_id, member_ids, accuracy, models, command, device)
    with resumable(), tqdm(unit="photo", disable=None) as bar:

        def on_photo(total: int) -> None:
            bar.total = total
            bar.update()

        card = export_ensemble(request, photos, description, on_photo)
    click.echo(f"{'':32} {'countries':>9} {'places':>9}")
    for member in card.ensemble.members if card.ensemble else ():
        click.echo(f"{member.id:32} {member.country_weight:9.1%} {member.place_weight:9.1%}")
    click.echo(f"fitted on {card.calibration.fitted_on}")
    click.echo(f"wrote {models / card.id}")
