"""Recipe of a model on frozen backbones: a linear country classifier and a landmark index."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from triovision.inference.preprocessing import Preprocessing
from triovision.train.recipes.reader import RecipeReader
from triovision.train.recipes.sections import Section

Positive = Annotated[float, Field(gt=0)]


class HeadSection(Section):
    """The linear country classifier.

    Attributes:
        min_photos: Countries with fewer photos are no label.
        components: Number of principal axes of the features that the classifier sees.
        penalties: Candidates of the L2 penalty; the one with the highest likelihood on sources that the classifier did
            not see is chosen.
        source_power: The n photos that a source gives a country weigh n**source_power together: 1 natural, 0 the same
            for each source.
        smoothing: Fraction of a target that goes to the other countries.
        smoothing_km: Distance between countries at which their part of `smoothing` falls to 1/e, as in "PIGEON:
            Predicting Image Geolocations" (Haas et al., 2024).
    """

    min_photos: int = Field(default=12, ge=2)
    components: int = Field(default=768, ge=2)
    penalties: tuple[Positive, ...] = (0.01, 0.02, 0.04)
    source_power: float = Field(default=0.35, ge=0, le=1)
    smoothing: float = Field(default=0.2, ge=0, lt=1)
    smoothing_km: Positive = 1000.0


class EmbeddingSection(Section):
    """The projection from features to the vectors of the landmark index.

    It is trained with the supervised contrastive loss (Khosla et al., 2020), in which only photos of one landmark from
    different sources are a pair.

    Attributes:
        dimensions: Length of a vector.
        steps: Number of steps of Adam.
        batch_size: Photos in a step.
        learning_rate: Rate of Adam.
        temperature: Divisor of the cosine similarities.
        dropout: Dropout rate of the features.
    """

    dimensions: int = Field(default=256, ge=2)
    steps: int = Field(default=150, ge=0)
    batch_size: int = Field(default=1500, ge=4)
    learning_rate: Positive = 3e-4
    temperature: Positive = 0.1
    dropout: float = Field(default=0.1, ge=0, lt=1)


class ScoreSection(Section):
    """The score of a landmark for a photo: cosine similarity plus two weighted logarithms.

    Attributes:
        country_weight: Weight of the logarithm of the probability of the landmark's country.
        photos_weight: Weight of the logarithm of the landmark's number of photos in the index.
    """

    country_weight: float = Field(default=0.03, ge=0)
    photos_weight: float = Field(default=-0.01, le=0)


class FrozenRecipe(Section):
    """The recipe of a model on frozen backbones.

    Attributes:
        name: Short name of the recipe.
        description: One line.
        architecture: Name of a timm architecture, or several joined by `+`.
        seed: Seed of all random numbers.
        preprocessing: Preprocessing of the model.
        fold_column: Column of the manifest with folds of whole sources, `0`, `1` and so on; other photos are left out.
        accuracy: Target accuracy of the answers.
        head: See `HeadSection`.
        embedding: See `EmbeddingSection`.
        score: See `ScoreSection`.
    """

    name: str
    description: str
    architecture: str
    seed: int = 0
    preprocessing: Preprocessing
    fold_column: str = "split_new_sources"
    accuracy: float = Field(default=0.9, gt=0, lt=1)
    head: HeadSection = HeadSection()
    embedding: EmbeddingSection = EmbeddingSection()
    score: ScoreSection = ScoreSection()


#: The recipes of models on frozen backbones.
RECIPES = RecipeReader(FrozenRecipe, "frozen")
