"""Make the table of photos that all other training commands read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from triovision.cli.train.options import FILE, WORKERS

if TYPE_CHECKING:
    from triovision.train.data.build.folders import DuplicatePolicy, Gathering


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", required=True, type=FILE, help="Manifest to write, .csv or .parquet, in FOLDER or above it.")
@click.option("--table", type=FILE, help="CSV or Parquet that lists files with country and/or lat, lon.")
@click.option("--source", help="Where the photos come from; FOLDER's name by default.")
@click.option(
    "--duplicates",
    type=click.Choice(["keep", "drop-exact", "drop-all"]),
    default="drop-exact",
    help="Which duplicates to keep; all are listed in the report.",
)
@click.option(
    "--max-distance",
    type=click.IntRange(0, 16),
    default=6,
    help="Bits of 64 by which perceptual hashes of near-duplicates may differ.",
)
@WORKERS
@click.option("--force", is_flag=True, help="Replace a manifest and report that exist already.")
def manifest(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    folder: Path,
    out: Path,
    table: Path | None,
    source: str | None,
    duplicates: DuplicatePolicy,
    max_distance: int,
    workers: int,
    force: bool,
) -> None:
    """Make a manifest of the photos in FOLDER, and beside it a report of all that was left out or is odd.

    The country of a photo is told by --table, by a folder named after it (FR, FRA, France ...) or by the position that
    the camera wrote. Photos without a country are left out.
    """
    from triovision.errors import ManifestError  # noqa: PLC0415 - `--help` must not wait for pandas
    from triovision.train.data.build.folders import GatherOptions, gather  # noqa: PLC0415
    from triovision.train.data.manifest import check_suffix, write_manifest, write_table  # noqa: PLC0415

    check_suffix(out)
    report = out.with_suffix(".report.csv")
    for path in (out, report):
        if path.exists() and not force:
            raise ManifestError(str(path), "exists already", "Give --force to replace it, or another name with --out")
    options = GatherOptions(
        table=table, source=source, duplicates=duplicates, max_distance=max_distance, workers=workers
    )
    found = gather(folder, out.parent, options, lambda it, total: tqdm(it, total=total, unit="photo", disable=None))
    write_table(found.report, report)
    _show_report(found, report)
    if found.photos.empty:
        raise ManifestError(
            str(folder), "holds no photo whose country is known", f"See {report} for the reason of each"
        )
    write_manifest(found.photos, out)
    located = int(found.photos["lat"].notna().sum())
    countries, places = found.photos["country"].nunique(), found.photos["place"].nunique()
    click.echo(f"{out}: {len(found.photos)} photos, {countries} countries, {places} places, {located} with a position")


def _show_report(found: Gathering, path: Path) -> None:
    for kind, count in found.report["kind"].value_counts().sort_index().items():
        click.echo(f"{kind:20} {count:8}")
    click.echo(f"{path}: {len(found.report)} rows, one for each file that was left out or is odd")
