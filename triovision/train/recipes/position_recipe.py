"""What a run of ResNetGPS depends on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from triovision.train.recipes.reader import RecipeBook
from triovision.train.recipes.sections import RunRecipe, Section

Rate = Annotated[float, Field(ge=0, lt=1)]


class Data(Section):
    """Which photos are learnt from: each of them once an epoch.

    Attributes:
        validation_splits: Columns of the manifest; `val` in any of them keeps a photo out of training.
    """

    validation_splits: tuple[str, ...] = ("split_new_places", "split_known_places")


class Dropouts(Section):
    """Dropout rates, by the names that `build_resnetgps` gives them.

    Attributes:
        city_dropout1: First rate among the layers that read the city metadata.
        city_dropout2: Second rate there.
        dropout1: Behind the first layer that reads the image.
        dropout2: Behind the second.
        dropout3: Behind the third.
    """

    city_dropout1: Rate
    city_dropout2: Rate
    dropout1: Rate
    dropout2: Rate
    dropout3: Rate


class PositionLoss(Section):
    """What is made small.

    Attributes:
        name: See `triovision.train.losses.position`; `mse_degrees` is that of the study.
        components: Components of `von_mises_fisher_mixture`.
        auxiliary_weight: Weight of what the architecture adds itself: V3's reconstruction of the metadata.
    """

    name: Literal["mse_degrees", "great_circle", "von_mises_fisher_mixture"] = "mse_degrees"
    components: int = Field(default=8, ge=1)
    auxiliary_weight: float = Field(default=1.0, ge=0)


class Candidates(Section):
    """How a photo is measured whose city nobody knows.

    Attributes:
        countries: Most probable countries whose cities the regressor is asked about.
        per_country: Most candidate cities of one country.
        min_photos: Countries with fewer training photos are none of the linear probe's.
    """

    countries: int = Field(default=5, ge=1)
    per_country: int = Field(default=10, ge=1)
    min_photos: int = Field(default=10, ge=2)


class PositionRecipe(RunRecipe):
    """Everything that a run depends on beside the manifest and the starting weights: `RunRecipe` and what follows.

    Its `architecture` is that of the backbone, a ResNet of timm or `resnet50_v1`. Of its optimisation, `patience`
    and the schedule `plateau` follow the validation loss; the epoch that is kept is that of the smallest median
    distance.

    Attributes:
        version: Which of the four architectures.
        trains: How deep the backbone trains: `layer4`, its last stage, as published, or `nothing` of it, so that an
            epoch costs only what lies behind the backbone.
        data: See `Data`.
        dropouts: See `Dropouts`.
        loss: See `PositionLoss`.
        candidates: See `Candidates`.
    """

    version: Literal["v1", "v2", "v3", "v4"]
    trains: Literal["layer4", "nothing"] = "layer4"
    data: Data = Data()
    dropouts: Dropouts
    loss: PositionLoss = PositionLoss()
    candidates: Candidates = Candidates()


#: The recipes of ResNetGPS.
RECIPES = RecipeBook(PositionRecipe, "position")
