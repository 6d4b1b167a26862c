"""Run a recipe on a manifest, or go on where a killed run stopped."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint, Timer
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from triovision.errors import RecipeError
from triovision.train.checkpoint import FINISHED, START, Run
from triovision.train.classifier import CountryTraining
from triovision.train.data import (
    Sample,
    TrainingPhotos,
    ValidationPhotos,
    WeightedDraws,
    choose_labels,
    collate,
    draw_weights,
)
from triovision.train.last_layer import fit_last_layer
from triovision.train.manifest import Manifest
from triovision.train.recipe import Data, Recipe
from triovision.train.starting import go_on_from, start_from


@dataclass(frozen=True, slots=True)
class Splits:
    """The photos of one run.

    Attributes:
        training: Photos to learn from.
        validation: Held-out photos by the name of their split.
        labels: Countries with enough training photos to be learnt, in alphabetical order.
        elsewhere: Photos of half of the countries without a label, kept from training to measure abstention.
    """

    training: Manifest
    validation: dict[str, Manifest]
    labels: tuple[str, ...]
    elsewhere: Manifest


def split(manifest: Manifest, data: Data) -> Splits:
    """Training photos are `train` in every column; a validation photo belongs to the first column that says `val`.

    A photo of a held-out place is therefore never counted among the new photos of known places. Which countries
    without a label are kept from training depends on their code alone, so that it is the same in every run.
    """
    free = np.ones(len(manifest), dtype=bool)
    validation = {}
    for column in data.validation_splits:
        held_out = free & (manifest.table[column] == "val").to_numpy()
        validation[column.removeprefix("split_")] = manifest.where(held_out)
        free &= ~held_out
    labels = choose_labels(manifest.where(free), data.min_photos)
    countries = manifest.table["country"]
    elsewhere = ~countries.isin(labels) & countries.map(lambda code: zlib.crc32(code.encode()) % 2 == 0)
    training = manifest.where(free & ~elsewhere.to_numpy())
    return Splits(training, validation, labels, manifest.where(elsewhere.to_numpy()))


def run(recipe: Recipe, manifest: Manifest, folder: Path, start: Path | Run | None, workers: int) -> Path:
    """Train a recipe; a folder that holds a checkpoint is resumed.

    Args:
        recipe: What to train and how.
        manifest: Photos with the recipe's validation columns and `place`.
        folder: Where `run.json`, the logs and the checkpoints go.
        start: Starting weights of the backbone (safetensors), a run to go on from, or None for timm's own weights
            or random ones, as the recipe says.
        workers: Processes that decode photos.

    Returns:
        The finished weights: those of the lowest validation loss, with whatever the recipe does to them then.

    Raises:
        RecipeError: If the folder holds a run of another recipe or manifest, or the weights do not fit.
    """
    lightning.seed_everything(recipe.seed, workers=True)
    splits = split(manifest, recipe.data)
    labels = splits.labels
    if len(labels) < 2:
        remedy = "Add photos or lower `data.min_photos`"
        raise RecipeError(recipe.name, f"{len(labels)} countries have enough training photos", remedy)
    _claim(folder, recipe, manifest, labels)
    draws, held_out = loaders(recipe, splits, workers)
    module = CountryTraining(recipe, labels, tuple(splits.validation), len(draws))
    last = folder / "checkpoints" / "last.ckpt"
    resumed = last if last.exists() else None
    if resumed is None:
        _start(module, splits, start, workers)
        _save(module.network.state_dict(), folder / START)
    best = ModelCheckpoint(last.parent, "{epoch:02d}", monitor="val/loss")
    # Behind the other, whose state it holds. `save_last=True` would write only after the epochs that are better.
    latest = ModelCheckpoint(last.parent, last.stem, enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=recipe.optimisation.epochs,
        precision=recipe.optimisation.precision,  # type: ignore[arg-type] # the recipe's words are Lightning's
        gradient_clip_val=recipe.optimisation.clip_norm,
        logger=CSVLogger(folder, name="logs"),  # a new version each time: a resumed run keeps its first figures
        callbacks=[
            best,
            latest,
            EarlyStopping("val/loss", patience=recipe.optimisation.patience),
            EMAWeightAveraging(decay=recipe.optimisation.ema_decay),
            Timer(verbose=False),  # its time is kept in the checkpoints
        ],
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )
    # Our own checkpoints hold the recipe's values, so torch's weights-only loading is kept.
    trainer.fit(module, draws, held_out, ckpt_path=resumed, weights_only=True)
    _finish(module.network, Path(best.best_model_path), folder, recipe, splits, workers)
    return folder / FINISHED


Loader = DataLoader[Sample | None]


def loaders(recipe: Recipe, splits: Splits, workers: int) -> tuple[Loader, list[Loader]]:
    """The training loader and one for each validation split."""
    batch, labels = recipe.optimisation.batch_size, splits.labels
    make = partial(
        DataLoader,
        batch_size=batch,
        collate_fn=collate(recipe.preprocessing),
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    draws = WeightedDraws(draw_weights(splits.training, labels, recipe.data), recipe.seed)
    training = make(TrainingPhotos(splits.training, labels, recipe), sampler=draws, drop_last=len(draws) > batch)
    validation = [
        make(ValidationPhotos(part, labels, recipe.preprocessing)) for part in splits.validation.values() if len(part)
    ]
    return training, validation


def _start(module: CountryTraining, splits: Splits, start: Path | Run | None, workers: int) -> None:
    """Fill a network with the weights that it starts from."""
    recipe = module.recipe
    if isinstance(start, Run):
        go_on_from(start, module.network, module.labels)
    else:
        start_from(module.network, recipe, start)
    if recipe.last_layer.at_start:
        fit_last_layer(module.network, splits.training, module.labels, recipe, workers)


def _finish(network: nn.Module, best: Path, folder: Path, recipe: Recipe, splits: Splits, workers: int) -> None:
    """Write the best weights, averaged with the starting ones and with a new last layer if the recipe says so."""
    state = torch.load(best, weights_only=True, map_location="cpu")["state_dict"]
    trained = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    if share := recipe.optimisation.start_share:
        start = load_file(folder / START)
        # Counters are the trained one's.
        trained |= {k: torch.lerp(v, start[k], share) for k, v in trained.items() if v.is_floating_point()}
    network.load_state_dict(trained)
    if recipe.last_layer.at_end:
        fit_last_layer(network, splits.training, splits.labels, recipe, workers)
    _save(network.state_dict(), folder / FINISHED)


def _save(state: dict[str, Tensor], path: Path) -> None:
    """Write weights whole or not at all."""
    part = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in state.items()}, part)
    part.replace(path)


def _claim(folder: Path, recipe: Recipe, manifest: Manifest, labels: tuple[str, ...]) -> None:
    """Write what the run depends on, or check that it is what the folder was begun with."""
    facts = {"recipe": recipe.model_dump(mode="json"), "manifest_sha256": manifest.sha256, "labels": list(labels)}
    path = folder / "run.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != facts:
            raise RecipeError(str(folder), "holds a run of another recipe or manifest", "Give another --out folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
