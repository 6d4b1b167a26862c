"""Photos a second of our training loop, as a ratio to a bare PyTorch loop on the same tensors in the same run.

The first step is a warm-up with a checkpoint after it, and is not counted. With `--compile` our loop is measured with
the network compiled too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn
from torch.utils.data import Dataset, Sampler

from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.dataset import Sample, collate
from triovision.train.data.loaders import ResumableLoader
from triovision.train.data.samplers import SampleKey
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.engine.callbacks import AtomicCheckpointIO, Compile, FiniteLossGuard, StepCheckpoint, StepSeed
from triovision.train.engine.country_module import CountryModule
from triovision.train.engine.trainer import keep_freed_memory
from triovision.train.losses.country import CrossEntropy
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import Optimisation

STEPS = int(os.environ.get("TRIOVISION_STEPS", "12"))
BATCH = int(os.environ.get("TRIOVISION_BATCH", "32"))
SIDE = int(os.environ.get("TRIOVISION_SIDE", "192"))
ROUNDS, LIMIT = 3, 0.9
LABELS = tuple(f"{i}" for i in range(56))
RECIPE = Recipe(
    name="benchmark",
    description="",
    architecture="tf_efficientnet_lite0",
    preprocessing=Preprocessing(input_size=SIDE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    optimisation=Optimisation(epochs=1, batch_size=BATCH),
)


class NoiseImages(Dataset[Sample | None]):
    """Images of noise in memory."""

    def __init__(self) -> None:
        self.images = torch.randint(0, 256, (BATCH * 4, 3, SIDE, SIDE), dtype=torch.uint8)

    def __len__(self) -> int:
        """Number of photos an epoch."""
        return STEPS * BATCH

    def __getitem__(self, key: SampleKey) -> Sample:
        """Image and label."""
        return self.images[key[0] % len(self.images)], key[0] % len(LABELS)


class InOrder(Sampler[SampleKey]):
    """Each photo once, in order."""

    epoch = 0

    def __len__(self) -> int:
        """Number of photos an epoch."""
        return STEPS * BATCH

    def __iter__(self) -> Iterator[SampleKey]:
        """Row numbers, each with an unused seed."""
        return ((row, 0) for row in range(len(self)))


def loader() -> ResumableLoader:
    """Training batches, the same for both loops."""
    return ResumableLoader(
        NoiseImages(), InOrder(), BATCH, collate_fn=collate(RECIPE.preprocessing), pin_memory=torch.cuda.is_available()
    )


def device() -> torch.device:
    """GPU if present, else CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def module() -> CountryModule:
    """Module of a country run with a fixed seed."""
    torch.manual_seed(0)
    even = np.full(len(LABELS), 1 / len(LABELS))
    return CountryModule(RECIPE, LABELS, (), STEPS, CrossEntropy(RECIPE.loss, np.ones(len(LABELS), np.int64), even))


def bare(folder: Path) -> float:  # noqa: ARG001 - the signature of `ours`
    """Seconds of a plain PyTorch loop: bfloat16, clipping, AdamW, schedule, moving average."""
    training, batches = module().to(device()), loader()
    configured = training.configure_optimizers()
    optimiser, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    average = AveragedModel(training.network, avg_fn=get_ema_avg_fn(RECIPE.optimisation.ema_decay), use_buffers=True)
    network = training.network.train()
    start = 0.0
    for number, (images, target) in enumerate(batches):
        if number == 1:
            start = time.perf_counter()
        loss = step_loss(network, images.to(device(), non_blocking=True), target.to(device(), non_blocking=True))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), RECIPE.optimisation.clip_norm)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def step_loss(network: torch.nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of one batch with the recipe's label smoothing."""
    with torch.autocast(device().type, torch.bfloat16):
        logits = network(images)
    return torch.nn.functional.cross_entropy(
        logits.float(), target, label_smoothing=RECIPE.optimisation.label_smoothing
    )


class StepTimer(lightning.Callback):
    """Times the steps after the first."""

    seconds = 0.0

    def on_train_batch_start(self, _: object, __: object, ___: object, batch_idx: int) -> None:
        """Start at the second step."""
        if batch_idx == 1:
            self.start = time.perf_counter()

    def on_train_epoch_end(self, *_: object) -> None:
        """Stop when the device is done."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self.start


def ours(folder: Path, compiled: bool = False) -> float:
    """Seconds of the training loop of `triovision train run`."""
    timer, run_config = StepTimer(), folder / "run.json"
    run_config.write_text("{}", encoding="utf-8")
    trainer = lightning.Trainer(
        max_epochs=1,
        precision="bf16-mixed",
        gradient_clip_val=RECIPE.optimisation.clip_norm,
        logger=False,
        enable_model_summary=False,
        enable_checkpointing=True,
        callbacks=[
            timer,
            *([Compile()] if compiled else []),
            EMAWeightAveraging(decay=RECIPE.optimisation.ema_decay),
            StepSeed(0),
            FiniteLossGuard(run_config, UnreadablePhotos(folder / "unreadable.csv", 0)),
            StepCheckpoint(folder, 200),
        ],
        plugins=[AtomicCheckpointIO()],
    )
    with contextlib.redirect_stdout(None):
        trainer.fit(module(), loader())
    return timer.seconds


def main() -> None:
    """Measure the loops in turn and compare their medians."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(
        f"{torch.get_num_threads()} threads, {device().type}, {RECIPE.architecture} at {SIDE}, {STEPS} steps of {BATCH}"
    )
    keep_freed_memory()  # as the command does
    loops: dict[str, Callable[[Path], float]] = {"bare PyTorch": bare, "our loop": ours}
    if "--compile" in sys.argv:
        loops["compiled"] = partial(ours, compiled=True)
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    with TemporaryDirectory() as scratch:
        for counted in [False] + [True] * ROUNDS:
            for name, loop in loops.items():
                elapsed = loop(Path(scratch))
                if counted:
                    seconds[name].append(elapsed)
    rates = {name: (STEPS - 1) * BATCH / statistics.median(values) for name, values in seconds.items()}
    for name, rate in rates.items():
        print(f"  {name:14} {rate:7.1f} photos/s")
    ratio = rates["our loop"] / rates["bare PyTorch"]
    print(f"  ratio = {ratio:.2f} (target: at least {LIMIT}) {'ok' if ratio >= LIMIT else 'MISSED'}")


if __name__ == "__main__":
    main()
