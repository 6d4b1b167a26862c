"""Recipe of a DCGAN: class, networks, loss and optimisation, each named method with its source."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from examples.animals.gan.augmentation import Policy
from examples.animals.gan.networks import SIDE, Regularisation
from triovision.inference.preprocessing import Preprocessing
from triovision.train.recipes.reader import RecipeReader
from triovision.train.recipes.sections import Section

#: Pictures between -1 and 1, as the generator makes them.
PREPROCESSING = Preprocessing(input_size=SIDE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def _several(value: object) -> object:
    """A single value needs no brackets."""
    return (value,) if isinstance(value, str) else value


class ClassSection(Section):
    """The class, and the photos that are kept from training.

    Attributes:
        column: Column of the manifest that names the class; of a folder of photos, `class` is the subfolder's name.
        values: The values of that column that are the class; every other photo belongs to the rest.
        held_out: Fraction of the photos of class and rest that neither the GAN nor the judging classifier learns from.
    """

    column: str = "class"
    values: Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]
    held_out: float = Field(default=0.2, gt=0, lt=1)


class Networks(Section):
    """Sizes of generator and discriminator.

    Attributes:
        latent: Length of the latent vector.
        channels: Channels of both at 32 x 32 pixels; twice as many on each smaller grid.
        regularisation: See `Discriminator`.
    """

    latent: int = Field(default=100, ge=1)
    channels: int = Field(default=64, ge=1)
    regularisation: Regularisation = "batch_norm"


class AdversarialLoss(Section):
    """The loss of both networks: binary cross-entropy; that of the generator is the non-saturating one.

    Attributes:
        real_target: Target of real pictures; below 1 it is the one-sided label smoothing of "Improved Techniques for
            Training GANs" (Salimans et al., 2016). That of made pictures stays 0.
        r1_weight: Weight of the gradient penalty on real pictures if `networks.regularisation` is `r1`, "Which
            Training Methods for GANs do actually Converge?" (Mescheder et al., 2018), which centres the penalty of
            "Improved Training of Wasserstein GANs" (Gulrajani et al., 2017) at 0.
        augmentation: Differentiable augmentation of all pictures that the discriminator sees, see `augment`. It keeps
            a discriminator from learning a few hundred photos by heart.
    """

    real_target: float = Field(default=0.9, gt=0.5, le=1)
    r1_weight: float = Field(default=1.0, gt=0)
    augmentation: tuple[Policy, ...] = ()


class GanOptimisation(Section):
    """Optimiser (Adam) and length of a run.

    Attributes:
        epochs: Number of epochs.
        passes: Passes over the photos in an epoch, each photo mirrored or not at random.
        batch_size: Photos per batch, and pictures that the generator makes for it.
        learning_rate: Learning rate of the generator.
        discriminator_rate: Learning rate of the discriminator.
        beta1: Decay of the mean gradient.
        ema_decay: Decay per step of the moving average of the generator, which makes the pictures; smaller in the
            first steps. "The Unusual Effectiveness of Averaging in GAN Training" (Yazici et al., 2019).
        precision: Precision of Lightning's `Trainer`.
        snapshot_epochs: The generator is kept after every so many epochs, for the figures by epoch.
    """

    epochs: int = Field(default=50, ge=1)
    passes: int = Field(default=1, ge=1)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=2e-4, gt=0)
    discriminator_rate: float = Field(default=2e-4, gt=0)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    ema_decay: float = Field(default=0.999, gt=0, lt=1)
    precision: str = "32-true"
    snapshot_epochs: int = Field(default=10, ge=1)


class Evaluation(Section):
    """How made pictures are measured.

    Attributes:
        backbone: Architecture of timm whose pooled features are compared and classified.
        preprocessing: Its preprocessing; the pictures of 64 x 64 pixels are enlarged to its input.
        rest_photos: Photos of the rest that are used, chosen at random.
        kid_subsets: Random subsets over which KID is a mean.
        kid_subset_size: Pictures in each; smaller where there are fewer.
    """

    backbone: str = "tf_efficientnet_lite0"
    preprocessing: Preprocessing = Preprocessing(input_size=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    rest_photos: int = Field(default=2000, ge=10)
    kid_subsets: int = Field(default=100, ge=2)
    kid_subset_size: int = Field(default=100, ge=2)


class GanRecipe(Section):
    """The recipe of a DCGAN.

    Attributes:
        name: Short name of the recipe.
        description: One line.
        seed: Seed of all random numbers.
        data: See `ClassSection`.
        networks: See `Networks`.
        loss: See `AdversarialLoss`.
        optimisation: See `GanOptimisation`.
        evaluation: See `Evaluation`.
    """

    name: str
    description: str
    seed: int = 0
    data: ClassSection
    networks: Networks = Networks()
    loss: AdversarialLoss = AdversarialLoss()
    optimisation: GanOptimisation = GanOptimisation()
    evaluation: Evaluation = Evaluation()


#: The recipes of this folder.
RECIPES = RecipeReader(GanRecipe, "recipes", __package__)
