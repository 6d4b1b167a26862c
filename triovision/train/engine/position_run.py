"""Run a recipe of ResNetGPS on a manifest, or go on where a killed run stopped."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader

from triovision.errors import RecipeError
from triovision.geo.city_metadata import CITY_METADATA
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.dataset import Sample
from triovision.train.data.feature_cache import collate_features, weights_sha256
from triovision.train.data.loaders import ReadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.data.position_features import KeptFeatures, kept_features
from triovision.train.data.samplers import RepeatSampler
from triovision.train.data.task import Task, make_task
from triovision.train.data.unreadable import FILE, UnreadablePhotos, allowed_photos
from triovision.train.engine.callbacks import FiniteLossGuard, ResumableLoader, StepCheckpoint
from triovision.train.engine.position_module import PositionModule
from triovision.train.engine.position_run_folder import run_config, write_finished
from triovision.train.engine.run_folder import FINISHED, RUN_CONFIG, resume_point, write_run_config
from triovision.train.engine.trainer import Execution
from triovision.train.models.init_weights import start_from
from triovision.train.models.position_network import cut_frozen_part, recipe_loss, recipe_network
from triovision.train.recipes.position_recipe import GpsRecipe

CACHE = "cache"


def run(
    recipe: GpsRecipe,
    manifest: Manifest,
    folder: Path,
    weights: Path | None,
    reading: ReadOptions,
    *,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a recipe; a run that was killed goes on after the last step that it kept, and ends as if it never was.

    Args:
        recipe: What to train and how.
        manifest: Photos with the recipe's validation columns; those without a position are left out.
        folder: Where `run.json`, the logs, the checkpoints and the list of unreadable photos go.
        weights: Starting weights of the backbone (safetensors), or None for timm's own or random ones, as the
            recipe says.
        reading: How photos are read; without a cache, the frozen part's output is kept in the run's own folder.
        callbacks: Lightning callbacks beside its own; nothing of them is in the folder's facts.

    Returns:
        The finished weights: those of the epoch with the smallest median distance, the mean over the splits.

    Raises:
        ManifestError: If no photo has a position.
        RecipeError: If the folder holds a run of another recipe, manifest or backbone, the weights do not fit, the
            loss is no number, too many photos cannot be read or the disk is full. What was trained is kept.
    """
    lightning.seed_everything(recipe.seed, workers=True)
    task = make_task(manifest, recipe)
    criterion = recipe_loss(recipe, task.target_scaling)
    whole = recipe_network(recipe, len(CITY_METADATA), criterion.n_outputs)
    start_from(whole.resnet, recipe, weights)
    write_run_config(folder, run_config(recipe, task, weights_sha256(whole.resnet)))
    if (folder / FINISHED).exists():
        return folder / FINISHED
    bad = UnreadablePhotos(folder / FILE, allowed_photos(reading.max_unreadable, len(task.photos.manifest)))
    bad.forget_restored(manifest.root)
    network = copy.deepcopy(whole)
    frozen = cut_frozen_part(network, recipe)
    store = kept_features(frozen, task.photos, recipe, reading.cache or folder / CACHE, reading.workers, bad)
    task = _not_empty(task.readable(store), recipe)
    training, held_out = _loaders(task, recipe, store)
    checkpoints, steps = folder / "checkpoints", math.ceil(len(training) / recipe.optimisation.accumulation)
    best = ModelCheckpoint(checkpoints, "{epoch:02d}", monitor="val/median_km", enable_version_counter=False)
    own = [
        best,
        FiniteLossGuard(recipe.seed, folder / RUN_CONFIG, bad),
        StepCheckpoint(checkpoints, reading.save_every),
    ]
    trainer = Execution().trainer(recipe, folder, steps, [*own, *callbacks])
    module = PositionModule(recipe, network, task, criterion, steps)
    # Our own checkpoints hold the recipe's values, so torch's weights-only loading is kept.
    trainer.fit(module, training, held_out, ckpt_path=resume_point(checkpoints), weights_only=True)
    write_finished(Path(best.best_model_path), folder, whole)
    shutil.rmtree(checkpoints)
    return folder / FINISHED


def _not_empty(task: Task, recipe: GpsRecipe) -> Task:
    """The task, or an error where too few of its photos can be read."""
    if len(task.training) < 2 or not task.validation:
        remedy = "Restore the photos that unreadable.csv lists"
        raise RecipeError(recipe.name, "too few photos with a position can be read to train and to validate", remedy)
    return task


def _loaders(
    task: Task, recipe: GpsRecipe, store: ArrayStore
) -> tuple[ResumableLoader, list[DataLoader[Sample | None]]]:
    """Batches of frozen features and numbers of photos: shuffled to learn from, in order to validate on."""
    size = recipe.optimisation.batch_size
    draws = RepeatSampler(np.ones(len(task.training), dtype=np.int64), recipe.seed)
    training = ResumableLoader(KeptFeatures(store, task.training), draws, size, collate_fn=collate_features)
    held_out = [
        DataLoader(KeptFeatures(store, rows), size, collate_fn=collate_features) for rows in task.validation.values()
    ]
    return training, held_out
