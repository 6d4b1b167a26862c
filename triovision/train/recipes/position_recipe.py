"""Recipe of a position run: everything that training ResNetGPS depends on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from triovision.train.recipes.reader import RecipeReader
from triovision.train.recipes.sections import RunRecipe, Section

Rate = Annotated[float, Field(ge=0, lt=1)]


class PositionDataSection(Section):
    """The training photos, each drawn once per epoch.

    Attributes:
        validation_splits: Columns of the manifest; a photo with `val` in any of them is held out.
    """

    validation_splits: tuple[str, ...] = ("split_new_places", "split_known_places")


class Dropouts(Section):
    """Dropout rates, by the names that `build_resnetgps` gives them.

    Attributes:
        city_dropout1: After the first layer of the city branch.
        city_dropout2: After its second layer.
        dropout1: After the first layer of the image branch.
        dropout2: After the second.
        dropout3: After the third.
    """

    city_dropout1: Rate
    city_dropout2: Rate
    dropout1: Rate
    dropout2: Rate
    dropout3: Rate


class PositionLossSection(Section):
    """The loss of a position run.

    Attributes:
        name: A loss registered in `triovision.train.losses.position`; `mse_degrees` is that of the ResNetGPS study.
        components: Number of components of `von_mises_fisher_mixture`.
        auxiliary_weight: Weight of the auxiliary loss of the architecture: the reconstruction of the metadata in V3.
    """

    name: str = "mse_degrees"
    components: int = Field(default=8, ge=1)
    auxiliary_weight: float = Field(default=1.0, ge=0)


class Candidates(Section):
    """Candidate cities with which a photo of an unknown city is evaluated.

    Attributes:
        countries: Number of most probable countries whose cities are candidates.
        per_country: Largest number of candidate cities per country.
        min_photos: Countries with fewer training photos are no label of the linear probe.
    """

    countries: int = Field(default=5, ge=1)
    per_country: int = Field(default=10, ge=1)
    min_photos: int = Field(default=10, ge=2)


class PositionRecipe(RunRecipe):
    """The recipe of a position run.

    `architecture` names the backbone: a ResNet of timm, or `resnet50_v1`. `patience` and the schedule `plateau` follow
    the validation loss; the best epoch is the one with the smallest median distance.

    Attributes:
        version: One of the four architectures of ResNetGPS.
        trains: Part of the backbone that is trained: `layer4`, its last stage, as published, or `nothing`, so that an
            epoch computes only the layers after the backbone.
        data: See `PositionDataSection`.
        dropouts: See `Dropouts`.
        loss: See `PositionLossSection`.
        candidates: See `Candidates`.
    """

    version: Literal["v1", "v2", "v3", "v4"]
    trains: Literal["layer4", "nothing"] = "layer4"
    data: PositionDataSection = PositionDataSection()
    dropouts: Dropouts
    loss: PositionLossSection = PositionLossSection()
    candidates: Candidates = Candidates()


#: The recipes of ResNetGPS.
RECIPES = RecipeReader(PositionRecipe, "position")
