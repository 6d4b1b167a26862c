"""Training runs of country and position recipes: begin, resume and finalize."""

from __future__ import annotations

import copy
import math
import signal
from collections.abc import Sequence
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from triovision.errors import RecipeError
from triovision.geo.city_metadata import CITY_METADATA
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.dataset import Sample, targets
from triovision.train.data.feature_cache import (
    PositionFeatures,
    cache_position_features,
    collate_features,
    weights_sha256,
)
from triovision.train.data.loaders import LoadOptions, ReadOptions, ResumableLoader
from triovision.train.data.manifest import Manifest
from triovision.train.data.normalisation import with_statistics
from triovision.train.data.positions import PositionData, build_position_data
from triovision.train.data.samplers import RankInfo, RepeatSampler, TrainingBatches, build_sampler
from triovision.train.data.splits import Splits, split
from triovision.train.data.unreadable import FILE, UnreadablePhotos, allowed_photos
from triovision.train.engine.country_module import CountryModule
from triovision.train.engine.datamodule import CountryData, CountryDataModule
from triovision.train.engine.fit import fit, remove_checkpoints, run_callbacks, trained_state
from triovision.train.engine.position_module import PositionModule
from triovision.train.engine.run_folder import (
    CHECKPOINTS,
    FINISHED,
    INIT,
    CountryRun,
    country_config,
    position_config,
    resume_checkpoint,
    write_run_config,
    write_weights,
)
from triovision.train.engine.trainer import TrainerOptions
from triovision.train.losses.country import COUNTRY_LOSSES, build_country_loss
from triovision.train.models.build import (
    build_country_network,
    build_position_loss,
    build_position_network,
    split_frozen_backbone,
)
from triovision.train.models.init_weights import init_backbone
from triovision.train.models.linear_probe import fit_last_layer
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.position_recipe import PositionRecipe
from triovision.train.recipes.sections import COUNTRY

#: Folder of the caches of a run, study or benchmark that is given no other one.
CACHE = "cache"


def train_country(
    recipe: Recipe,
    manifest: Manifest,
    folder: Path,
    init_from: Path | CountryRun | None,
    options: LoadOptions,
    trainer_options: TrainerOptions | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a country recipe; a killed run resumes after its last checkpoint and ends with the same weights.

    Where several processes train, each of them calls this function; only the first writes.

    Args:
        recipe: Country recipe.
        manifest: Photos with the recipe's validation columns, read with its label column; countries need `place`.
        folder: Folder of `run.json`, the logs, the checkpoints and the list of unreadable photos.
        init_from: Initial weights of the backbone (safetensors), a run to fine-tune, or None for timm's weights or
            random ones, as the recipe states.
        options: Workers, caches, limit of unreadable photos, checkpoint interval.
        trainer_options: Devices and machines; one device when None.
        callbacks: Further Lightning callbacks, which are not part of the run config.

    Returns:
        Path of the finished weights: those with the lowest validation loss, averaged with the initial weights and with
        a refitted last layer if the recipe states so. Other processes than the first return before it is written.

    Raises:
        RecipeError: If the folder holds a run of another recipe or manifest, the weights do not fit, the loss is not
            finite, too many photos cannot be read, the disk is full or a device is missing. Checkpoints are kept.
    """
    trainer_options = trainer_options or TrainerOptions()
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    splits, optimisation = split(manifest, recipe.data), recipe.optimisation
    labels, split_names = splits.labels, _check_country(recipe, splits, options)
    sampler = build_sampler(splits.training, labels, recipe.data, recipe.seed)
    world = RankInfo(world_size=trainer_options.devices * trainer_options.nodes)
    steps = math.ceil(len(TrainingBatches(sampler, optimisation.batch_size, world)) / optimisation.accumulation)
    unreadable = UnreadablePhotos(folder / FILE, allowed_photos(options.max_unreadable, len(manifest)))
    best, own = run_callbacks(folder, "val/loss", recipe.seed, unreadable, options.save_every)
    trainer = trainer_options.build(recipe, folder, steps, [*own, *callbacks])
    if trainer.is_global_zero:
        recipe = with_statistics(recipe, splits.training, folder, options.workers)
        write_run_config(folder, country_config(recipe, manifest, labels) | options.config(recipe))
    if (folder / FINISHED).exists():
        return folder / FINISHED
    resumed = resume_checkpoint(folder)
    criterion = build_country_loss(recipe.loss, labels, targets(splits.training, labels), sampler.frequencies)
    module = CountryModule(recipe, labels, split_names, steps, criterion)
    data = CountryData(recipe, manifest, splits, sampler, folder, init_from, resumed, options, unreadable)
    try:
        # Checkpoints hold plain values and tensors, so torch's weights-only loading stays on.
        trainer.fit(module, datamodule=CountryDataModule(data, module), ckpt_path=resumed, weights_only=True)
    except Exception:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGKILL)  # the processes that it started would wait for this one
        unreadable.check()  # a worker process cannot raise this itself
        raise
    if trainer.is_global_zero:
        _finalize_country(best, folder, recipe, splits, options.workers)
    return folder / FINISHED


def train_position(
    recipe: PositionRecipe,
    manifest: Manifest,
    folder: Path,
    init_from: Path | None,
    options: ReadOptions,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a position recipe behind its frozen backbone; resumed after a kill like `train_country`.

    Args:
        recipe: Position recipe.
        manifest: Photos with the recipe's validation columns; those without a position are dropped.
        folder: Folder of `run.json`, the logs, the checkpoints and the list of unreadable photos.
        init_from: Initial weights of the backbone (safetensors), or None for timm's weights or random ones, as the
            recipe states.
        options: Workers, limit of unreadable photos, checkpoint interval; without a cache, frozen features are kept in
            the run's folder.
        callbacks: Further Lightning callbacks, which are not part of the run config.

    Returns:
        Path of the finished weights: those with the smallest median distance, the mean over the splits.

    Raises:
        ManifestError: If no photo has a position.
        RecipeError: As `train_country`, or if the backbone differs.
    """
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    task = build_position_data(manifest, recipe)
    criterion = build_position_loss(recipe, task.target_scaling)
    whole = build_position_network(recipe, len(CITY_METADATA), criterion.n_outputs)
    init_backbone(whole.resnet, recipe, init_from)
    write_run_config(folder, position_config(recipe, task, weights_sha256(whole.resnet)))
    if (folder / FINISHED).exists():
        return folder / FINISHED
    unreadable = UnreadablePhotos(folder / FILE, allowed_photos(options.max_unreadable, len(task.photos.manifest)))
    unreadable.forget_restored(manifest.root)
    network = copy.deepcopy(whole)
    backbone = split_frozen_backbone(network, recipe)
    store = cache_position_features(
        backbone, task.photos, recipe, options.cache or folder / CACHE, options.workers, unreadable
    )
    task = _check_position(task.readable(store), recipe)
    training, validation = _position_loaders(task, recipe, store)
    module = PositionModule(
        recipe, network, task, criterion, math.ceil(len(training) / recipe.optimisation.accumulation)
    )
    trained = fit(
        module,
        training,
        validation,
        recipe,
        folder,
        monitor="val/median_km",
        unreadable=unreadable,
        save_every=options.save_every,
        callbacks=callbacks,
    )
    whole.load_state_dict(whole.state_dict() | trained)
    write_weights(whole, folder / FINISHED)
    remove_checkpoints(folder)
    return folder / FINISHED


def _finalize_country(best: ModelCheckpoint, folder: Path, recipe: Recipe, splits: Splits, workers: int) -> None:
    """Write the finished weights of a country run."""
    trained = trained_state(best)
    if fraction := recipe.optimisation.start_share:
        init = load_file(folder / INIT)
        # Integer counters stay those of the trained network.
        trained |= {k: torch.lerp(v, init[k], fraction) for k, v in trained.items() if v.is_floating_point()}
    network = build_country_network(recipe, len(splits.labels)).to(memory_format=torch.channels_last)
    network.load_state_dict(trained)
    if recipe.last_layer.at_end:
        fit_last_layer(network, splits.training, splits.labels, recipe, workers)
    write_weights(network, folder / FINISHED)
    (folder / CHECKPOINTS / "resume.ckpt").unlink(missing_ok=True)


def _check_country(recipe: Recipe, splits: Splits, options: LoadOptions) -> tuple[str, ...]:
    """Names of the validation splits that have photos; raises RecipeError where the run cannot begin."""
    _ = COUNTRY_LOSSES[recipe.loss.name]  # raises where no loss has the name
    if options.augmented_copies:
        options.feature_cache_folder(recipe)
    if len(splits.labels) < 2:
        remedy = "Add photos or lower `data.min_photos`"
        named = "countries" if recipe.label_column == COUNTRY else f"labels of `{recipe.label_column}`"
        raise RecipeError(recipe.name, f"{len(splits.labels)} {named} have enough training photos", remedy)
    names = tuple(name for name, part in splits.validation.items() if len(part))
    if not names:
        columns = ", ".join(recipe.data.validation_splits)
        raise RecipeError(recipe.name, f"no photo is `val` in {columns}", "Make splits with `triovision train split`")
    return names


def _check_position(task: PositionData, recipe: PositionRecipe) -> PositionData:
    """The task; raises RecipeError where too few of its photos can be read."""
    if len(task.training) < 2 or not task.validation:
        remedy = f"Restore the photos that {FILE} lists"
        raise RecipeError(recipe.name, "too few photos with a position can be read to train and to validate", remedy)
    return task


def _position_loaders(
    task: PositionData, recipe: PositionRecipe, store: ArrayStore
) -> tuple[ResumableLoader, list[DataLoader[Sample | None]]]:
    """Batches of frozen features and photo numbers: shuffled for training, in order for validation."""
    size = recipe.optimisation.batch_size
    sampler = RepeatSampler(np.ones(len(task.training), dtype=np.int64), recipe.seed)
    training = ResumableLoader(PositionFeatures(store, task.training), sampler, size, collate_fn=collate_features)
    validation = [
        DataLoader(PositionFeatures(store, rows), size, collate_fn=collate_features)
        for rows in task.validation.values()
    ]
    return training, validation
