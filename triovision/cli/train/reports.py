"""Commands that evaluate finished runs and compare them."""

from __future__ import annotations

from pathlib import Path

import click

from triovision.cli.train.options import FOLDER, MANIFEST, ROOT, WORKERS, manifest_columns


@click.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@MANIFEST
@ROOT
@WORKERS
@click.option(
    "--accuracy",
    default=0.75,
    type=click.FloatRange(0, 1),
    help="Target accuracy of the answers that are not abstained.",
)
@click.option("--photos", is_flag=True, help="Show thumbnails of photos in the page; consider who may see them.")
def report(run_folder: Path, manifest: Path, root: Path | None, workers: int, accuracy: float, photos: bool) -> None:
    """Evaluate RUN on its held-out photos; write metrics.json and report.html into its folder.

    \b
    Examples:
      triovision train report runs/holiday --manifest holiday/manifest.csv
      triovision train report runs/study --manifest data/manifest.csv --accuracy 0.9
    """  # noqa: D301 - click reads the escape
    from triovision.reporting.run import write_run_page  # noqa: PLC0415
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.engine.run_folder import read_country_run  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.evaluation.country import write_run_metrics  # noqa: PLC0415

    run = read_country_run(run_folder)
    table = read_manifest(manifest, root, manifest_columns(run.recipe), run.recipe.label_column)
    metrics = write_run_metrics(run, table, accuracy, workers)
    click.echo(f"wrote {write_run_page(run_folder, metrics, table.root if photos else None)}")


@click.command()
@click.argument("run_folders", metavar="RUN RUN...", type=FOLDER, nargs=-1, required=True)
@click.option("--out", required=True, type=FOLDER, help="Folder for comparison.csv and comparison.html.")
def compare(run_folders: tuple[Path, ...], out: Path) -> None:
    """Compare two or more runs that `report` has evaluated.

    \b
    Examples:
      triovision train compare runs/a runs/b --out runs/comparison
      triovision train compare runs/focal runs/weighted runs/plain --out runs/losses
    """  # noqa: D301 - click reads the escape
    from triovision.reporting.comparison import write_comparison_page  # noqa: PLC0415 - `--help` must not wait for Plotly
    from triovision.train.evaluation import compare as c  # noqa: PLC0415

    runs = c.read_runs(run_folders)
    table, groups = c.run_table(runs), c.seed_groups(runs)
    click.echo(c.table_text(table))
    if len(groups) < len(runs):
        click.echo(f"\n{c.table_text(c.group_table(table, groups))}")
    click.echo(f"\n{c.NO_BEST}")
    for warning in c.warnings(runs):
        click.echo(f"Take care: {warning}", err=True)
    c.write_comparison(table, out)
    click.echo(f"wrote {write_comparison_page(runs, out)}")
