"""Commands of the study: `python -m examples.animals generate|run|gan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from examples.animals.gan.commands import gan
from triovision.cli.commands import Commands
from triovision.cli.train.options import OVERRIDES, WEIGHTS, loading_options, out_option
from triovision.cli.train.studies import resumable
from triovision.extras import require

MANIFEST: Final = "manifest.csv"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Is it a fox? Classifiers of one class against the rest, and pictures made by a DCGAN."""
    require("train")


main.add_command(gan)


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write.")
@click.option("--photos", default=120, type=click.IntRange(min=10), help="Photos of each of the two classes.")
def generate(out: Path, photos: int) -> None:
    """Draw a miniature: foxes are orange triangles with ears, the rest are other shapes and colours."""
    from examples.animals.miniature import write_miniature  # noqa: PLC0415 - `--help` must not wait for NumPy

    write_miniature(out, photos)
    click.echo(f"wrote {2 * photos} photos to {out}")


@main.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder with a subfolder of photos for each class, or a manifest (CSV or Parquet).",
)
@click.option("--column", default="class", help="Column of the manifest that names the class.")
@click.option("--positive", required=True, multiple=True, help="Value of the column for the class; may be repeated.")
@click.option("--name", help="Name of the class.  [default: the first value]")
@click.option("--variant", "variants", multiple=True, help="Variant to train; all by default. May be repeated.")
@click.option("--folds", default=5, type=click.IntRange(min=2), help="Folds of the cross-validation.")
@click.option("--random", default=8, type=click.IntRange(min=1), help="Random trials of the search.")
@WEIGHTS
@OVERRIDES
@out_option("study")
@loading_options
def run(
    data: Path,
    column: str,
    positive: tuple[str, ...],
    name: str | None,
    variants: tuple[str, ...],
    **options: Any,  # noqa: ANN401 - options of the study and of `LoadOptions`
) -> None:
    """Train the baseline and its variants, and write report.html.

    Stop it at any time; the same command continues.

    \b
    Examples:
      python -m examples.animals run --data photos --positive fox --out runs/foxes
      python -m examples.animals run --data data/manifest.csv --column place --positive eiffel_tower \\
          --positive space_needle --name tower --weights lite0.safetensors --out runs/towers
    """  # noqa: D301 - click reads the escape
    from examples.animals.photos import LEFT_OUT, write_binary  # noqa: PLC0415 - `--help` must not wait for torch
    from examples.animals.report import accuracy_text, write_report  # noqa: PLC0415
    from examples.animals.study import VARIANTS, Study, check_variants  # noqa: PLC0415
    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415
    from triovision.train.engine.trainer import keep_freed_memory  # noqa: PLC0415

    if unknown := set(variants) - set(VARIANTS):
        raise click.UsageError(f"No variant {', '.join(sorted(unknown))}; give one of {', '.join(VARIANTS)}.")
    keep_freed_memory()
    out: Path = options.pop("out")
    fields = {field: options.pop(field) for field in ("weights", "folds", "random", "overrides")}
    options["cache"] = options["cache"] or out / "cache"
    check_variants(variants or VARIANTS, fields["overrides"], fields["weights"])
    photos = write_binary(data, column, positive, name or positive[0], out / MANIFEST, options["workers"])
    if (left_out := out / LEFT_OUT).exists():
        click.echo(f"left out photos that are listed in {left_out}", err=True)
    study = Study(photos=photos, out=out, options=LoadOptions(**options), log=click.echo, **fields)
    with resumable():
        measured = study.run(variants or VARIANTS)
        page = write_report(study, measured)
    for one in measured:
        click.echo(f"{one.name:12} {accuracy_text(one)}")
    click.echo(f"wrote {page}")


if __name__ == "__main__":
    main()
