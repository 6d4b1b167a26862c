"""The command that builds a manifest from a folder of photos."""

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
@click.option("--source", help="Source of the photos; by default the name of FOLDER.")
@click.option(
    "--duplicates",
    type=click.Choice(["keep", "drop-exact", "drop-all"]),
    default="drop-exact",
    help="Which duplicates to drop; all are listed in the report.",
)
@click.option(
    "--max-distance",
    type=click.IntRange(0, 16),
    default=6,
    help="Largest number of differing bits, of 64, of the hashes of near-duplicates.",
)
@WORKERS
@click.option("--force", is_flag=True, help="Replace an existing manifest and report.")
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
    """Build a manifest of the photos in FOLDER, and a report of excluded photos and problems.

    The country of a photo is that of --table, of a folder named after a country (FR, FRA, France ...) or of the
    position in its EXIF data. Photos without a country are left out.

    \b
    Examples:
      triovision train manifest holiday --out holiday/manifest.csv
      triovision train manifest photos --table photos.csv --out photos/manifest.parquet --force
    """  # noqa: D301 - click reads the escape
    from triovision.errors import ManifestError  # noqa: PLC0415 - `--help` must not wait for pandas
    from triovision.photo.names import spreadsheet_safe  # noqa: PLC0415
    from triovision.train.data.build.folders import GatherOptions, gather  # noqa: PLC0415
    from triovision.train.data.manifest import check_suffix, write_manifest, write_table  # noqa: PLC0415

    check_suffix(out)
    report = out.with_suffix(".report.csv")
    for path in (out, report):
        if path.exists() and not force:
            raise ManifestError(str(path), "already exists", "Give --force to replace it, or another --out")
    options = GatherOptions(
        table=table, source=source, duplicates=duplicates, max_distance=max_distance, workers=workers
    )
    gathered = gather(folder, out.parent, options, lambda it, total: tqdm(it, total=total, unit="photo", disable=None))
    write_table(gathered.report.map(spreadsheet_safe), report)
    _print_report(gathered, report)
    if gathered.photos.empty:
        raise ManifestError(str(folder), "has no photo of a known country", f"See the reasons in {report}")
    write_manifest(gathered.photos, out)
    located = int(gathered.photos["lat"].notna().sum())
    countries, places = gathered.photos["country"].nunique(), gathered.photos["place"].nunique()
    click.echo(
        f"{out}: {len(gathered.photos)} photos, {countries} countries, {places} places, {located} with a position"
    )


def _print_report(gathered: Gathering, path: Path) -> None:
    for kind, count in gathered.report["kind"].value_counts().sort_index().items():
        click.echo(f"{kind:20} {count:8}")
    click.echo(f"{path}: {len(gathered.report)} rows, one per excluded file or problem")
