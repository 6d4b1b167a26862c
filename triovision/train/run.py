"""Run a recipe on a manifest, or go on where a killed run stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, Timer
from lightning.pytorch.loggers import CSVLogger

from triovision.errors import RecipeError
from triovision.train.bad_photos import FILE, BadPhotos, allowed_photos
from triovision.train.checkpoint import FINISHED, START, Run, write_weights
from triovision.train.classifier import CountryTraining
from triovision.train.data import targets
from triovision.train.finishing import finish
from triovision.train.loading import Loading, frozen_loaders, loaders, prepare
from triovision.train.loop import Guard, ResumePoints, WholeCheckpoints
from triovision.train.losses import country_loss
from triovision.train.manifest import Manifest
from triovision.train.normalisation import measured
from triovision.train.recipe import Recipe
from triovision.train.run_splits import split
from triovision.train.sampling import sampler
from triovision.train.starting import start
from triovision.train.stopping import StopEarly


def run(
    recipe: Recipe,
    manifest: Manifest,
    folder: Path,
    source: Path | Run | None,
    workers: int,
    loading: Loading | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train a recipe; a run that was killed goes on after the last step that it kept, and ends as if it never was.

    Args:
        recipe: What to train and how.
        manifest: Photos with the recipe's validation columns and `place`.
        folder: Where `run.json`, the logs, the checkpoints and the list of unreadable photos go.
        source: Starting weights of the backbone (safetensors), a run to go on from, or None for timm's own weights
            or random ones, as the recipe says.
        workers: Processes that decode photos.
        loading: Caches, budget and checkpoints; the defaults of `Loading` when None.
        callbacks: Lightning callbacks beside its own; nothing of them is in the folder's facts.

    Returns:
        The finished weights: those of the lowest validation loss, with whatever the recipe does to them then.

    Raises:
        RecipeError: If the folder holds a run of another recipe or manifest, the weights do not fit, the loss is no
            number, too many photos cannot be read or the disk is full. What was trained is kept.
    """
    loading = replace(loading or Loading(), workers=workers)
    lightning.seed_everything(recipe.seed, workers=True)
    splits = split(manifest, recipe.data)
    labels = splits.labels
    if len(labels) < 2:
        remedy = "Add photos or lower `data.min_photos`"
        raise RecipeError(recipe.name, f"{len(labels)} countries have enough training photos", remedy)
    recipe = measured(recipe, splits.training, folder, workers)
    bad = BadPhotos(folder / FILE, allowed_photos(loading.max_bad_photos, len(manifest)))
    facts = _claim(folder, recipe, manifest, labels, loading)
    if (folder / FINISHED).exists():
        return folder / FINISHED
    bad.forget_restored(manifest.root)
    photos = prepare(recipe, manifest, splits, loading, bad)
    chosen = sampler(splits.training, labels, recipe.data, recipe.seed)
    draws, held_out = loaders(recipe, chosen, photos, loading)
    criterion = country_loss(recipe.loss, labels, targets(splits.training, labels), chosen.shares)
    steps = math.ceil(len(draws) / recipe.optimisation.accumulation)
    module = CountryTraining(recipe, labels, tuple(splits.validation), steps, criterion)
    checkpoints = folder / "checkpoints"
    resumed = next((path for name in ("resume", "last") if (path := checkpoints / f"{name}.ckpt").exists()), None)
    if resumed is None:
        start(module.network, recipe, splits, source, workers)
        write_weights(module.network, folder / START)
    if loading.views:
        if resumed is not None:
            # Not the moving average, which rounds even what never changes.
            kept = torch.load(resumed, weights_only=True, map_location="cpu")
            module.load_state_dict(kept.get("current_model_state", kept["state_dict"]))
        draws, held_out = frozen_loaders(recipe, splits, chosen, photos, module.network, loading)
    best = ModelCheckpoint(checkpoints, "{epoch:02d}", monitor="val/loss", enable_version_counter=False)
    resume_points = ResumePoints(checkpoints, loading.save_every)
    trainer = _trainer(recipe, folder, [best, Guard(recipe.seed, facts, bad), resume_points, *callbacks])
    try:
        # Our own checkpoints hold the recipe's values, so torch's weights-only loading is kept.
        trainer.fit(module, draws, held_out, ckpt_path=resumed, weights_only=True)
    except Exception:
        bad.check()  # a process that reads photos cannot say so itself
        raise
    finish(Path(best.best_model_path), folder, recipe, splits, workers)
    (checkpoints / "resume.ckpt").unlink(missing_ok=True)
    return folder / FINISHED


def _trainer(recipe: Recipe, folder: Path, callbacks: Sequence[Callback]) -> lightning.Trainer:
    o = recipe.optimisation
    averaging = [EMAWeightAveraging(decay=o.ema_decay)] if o.ema_decay else []
    return lightning.Trainer(
        max_epochs=o.epochs,
        precision=o.precision,  # type: ignore[arg-type] # the recipe's words are Lightning's
        gradient_clip_val=o.clip_norm,
        accumulate_grad_batches=o.accumulation,
        # A new version each time: a resumed run keeps its first figures.
        logger=CSVLogger(folder, name="logs", flush_logs_every_n_steps=20),
        callbacks=[
            StopEarly(o.min_epochs, o.patience),
            *averaging,
            Timer(verbose=False),  # its time is kept in the checkpoints
            *callbacks,
        ],
        plugins=[WholeCheckpoints()],
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )


def _claim(
    folder: Path, recipe: Recipe, manifest: Manifest, labels: tuple[str, ...], loading: Loading
) -> dict[str, Any]:
    """Write what the run depends on, or check that it is what the folder was begun with."""
    facts = {"recipe": recipe.model_dump(mode="json"), "manifest_sha256": manifest.sha256, "labels": list(labels)}
    facts |= loading.facts(recipe)
    path = folder / "run.json"
    if path.exists():
        begun = json.loads(path.read_text(encoding="utf-8"))
        if begun != facts:
            unknown = sorted(set(labels) - set(begun["labels"]))
            differ = " and ".join(
                name for name in sorted(begun.keys() | facts.keys()) if begun.get(name) != facts.get(name)
            )
            also = f"; its model does not know {', '.join(unknown)}" if unknown else ""
            raise RecipeError(
                str(folder),
                f"holds a run of another recipe or manifest ({differ} differ{also})",
                "Give another --out folder",
            )
        return facts
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(".run.json.part")
    part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
    return facts
