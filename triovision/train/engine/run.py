"""Run a recipe on a manifest, or go on where a killed run stopped."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from triovision.errors import RecipeError
from triovision.train.data.dataset import targets
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.data.normalisation import measured
from triovision.train.data.run_splits import Splits, split
from triovision.train.data.samplers import build_sampler
from triovision.train.data.sharing import RankInfo, TrainingBatches
from triovision.train.data.unreadable import FILE, UnreadablePhotos, allowed_photos
from triovision.train.engine.callbacks import FiniteLossGuard, StepCheckpoint
from triovision.train.engine.country_module import CountryModule
from triovision.train.engine.datamodule import Plan, Preparation
from triovision.train.engine.finishing import finish
from triovision.train.engine.run_folder import FINISHED, RUN_CONFIG, Run, resume_point, write_run_config
from triovision.train.engine.trainer import Execution
from triovision.train.losses.country import country_loss
from triovision.train.recipes.country_recipe import Recipe


def run(  # noqa: PLR0913, PLR0917 - what a run depends on, each by its own name
    recipe: Recipe,
    manifest: Manifest,
    folder: Path,
    source: Path | Run | None,
    workers: int,
    loading: LoadOptions | None = None,
    execution: Execution | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a recipe; a run that was killed goes on after the last step that it kept, and ends as if it never was.

    Where several processes train, each of them calls this function; the first alone writes.

    Args:
        recipe: What to train and how.
        manifest: Photos with the recipe's validation columns and `place`.
        folder: Where `run.json`, the logs, the checkpoints and the list of unreadable photos go.
        source: Starting weights of the backbone (safetensors), a run to go on from, or None for timm's own weights
            or random ones, as the recipe says.
        workers: Processes that decode photos.
        loading: Caches, budget and checkpoints; the defaults of `LoadOptions` when None.
        execution: Devices and machines; one device when None.
        callbacks: Lightning callbacks beside its own; nothing of them is in the folder's facts.

    Returns:
        The finished weights: those of the lowest validation loss, with whatever the recipe does to them then. Other
        processes than the first return before the file is written.

    Raises:
        RecipeError: If the folder holds a run of another recipe or manifest, the weights do not fit, the loss is no
            number, too many photos cannot be read, the disk is full or the devices are not there. What was trained
            is kept.
    """
    loading, execution = replace(loading or LoadOptions(), workers=workers), execution or Execution()
    lightning.seed_everything(recipe.seed, workers=True)
    splits, o = split(manifest, recipe.data), recipe.optimisation
    labels, names = splits.labels, _checked(recipe, splits, loading)
    draws = build_sampler(splits.training, labels, recipe.data, recipe.seed)
    batches = TrainingBatches(draws, o.batch_size, RankInfo(world_size=execution.devices * execution.nodes))
    steps = math.ceil(len(batches) / o.accumulation)
    bad = UnreadablePhotos(folder / FILE, allowed_photos(loading.max_unreadable, len(manifest)))
    checkpoints = folder / "checkpoints"
    best = ModelCheckpoint(checkpoints, "{epoch:02d}", monitor="val/loss", enable_version_counter=False)
    own = [
        best,
        FiniteLossGuard(recipe.seed, folder / RUN_CONFIG, bad),
        StepCheckpoint(checkpoints, loading.save_every),
    ]
    trainer = execution.trainer(recipe, folder, steps, [*own, *callbacks])
    if trainer.is_global_zero:
        recipe = measured(recipe, splits.training, folder, workers)
        facts = {"recipe": recipe.model_dump(mode="json"), "manifest_sha256": manifest.sha256, "labels": list(labels)}
        write_run_config(folder, facts | loading.facts(recipe))
    if (folder / FINISHED).exists():
        return folder / FINISHED
    resumed = resume_point(checkpoints)
    plan = Plan(recipe, manifest, splits, draws, folder, source, resumed, loading, bad)
    criterion = country_loss(recipe.loss, labels, targets(splits.training, labels), draws.shares)
    _fit(trainer, CountryModule(recipe, labels, names, steps, criterion), plan)
    if trainer.is_global_zero:
        finish(Path(best.best_model_path), folder, recipe, splits, workers)
        (checkpoints / "resume.ckpt").unlink(missing_ok=True)
    return folder / FINISHED


def _checked(recipe: Recipe, splits: Splits, loading: LoadOptions) -> tuple[str, ...]:
    """Names of the validation splits that have photos; an error where the run could not begin."""
    if loading.views:
        loading.views_cache(recipe)
    if len(splits.labels) < 2:
        remedy = "Add photos or lower `data.min_photos`"
        raise RecipeError(recipe.name, f"{len(splits.labels)} countries have enough training photos", remedy)
    names = tuple(name for name, part in splits.validation.items() if len(part))
    if not names:
        columns = ", ".join(recipe.data.validation_splits)
        raise RecipeError(recipe.name, f"no photo is `val` in {columns}", "Make splits with `triovision train split`")
    return names


def _fit(trainer: lightning.Trainer, module: CountryModule, plan: Plan) -> None:
    try:
        # Our own checkpoints hold the recipe's values, so torch's weights-only loading is kept.
        trainer.fit(module, datamodule=Preparation(plan, module), ckpt_path=plan.resumed, weights_only=True)
    except Exception:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGKILL)  # the processes that it began would wait for this one
        plan.bad.check()  # a process that reads photos cannot say so itself
        raise
