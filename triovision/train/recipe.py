"""A recipe: one small TOML file that names everything a run depends on."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triovision.errors import RecipeError
from triovision.inference.preprocessing import Preprocessing


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Section):
    """Which photos are learnt from, and how often each is drawn.

    Attributes:
        min_photos: Countries with fewer training photos get no label; their photos teach the network to be unsure.
        validation_splits: Columns of the manifest; `val` in any of them keeps a photo out of training.
        country_power: A country of n photos is drawn in proportion to n**power: 1 natural, 0 class-balanced.
        place_power: The same for the places within a country, so that one postcard does not stand for all of it.
    """

    min_photos: int = Field(default=20, ge=2)
    validation_splits: tuple[str, ...] = ("split_new_places", "split_known_places")
    country_power: float = Field(default=0.5, ge=0, le=1)
    place_power: float = Field(default=0.5, ge=0, le=1)


class Augmentation(_Section):
    """Random changes, chosen so that the network learns places and not the habits of a source.

    Attributes:
        train_size: Side of the training crops in pixels. Smaller than the input at test time, because random
            crops magnify: "Fixing the train-test resolution discrepancy" (Touvron et al., 2019).
        min_area: Smallest share of the picture that a crop keeps.
        max_aspect: Largest aspect ratio of a crop, either way.
        min_resolution: A picture is shrunk to between this share of its size and all of it, then magnified again.
        resolution_p: Probability of that loss of resolution.
        jpeg_quality: Lowest and highest quality of a JPEG round trip.
        jpeg_p: Probability of that round trip.
        blur_p: Probability of a Gaussian blur.
        colour: Strength of brightness, contrast and saturation jitter.
        hue: Strength of hue jitter, in turns.
        grey_p: Probability of losing all colour.
        erase_p: Probability of erasing a rectangle.
        clean_p: Probability of none of this: the picture as the finished model sees it, or its mirror image.
    """

    train_size: int = Field(default=144, ge=32)
    min_area: float = Field(default=0.3, gt=0, le=1)
    max_aspect: float = Field(default=1.6, ge=1)
    min_resolution: float = Field(default=0.35, gt=0, le=1)
    resolution_p: float = Field(default=0.4, ge=0, le=1)
    jpeg_quality: tuple[int, int] = (25, 95)
    jpeg_p: float = Field(default=0.5, ge=0, le=1)
    blur_p: float = Field(default=0.15, ge=0, le=1)
    colour: float = Field(default=0.4, ge=0)
    hue: float = Field(default=0.03, ge=0, le=0.5)
    grey_p: float = Field(default=0.1, ge=0, le=1)
    erase_p: float = Field(default=0.2, ge=0, le=1)
    clean_p: float = Field(default=0.0, ge=0, le=1)


class Optimisation(_Section):
    """AdamW with a warm-up and a cosine decay, on the weights' moving average.

    Attributes:
        epochs: Largest number of epochs.
        patience: Epochs without a better validation loss before the run stops.
        batch_size: Photos a step.
        learning_rate: Peak rate of the backbone's last layers.
        head_factor: The last layer learns this much faster than that.
        layer_decay: Each layer, counted from the last, learns this much slower than the one behind it: ELECTRA
            (Clark et al., 2020). 1 for one rate.
        freeze_norm: Keep the statistics of batch normalisation as they were when training began.
        warmup_epochs: Length of the linear warm-up.
        weight_decay: Decoupled weight decay, on matrices only.
        label_smoothing: Share of the target spread evenly over all labels.
        clip_norm: Largest norm of the gradient.
        ema_decay: Decay a step of the moving average that is validated and exported.
        start_share: Share of the starting weights in the finished ones, which are the mean of both: "Robust
            Fine-Tuning of Zero-Shot Models" (Wortsman et al., 2022). Wants a start whose last layer is of use.
        precision: Lightning's name of the number format.
    """

    epochs: int = Field(default=10, ge=1)
    patience: int = Field(default=4, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=5e-4, gt=0)
    head_factor: float = Field(default=5.0, gt=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    freeze_norm: bool = False
    warmup_epochs: float = Field(default=0.5, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    ema_decay: float = Field(default=0.995, gt=0, lt=1)
    start_share: float = Field(default=0.0, ge=0, lt=1)
    precision: str = "bf16-mixed"


class LastLayer(_Section):
    """When the last layer is a logistic regression on the features of unchanged training photos, and which.

    Attributes:
        at_start: Begin with it, not with a random layer: "Fine-Tuning can Distort Pretrained Features" (Kumar et al.,
            2022).
        at_end: Fit it anew when the other layers are finished: "Decoupling Representation and Classifier for
            Long-Tailed Recognition" (Kang et al., 2020).
        strength: Inverse strength of its regularisation, on standardised features.
        no_place_share: Share, of all that it learns from, of pictures of no place that are made from training photos.
    """

    at_start: bool = False
    at_end: bool = False
    strength: float = Field(default=0.003, gt=0)
    no_place_share: float = Field(default=0.1, ge=0, lt=1)


class Recipe(_Section):
    """Everything that a run depends on beside the manifest and the starting weights.

    Attributes:
        name: Short name; also that of the run.
        description: One line for people.
        architecture: Name of a timm architecture.
        drop_rate: Dropout before the last layer.
        pretrained: Fetch timm's ImageNet weights when no file of starting weights is given.
        seed: Seed of everything random.
        preprocessing: What the network sees when it is used.
        data: See `Data`.
        augmentation: See `Augmentation`.
        optimisation: See `Optimisation`.
        last_layer: See `LastLayer`.
    """

    name: str
    description: str
    architecture: str
    drop_rate: float = Field(default=0.2, ge=0, lt=1)
    pretrained: bool = True
    seed: int = 0
    preprocessing: Preprocessing
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    optimisation: Optimisation = Optimisation()
    last_layer: LastLayer = LastLayer()


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = files("triovision.train") / "recipes"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_recipe(name_or_path: str) -> Recipe:
    """Read a recipe by its name in the package or from a TOML file.

    Raises:
        RecipeError: If there is no such recipe, or a field is unknown, missing or out of its range.
    """
    if name_or_path in recipe_names():
        text = (files("triovision.train") / "recipes" / f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            remedy = f"Give a TOML file or one of {', '.join(recipe_names())}"
            raise RecipeError(name_or_path, "is no recipe that can be read", remedy) from exc
    try:
        return Recipe.model_validate(_toml(text))
    except (tomllib.TOMLDecodeError, ValidationError) as exc:
        raise RecipeError(name_or_path, _faults(exc), "Correct the recipe; `Recipe` documents every field") from exc


def _toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _faults(exc: tomllib.TOMLDecodeError | ValidationError) -> str:
    if isinstance(exc, ValidationError):
        return "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in exc.errors())
    return f"is no valid TOML ({exc})"
