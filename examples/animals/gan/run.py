"""A run from photos to report: division, decoding, training, evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel
from safetensors.torch import load_file
from torch import Tensor

from examples.animals.gan.evaluation import Comparison, FeatureNetwork, Judge, Scores
from examples.animals.gan.networks import SIDE, Generator
from examples.animals.gan.photos import SmallPhotos, decode, divide
from examples.animals.gan.recipe import GanRecipe
from examples.animals.gan.training import SNAPSHOTS, check_batch, make_pictures, train_gan
from triovision.files import atomic_write
from triovision.metrics.country import Epoch
from triovision.train.data.loaders import ReadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.data.unreadable import FILE, UnreadablePhotos, allowed_photos
from triovision.train.engine.run import CACHE
from triovision.train.engine.run_folder import FINISHED, load_finished, read_run, write_run_config
from triovision.train.evaluation.learning_curves import read_curves
from triovision.train.frozen.backbones import frozen_network

METRICS = "metrics.json"
#: Names of the sets: the one in question, the best that it could be, and two that it should not be like.
MADE, HELD_OUT, REST, NOISE = "made pictures", "held-out photos of the class", "photos of the rest", "noise"


class GanMetrics(BaseModel):
    """Figures of a run.

    Attributes:
        training_photos: Number of photos of the class that the GAN learned from.
        scores: Scores by name of the set; the sets are equally large.
        by_epoch: Scores of made pictures by epoch.
        judge: Balanced accuracy and area under the ROC curve of the classifier on held-out photos.
        curves: Losses, and the mean probability of being real that the discriminator gives real and made pictures.
    """

    training_photos: int
    scores: dict[str, Scores]
    by_epoch: dict[int, Scores]
    judge: dict[str, float]
    curves: tuple[Epoch, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Attributes:
        metrics: Its figures, as in `metrics.json`.
        training: Its training photos, `uint8` of shape `(n, 3, 64, 64)`.
        made: Some made pictures.
        nearest: The training photo that is most similar to each of them.
    """

    metrics: GanMetrics
    training: Tensor
    made: Tensor
    nearest: Tensor


def run_gan(
    recipe: GanRecipe, photos: Manifest, folder: Path, weights: Sequence[Path], options: ReadOptions
) -> Outcome:
    """Train a DCGAN and evaluate it; a killed run is resumed, see `train_gan`, a finished one only evaluated.

    Args:
        recipe: Recipe.
        photos: Photos of the class and the rest.
        folder: Folder of the run.
        weights: Weights of the backbone that evaluates, or none for those of timm's hub.
        options: Workers, limit of unreadable photos, checkpoint interval.

    Raises:
        ManifestError: If the class or the rest has too few photos.
        RecipeError: If the folder holds another run, the weights do not fit, or the training fails.
    """
    parts = divide(photos, recipe)
    # What cannot be trained is refused before the folder belongs to this recipe.
    check_batch(recipe, len(parts["training"]))
    backbone = frozen_network(recipe.evaluation.backbone, weights, 0)
    # A run may be trained for longer and measured in other ways.
    config = recipe.model_dump(mode="json", exclude={"evaluation": True, "optimisation": {"epochs"}})
    write_run_config(folder, {"recipe": config, "manifest_sha256": photos.sha256})
    unreadable = UnreadablePhotos(folder / FILE, allowed_photos(options.max_unreadable, len(photos)))
    unreadable.forget_restored(photos.root)
    decoded = {name: decode(photos, part, folder / CACHE, options.workers, unreadable) for name, part in parts.items()}
    train_gan(recipe, decoded["training"], folder, unreadable, options.save_every)
    outcome = evaluate_gan(recipe, folder, decoded, FeatureNetwork(backbone, recipe.evaluation.preprocessing))
    atomic_write(folder / METRICS, outcome.metrics.model_dump_json(indent=2) + "\n")
    return outcome


def evaluate_gan(
    recipe: GanRecipe, folder: Path, photos: Mapping[str, SmallPhotos], network: FeatureNetwork
) -> Outcome:
    """Compare the pictures of a finished run with photos and noise.

    Args:
        recipe: Its recipe.
        folder: Its folder.
        photos: Photos by part, see `divide`.
        network: Network of the features.
    """
    real = {name: part.pictures() for name, part in photos.items()}
    known = {name: network.of_many(pictures, name.replace("_", " ")) for name, pictures in real.items()}
    n = min(len(known["held_out"]), len(known["held_out_rest"]))
    judge = Judge(known["training"], known["rest"])
    comparison = Comparison(known["training"], judge, recipe.evaluation)

    def made_by(path: Path) -> tuple[Tensor, Tensor]:
        generator = Generator(recipe.networks.latent, recipe.networks.channels)
        generator.load_state_dict(load_file(path))
        pictures = make_pictures(generator, n, recipe.seed + 1)
        return pictures, network.of_many(pictures, path.stem)

    made, features = made_by(folder / FINISHED)
    noise = torch.randint(256, (n, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(recipe.seed))
    sets = {
        MADE: features,
        HELD_OUT: known["held_out"][:n],
        REST: known["held_out_rest"][:n],
        NOISE: network.of_many(noise.to(torch.uint8), NOISE),
    }
    metrics = GanMetrics(
        training_photos=len(real["training"]),
        scores={name: comparison.scores(given) for name, given in sets.items()},
        by_epoch={
            int(path.stem.removeprefix("epoch-")): comparison.scores(made_by(path)[1])
            for path in sorted((folder / SNAPSHOTS).glob("epoch-*.safetensors"))
        },
        judge=judge.measure(known["held_out"], known["held_out_rest"]),
        curves=read_curves(folder),
    )
    nearest = comparison.similarities(features).argmax(dim=1)
    return Outcome(metrics, real["training"], made, real["training"][nearest])


def read_generator(folder: Path) -> Generator:
    """Read the generator of a finished run.

    Raises:
        RecipeError: If the folder holds no finished run.
    """
    recipe, _, state = read_run(folder, GanRecipe, (), "run of a GAN")
    generator = Generator(recipe.networks.latent, recipe.networks.channels)
    load_finished(generator, state, folder)
    return generator
