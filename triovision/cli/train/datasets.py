"""Commands that split a manifest, check the split for leakage and show statistics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from tqdm import tqdm

from triovision.bundle import NODE_MODULES
from triovision.cli.train.options import FILE, FOLDER, ROOT, WORKERS
from triovision.errors import ManifestError
from triovision.files import atomic_write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triovision.reporting.dataset import Section
    from triovision.train.data.manifest import Manifest
    from triovision.train.data.splits import Parts
    from triovision.viz.palette import Palette

_MANIFEST = click.argument("manifest", metavar="MANIFEST", type=click.Path(path_type=Path))
_DISTANCE = click.option(
    "--max-distance",
    default=6,
    type=click.IntRange(0, 16),
    help="Largest number of differing hash bits of near-duplicates.",
)
#: Outlines of the map of the app; `make assets` downloads them.
_OUTLINES = NODE_MODULES / "world-atlas" / "countries-110m.json"


@click.command()
@_MANIFEST
@ROOT
@click.option(
    "--by", type=click.Choice(["place", "source", "random"]), default="place", help="Groups that are kept together."
)
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Fraction of validation photos.  [default: 0.15]",
)
@click.option(
    "--test-fraction", type=click.FloatRange(0, 1, max_open=True), default=0.0, help="Fraction of test photos."
)
@click.option("--folds", type=click.IntRange(min=2), help="Folds for cross-validation, instead of fractions.")
@click.option("--seed", default=0, type=click.IntRange(min=0), help="Seed of the split.")
@click.option("--label", "label_column", default="country", help="Column of the labels to stratify.")
@click.option("--column", default="split", help="Column to write.")
@click.option("--out", type=FILE, help="Manifest to write (.csv or .parquet); MANIFEST itself by default.")
@click.option("--force", is_flag=True, help="Overwrite the column if there is one.")
@click.option("--duplicates/--no-duplicates", default=True, help="Read every photo and keep near-duplicates together.")
@_DISTANCE
@WORKERS
def split(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    manifest: Path,
    root: Path | None,
    by: Literal["place", "source", "random"],
    val_fraction: float | None,
    test_fraction: float,
    folds: int | None,
    seed: int,
    label_column: str,
    column: str,
    out: Path | None,
    force: bool,
    duplicates: bool,
    max_distance: int,
    workers: int,
) -> None:
    """Split MANIFEST into training, validation and test photos, or into folds, stratified by country or --label.

    Places (or sources) and near-duplicates are kept together. Countries that cannot be divided stay in training
    and are listed.

    \b
    Examples:
      triovision train split holiday/manifest.csv --by random
      triovision train split data/manifest.csv --by source --folds 5
    """  # noqa: D301 - click reads the escape
    import numpy as np  # noqa: PLC0415 - `--help` must not wait for pandas and scikit-learn

    from triovision.train.data import splits  # noqa: PLC0415
    from triovision.train.data.build.duplicates import duplicate_groups  # noqa: PLC0415
    from triovision.train.data.manifest import read_manifest, write_manifest  # noqa: PLC0415

    if folds is not None and (val_fraction is not None or test_fraction):
        raise click.UsageError("Give --folds or fractions, not both.")
    val_fraction = 0.15 if val_fraction is None else val_fraction
    if val_fraction + test_fraction >= 1:
        raise click.UsageError("--val-fraction and --test-fraction leave no photo to train on.")
    if column in ("file", "country", "lat", "lon", "place", "source", label_column):
        raise click.UsageError(f"--column {column} would overwrite data of the photos.")
    photos = read_manifest(manifest, root, [] if by == "random" else [by], label_column)
    table = photos.table
    # A new manifest has the column, empty.
    if column in table and (table[column] != "").any() and not force:
        raise ManifestError(str(manifest), f"already has a column `{column}`", "Give another --column, or --force")
    pairs = np.empty((0, 2), dtype=np.intp)
    if duplicates:
        hashes, rows = _hashes(photos, workers)
        pairs = np.column_stack([rows, rows[duplicate_groups(hashes, max_distance)]])
        alike = pairs[pairs[:, 0] != pairs[:, 1]]
        click.echo(f"{len(np.unique(alike))} photos have near-duplicates and are kept together with them")
    groups = splits.whole_groups(table, by, pairs)
    if folds is None:
        parts = splits.divide(
            table,
            groups,
            by,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            seed=seed,
            label_column=label_column,
        )
    else:
        parts = splits.divide_into_folds(table, groups, by, folds=folds, seed=seed, label_column=label_column)
    _print_parts(photos, parts, by)
    written = out or manifest
    write_manifest(table.assign(**{column: parts.part}), written, label_column)
    click.echo(f"wrote column `{column}` to {written}")
    if written.resolve().parent != photos.root.resolve():
        click.echo(f"its photos are in {photos.root}: give this folder as --root")


@click.command()
@_MANIFEST
@ROOT
@click.option("--column", default="split", help="Column to check.")
@click.option("--by", type=click.Choice(["place", "source"]), help="Also check that these groups are not divided.")
@click.option("--out", type=FILE, default="leakage.csv", help="CSV file for the pairs.")
@_DISTANCE
@WORKERS
def leakage(
    manifest: Path,
    root: Path | None,
    column: str,
    by: Literal["place", "source"] | None,
    out: Path,
    max_distance: int,
    workers: int,
) -> None:
    """Find near-duplicates, and places or sources, in more than one part of MANIFEST.

    The exit status is 0 if there are none, else 1.

    \b
    Examples:
      triovision train leakage data/manifest.csv
      triovision train leakage data/manifest.csv --column split_new_places --by place
    """  # noqa: D301 - click reads the escape
    from triovision.photo.names import spreadsheet_safe  # noqa: PLC0415
    from triovision.train.data.build.duplicates import near_duplicates  # noqa: PLC0415 - `--help` must not wait for pandas
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.data.overlap import divided_groups, leaking_pairs  # noqa: PLC0415

    photos = read_manifest(manifest, root, [column, *([by] if by else [])])
    part = photos.table[column].to_numpy(dtype=str)
    hashes, rows = _hashes(photos, workers)
    leaks = leaking_pairs(photos.table, part, rows[near_duplicates(hashes, max_distance)])
    for pair in leaks.head(20).itertuples():
        click.echo(f"{pair.part_a} {pair.file_a}  is a near-duplicate of  {pair.part_b} {pair.file_b}")
    click.echo(f"{len(leaks)} pairs of near-duplicates are in different parts of `{column}`")
    if len(leaks):
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(out, leaks.map(spreadsheet_safe).to_csv(index=False))
        click.echo(f"wrote {out}")
    divided = 0
    if by:
        groups = divided_groups(photos.table, part, by)
        divided = len(groups)
        for group in groups.head(20).itertuples(index=False):
            click.echo(f"{by} {group[0]}: {group.photos} photos in {group.parts}")
        click.echo(f"{divided} of {photos.table[by].nunique()} {by}s are divided")
    sys.exit(1 if len(leaks) or divided else 0)


@click.command()
@_MANIFEST
@ROOT
@click.option("--out", required=True, type=FOLDER, help="Folder of the tables and figures.")
@click.option("--rare", default=1000, type=click.IntRange(min=1), help="A country with fewer photos is rare.")
@click.option(
    "--features",
    default="none",
    metavar="MODEL_ID|WEIGHTS|none",
    help="Source of the features for t-SNE and UMAP: an installed model, or initial weights (.safetensors).",
)
@click.option("--recipe", "recipe_name", default="tf_efficientnet_lite0", help="Recipe of the initial weights.")
@click.option("--sample", default=2000, type=click.IntRange(min=5), help="Number of photos in the layouts.")
@click.option("--seed", default=0, type=click.IntRange(min=0), help="Seed of the sample and the layouts.")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", help="Colours of the figures.")
def statistics(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    manifest: Path,
    root: Path | None,
    out: Path,
    rare: int,
    features: str,
    recipe_name: str,
    sample: int,
    seed: int,
    theme: str,
) -> None:
    """Write statistics of MANIFEST as tables (CSV) and figures (HTML, PNG), with a page `index.html`.

    \b
    Examples:
      triovision train statistics data/manifest.csv --out statistics
      triovision train statistics data/manifest.csv --features resnetgps_v1.places10k --theme dark --out dark
    """  # noqa: D301 - click reads the escape
    from triovision.reporting.dataset import write_dataset_page, write_pngs  # noqa: PLC0415
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for pandas
    from triovision.viz.palette import DARK, LIGHT  # noqa: PLC0415

    photos = read_manifest(manifest, root)
    palette = DARK if theme == "dark" else LIGHT
    sections = _table_sections(photos, rare, palette)
    if features != "none":
        sections += _feature_sections(photos, features, recipe_name, sample, seed, palette)
    write_dataset_page(out, f"{manifest.name}: {len(photos):,} photos", sections, palette)
    if reason := write_pngs(out, sections):
        click.echo(f"no PNG images: {reason}", err=True)
    click.echo(f"wrote {out / 'index.html'}")


def _table_sections(photos: Manifest, rare: int, palette: Palette) -> list[Section]:
    from triovision.reporting.dataset import Section  # noqa: PLC0415
    from triovision.train.data import statistics as s  # noqa: PLC0415
    from triovision.viz import dataset_figures as draw  # noqa: PLC0415
    from triovision.viz.outlines import NO_OUTLINES, read_outlines  # noqa: PLC0415

    with tqdm(total=len(photos), unit="photo", desc="sizes and years", disable=None) as bar:
        headers = s.read_headers(photos, bar.update)
    if unreadable := int(headers["width"].isna().sum()):
        click.echo(f"{unreadable} photos cannot be read", err=True)
    countries = s.country_table(photos.table, rare)
    imbalance, continents = s.imbalance_table(countries), s.continent_table(countries)
    for measure, value in imbalance.itertuples(index=False):
        click.echo(f"{measure:34} {value:,.4g}")
    years, positions = s.year_table(s.years(photos.table, headers)), s.position_table(photos.table)
    outlines = read_outlines(_OUTLINES) if _OUTLINES.is_file() else NO_OUTLINES
    sections = [
        Section("imbalance", "Balance", imbalance),
        Section("countries", "Countries", countries, draw.country_bars(countries, rare, palette)),
        Section("continents", "Continents", continents, draw.continent_bars(continents, palette)),
        Section("years", "Years", years, draw.year_bars(years, palette)),
        Section("sizes", "Image sizes", s.size_table(headers), draw.size_scatter(headers, palette)),
        Section("positions", "Positions", positions, draw.position_map(positions, outlines, palette)),
    ]
    if "source" in photos.table:
        sources = s.source_table(photos.table)
        sections.insert(3, Section("sources", "Sources", sources, draw.source_bars(sources, palette)))
    return sections


def _feature_sections(
    photos: Manifest, features: str, recipe_name: str, sample: int, seed: int, palette: Palette
) -> list[Section]:
    from triovision.reporting.dataset import Section  # noqa: PLC0415
    from triovision.train.evaluation import embedding as e  # noqa: PLC0415 - torch
    from triovision.train.recipes.country_recipe import read_recipe  # noqa: PLC0415
    from triovision.viz.dataset_figures import embedding_scatter  # noqa: PLC0415

    if Path(features).suffix == ".safetensors":
        network, preprocessing = e.initial_network(read_recipe(recipe_name), Path(features))
    else:
        network, preprocessing = e.model_network(features)
    drawn = photos.table.sample(min(sample, len(photos)), random_state=seed).sort_index()
    chosen = photos.where(photos.table.index.isin(drawn.index))
    with tqdm(total=len(chosen), unit="photo", desc="features", disable=None) as bar:
        vectors, read = e.sample_features(network, preprocessing, chosen.paths, bar.update)
    shown = chosen.table.iloc[read][["file", "country"]]
    sections = []
    for name, method, layout in (("tsne", "t-SNE", e.tsne_layout), ("umap", "UMAP", e.umap_layout)):
        click.echo(f"{method} of {len(shown)} photos …", err=True)
        try:
            x, y = layout(vectors, seed).T
        except ModuleNotFoundError:
            click.echo("UMAP is skipped: install the package umap-learn", err=True)
            continue
        points = shown.assign(x=x, y=y)
        sections.append(Section(name, method, points, embedding_scatter(points, method, palette)))
    return sections


def _print_parts(photos: Manifest, parts: Parts, by: str) -> None:
    from triovision.train.data.splits import country_part_table, part_table  # noqa: PLC0415

    table, label_column = photos.table, photos.label_column
    many = "countries" if label_column == "country" else "labels"
    of_parts = part_table(table, parts.part, label_column)
    click.echo(of_parts.to_string(index=False, formatters={"fraction": "{:.1%}".format}))
    click.echo()
    click.echo(country_part_table(table, parts.part, label_column).to_string())
    click.echo()
    if parts.kept_in_train:
        single = {"place": "one place", "source": "one source", "random": "one photo"}[by]
        listed = ", ".join(parts.kept_in_train)
        click.echo(f"{len(parts.kept_in_train)} {many} with {single} or too few photos stay in training: {listed}")
    if parts.without_training:
        listed = ", ".join(parts.without_training)
        click.echo(
            f"{len(parts.without_training)} {many} have no training photo, their sources being held out: {listed}"
        )


def _hashes(photos: Manifest, workers: int) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    from triovision.train.data.overlap import hash_photos  # noqa: PLC0415

    with tqdm(total=len(photos), unit="photo", desc="comparing photos", disable=None) as bar:
        hashes, rows = hash_photos(photos, workers, bar.update)
    if len(rows) < len(photos):
        click.echo(f"{len(photos) - len(rows)} photos cannot be read and were not compared", err=True)
    return hashes, rows
