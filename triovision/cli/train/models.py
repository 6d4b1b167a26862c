"""Commands that evaluate baselines and export a run as a model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from triovision.cli.train.options import FILE, FOLDER, MANIFEST, ROOT, WEIGHTS, WORKERS, RecipeInputs, command_line


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@MANIFEST
@ROOT
@WEIGHTS
@WORKERS
@click.option("--run", "run_folder", type=FOLDER, help="Finished run to compare with.")
@click.option("--rare", is_flag=True, help="Also measure the recall of rare countries.")
def baselines(
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    workers: int,
    run_folder: Path | None,
    rare: bool,
) -> None:
    """Evaluate baselines on every split.

    They are the most frequent country, the most frequent country of the photo's own source (told the true countries: an
    upper bound), a random forest on size, aspect ratio and file size, and a logistic regression on initial features.

    \b
    Examples:
      triovision train baselines tf_efficientnet_lite0 --manifest data/manifest.csv --run runs/study
      triovision train baselines tf_efficientnet_lite0 --manifest data/manifest.csv --weights lite0.safetensors --rare
    """  # noqa: D301 - click reads the escape
    from triovision.train.data.splits import split  # noqa: PLC0415
    from triovision.train.engine.run_folder import read_country_run  # noqa: PLC0415
    from triovision.train.evaluation import baselines as b  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.evaluation.calibration import held_out  # noqa: PLC0415
    from triovision.train.evaluation.intervals import sources_of  # noqa: PLC0415
    from triovision.train.models.build import build_country_network  # noqa: PLC0415
    from triovision.train.models.init_weights import init_backbone  # noqa: PLC0415
    from triovision.train.models.linear_probe import pooled_features  # noqa: PLC0415
    from triovision.train.recipes.country_recipe import RECIPES  # noqa: PLC0415

    recipe, photos = RecipeInputs(recipe_name, manifest, root, weights, ()).read(RECIPES)
    splits = split(photos, recipe.data)
    parts = {"training": splits.training} | splits.validation
    network = build_country_network(recipe, len(splits.labels))
    init_backbone(network, recipe, weights)
    features = {name: pooled_features(network, part, recipe, workers) for name, part in parts.items()}
    strength = b.choose_strength(splits.training, splits.labels, features["training"], recipe.seed)
    scores = b.baseline_scores(splits, features, strength)
    run = None if run_folder is None else read_country_run(run_folder)
    if run is not None:
        out = held_out(run, photos, workers)
        scores += [
            b.score(
                f"run {run.folder.name}",
                name,
                out.logits[out.split == name],
                out.target[out.split == name],
                sources_of(part.table),
            )
            for name, part in splits.validation.items()
            if len(part)
        ]
    click.echo(b.scores_text(scores))
    if run is not None and run.labels == splits.labels:  # otherwise their accuracies are of different photos
        click.echo(b.differences_text(scores, f"run {run.folder.name}", splits))
    click.echo(f"logistic regression: C = {strength:g}, chosen on held-out training places")
    if rare:
        click.echo("min_photos  labels  top-1 on held-out places  mean recall of the rarest labels")
        for low, n, top1, recall in b.rare_country_recall(
            splits.training, features["training"], [5, 10, 15, 20, 30, 50], strength, recipe.seed
        ):
            click.echo(f"{low:10} {n:7} {top1:25.1%} {recall:32.1%}")


@click.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@MANIFEST
@ROOT
@WORKERS
@click.option("--id", "model_id", required=True, help="<architecture>.<what it was trained on>")
@click.option("--describe", required=True, type=FILE, help="TOML: summary, data, limits, licence.")
@click.option("--calibrate-on", type=FOLDER, help="Run whose held-out photos calibrate; RUN itself by default.")
@click.option(
    "--positions",
    type=FOLDER,
    help="Evaluated run of ResNetGPS on RUN's frozen backbone, for a model that predicts positions too.",
)
@click.option(
    "--accuracy", default=0.75, type=click.FloatRange(0, 1), help="Target accuracy of the confident predictions."
)
@click.option("--models", type=FOLDER, default="models", help="Where the model's folder goes.")
def export(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    run_folder: Path,
    manifest: Path,
    root: Path | None,
    workers: int,
    model_id: str,
    describe: Path,
    calibrate_on: Path | None,
    positions: Path | None,
    accuracy: float,
    models: Path,
) -> None:
    """Calibrate RUN and write it to the models that the app shows.

    \b
    Examples:
      triovision train export runs/holiday --manifest holiday/manifest.csv --id tf_efficientnet_lite0.holiday \\
          --describe words.toml
      triovision train export runs/backbone --positions runs/gps --manifest data/manifest.csv \\
          --id resnetgps_v1.mine --describe words.toml
    """  # noqa: D301 - click reads the escape
    from triovision.metrics.position import read_position_metrics  # noqa: PLC0415
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.engine.run_folder import read_position_run  # noqa: PLC0415
    from triovision.train.export import card as c  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.export.position_model import with_positions  # noqa: PLC0415

    photos = read_manifest(manifest, root, ["place"])
    # A card must not publish paths of this machine.
    command = command_line()
    request = c.ExportRequest(model_id, calibrate_on or run_folder, accuracy, models, command)
    build = c.country_classifier
    if positions is not None:
        build = partial(with_positions, gps=read_position_run(positions), metrics=read_position_metrics(positions))
    click.echo(f"wrote {c.export_run(run_folder, photos, c.read_description(describe), request, workers, build)}")
