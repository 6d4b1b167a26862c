"""Training of a DCGAN: Lightning module, grids of samples, and the run, which a kill does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel

from examples.animals.gan.augmentation import augment
from examples.animals.gan.networks import Discriminator, Generator
from examples.animals.gan.photos import SmallPhotos
from examples.animals.gan.recipe import PREPROCESSING, GanRecipe
from triovision.errors import RecipeError
from triovision.files import atomic_path
from triovision.train.data.dataset import collate
from triovision.train.data.loaders import ResumableLoader
from triovision.train.data.samplers import RepeatSampler
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.engine.callbacks import FiniteLossGuard, StepCheckpoint, StepSeed
from triovision.train.engine.optim import growing_average
from triovision.train.engine.run_folder import CHECKPOINTS, FINISHED, RUN_CONFIG, resume_checkpoint, write_weights
from triovision.train.engine.trainer import TrainerOptions

#: Folders of a run: grids of samples, and generators by epoch.
GRIDS, SNAPSHOTS = "samples", "generators"
#: Checkpoint of the end of an epoch, see `StepCheckpoint`.
_LAST = Path(CHECKPOINTS) / "last.ckpt"
_GRID_ROWS = 8


class GanModule(lightning.LightningModule):
    """Trains generator and discriminator in turn, one step each for every batch.

    Args:
        recipe: Recipe of the run.
    """

    def __init__(self, recipe: GanRecipe) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.recipe = recipe
        sizes = recipe.networks
        self.generator = Generator(sizes.latent, sizes.channels)
        self.discriminator = Discriminator(sizes.channels, sizes.regularisation)
        average = growing_average(recipe.optimisation.ema_decay)
        self.average = AveragedModel(self.generator, multi_avg_fn=average, use_buffers=True)
        self.to(memory_format=torch.channels_last)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """One step of the discriminator and one of the generator."""
        real, _labels = batch
        optimisers = cast(list[Any], self.optimizers())
        noise = torch.randn(len(real), self.recipe.networks.latent, device=self.device)
        made = self.generator(noise)
        self._step(optimisers[0], self._discriminator_loss(real, made.detach()), "discriminator")
        self.discriminator.requires_grad_(False)  # the gradient passes through it, to the generator alone
        judged = self.discriminator(self._augmented(made))
        self._step(optimisers[1], F.binary_cross_entropy_with_logits(judged, torch.ones_like(judged)), "generator")
        self.discriminator.requires_grad_(True)
        self.average.update_parameters(self.generator)

    def _discriminator_loss(self, real: Tensor, made: Tensor) -> Tensor:
        r1 = self.recipe.networks.regularisation == "r1"
        shown = self._augmented(real).requires_grad_(r1)
        for_real, for_made = self.discriminator(shown), self.discriminator(self._augmented(made))
        target = torch.full_like(for_real, self.recipe.loss.real_target)
        loss = F.binary_cross_entropy_with_logits(for_real, target)
        loss = loss + F.binary_cross_entropy_with_logits(for_made, torch.zeros_like(for_made))
        self._mean("real", for_real.detach().sigmoid().mean())
        self._mean("made", for_made.detach().sigmoid().mean())
        if r1:
            (gradient,) = torch.autograd.grad(for_real.sum(), shown, create_graph=True)
            loss = loss + self.recipe.loss.r1_weight / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()
        return loss

    def _augmented(self, pictures: Tensor) -> Tensor:
        return augment(pictures, self.recipe.loss.augmentation)

    def _step(self, optimiser: Any, loss: Tensor, name: str) -> None:  # noqa: ANN401 - Lightning's wrapper
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()
        self._mean(f"{name}/loss", loss.detach())

    def _mean(self, name: str, value: Tensor) -> None:
        self.log(name, value, on_step=False, on_epoch=True, prog_bar=True)

    def configure_optimizers(self) -> list[Optimizer]:
        """Adam for the discriminator, then for the generator."""
        o = self.recipe.optimisation
        networks = ((self.discriminator, o.discriminator_rate), (self.generator, o.learning_rate))
        return [Adam(network.parameters(), rate, (o.beta1, 0.999)) for network, rate in networks]


class SampleGrids(Callback):
    """Writes a grid of samples after each epoch, always of the same latent vectors, and keeps some generators.

    Args:
        folder: Folder of the run.
        recipe: Its recipe.
    """

    def __init__(self, folder: Path, recipe: GanRecipe) -> None:
        self.folder = folder
        self.recipe = recipe

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the grid, and the generator if its turn has come."""
        epoch = trainer.current_epoch + 1
        generator = cast(Generator, pl_module.get_submodule("average.module"))
        grid = picture_grid(make_pictures(generator, _GRID_ROWS**2, self.recipe.seed))
        try:
            with atomic_path(self.folder / GRIDS / f"epoch-{epoch:03d}.png") as part:
                grid.save(part, format="PNG")
            if epoch % self.recipe.optimisation.snapshot_epochs == 0:
                write_weights(generator, self.folder / SNAPSHOTS / f"epoch-{epoch:03d}.safetensors")
        except OSError as exc:
            reason = f"cannot be written ({exc.strerror or exc})"
            remedy = "Free some space and run the same command again to resume"
            raise RecipeError(str(exc.filename or self.folder), reason, remedy) from exc


def train_gan(
    recipe: GanRecipe,
    photos: SmallPhotos,
    folder: Path,
    unreadable: UnreadablePhotos,
    save_every: int = 200,
) -> Path:
    """Train a DCGAN; a killed run resumes after its last checkpoint and ends with the same weights.

    A finished run goes on where the recipe has more epochs than before: the weights are those of one longer run.

    Args:
        recipe: Recipe.
        photos: Training photos of the class.
        folder: Folder of the run, which holds its `run.json`.
        unreadable: List of unreadable photos.
        save_every: Steps between two checkpoints within an epoch.

    Returns:
        Path of the weights of the averaged generator.

    Raises:
        RecipeError: If there are fewer photos than a batch, a loss is not finite, the disk is full, or the run has had
            more epochs already.
    """
    check_batch(recipe, len(photos))
    o = recipe.optimisation
    done = trained_epochs(folder)
    if done > o.epochs:
        raise RecipeError(str(folder), f"has had {done} epochs", f"Set `optimisation.epochs` to {done} or more")
    if done < o.epochs:
        _fit(recipe, photos, folder, unreadable, save_every)
    state = _last_checkpoint(folder)["state_dict"]
    prefix = "average.module."
    average = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    generator = Generator(recipe.networks.latent, recipe.networks.channels)
    generator.load_state_dict(average)
    write_weights(generator, folder / FINISHED)
    (folder / CHECKPOINTS / "resume.ckpt").unlink(missing_ok=True)
    return folder / FINISHED


def check_batch(recipe: GanRecipe, photos: int) -> None:
    """Check that there are enough training photos for a batch.

    Raises:
        RecipeError: If there are not.
    """
    size = recipe.optimisation.batch_size
    if photos < size:
        reason = f"has {photos} readable training photos, fewer than a batch of {size}"
        remedy = f"Add photos, or give --set optimisation.batch_size={max(2, photos // 4)}"
        raise RecipeError(f"The class {', '.join(recipe.data.values)}", reason, remedy)


def trained_epochs(folder: Path) -> int:
    """Number of whole epochs that a run has had."""
    return int(_last_checkpoint(folder)["epoch"]) + 1 if (folder / _LAST).exists() else 0


def _last_checkpoint(folder: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(folder / _LAST, weights_only=True, map_location="cpu")
    return checkpoint


def _fit(recipe: GanRecipe, photos: SmallPhotos, folder: Path, unreadable: UnreadablePhotos, save_every: int) -> None:
    o = recipe.optimisation
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    sampler = RepeatSampler(np.full(len(photos), o.passes), recipe.seed)
    loader = ResumableLoader(photos, sampler, o.batch_size, collate_fn=collate(PREPROCESSING))
    callbacks = [
        SampleGrids(folder, recipe),
        StepSeed(recipe.seed),
        FiniteLossGuard(folder / RUN_CONFIG, unreadable),
        StepCheckpoint(folder / CHECKPOINTS, save_every),
    ]
    trainer = TrainerOptions().build_plain(recipe.name, folder, o.epochs, len(loader), callbacks, precision=o.precision)
    trainer.fit(GanModule(recipe), loader, ckpt_path=resume_checkpoint(folder), weights_only=True)


def make_pictures(generator: Generator, n: int, seed: int) -> Tensor:
    """Make pictures, `uint8` of shape `(n, 3, 64, 64)`; the same ones for the same weights and seed.

    Args:
        generator: Generator, which is put into evaluation mode.
        n: Number of pictures.
        seed: Seed of the latent vectors.
    """
    generator.eval()
    noise = torch.randn(n, generator.latent, generator=torch.Generator().manual_seed(seed))
    device = next(generator.parameters()).device
    with torch.inference_mode():
        made = torch.cat([generator(part.to(device)).float().cpu() for part in torch.split(noise, 64)])
    return made.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def picture_grid(pictures_nchw: Tensor, columns: int = _GRID_ROWS) -> Image.Image:
    """Arrange pictures in rows of at most so many columns."""
    n, _, height, width = pictures_nchw.shape
    columns = min(columns, n)
    grid = Image.new("RGB", (columns * width, -(-n // columns) * height))
    for number, picture in enumerate(pictures_nchw):
        row, column = divmod(number, columns)
        grid.paste(Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()), (column * width, row * height))
    return grid
