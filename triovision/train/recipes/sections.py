"""The sections of a recipe. Each choice by name says where it comes from."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from triovision.inference.preprocessing import Preprocessing


class Section(BaseModel):
    """A part of a recipe: immutable, and a field that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Section):
    """Which photos are learnt from, and how often each is drawn.

    Attributes:
        min_photos: Countries with fewer training photos get no label; their photos teach the network to be unsure.
        validation_splits: Columns of the manifest; `val` in any of them keeps a photo out of training.
        sampler: Which photos an epoch draws. `tempered`: with replacement, see the two powers; between natural and
            balanced draws, "Exploring the Limits of Weakly Supervised Pretraining" (Mahajan et al., 2018) takes the
            square root. `natural`: each photo once. `oversample`: each photo once, or as `oversampling` says.
        oversampling: Pairs of a number of training photos and a number of draws an epoch: the first pair whose
            first number is above a country's photos holds for it; a country beyond all of them is drawn once. Photos
            of countries without a label are always drawn once.
        country_power: A country of n photos is drawn in proportion to n**power: 1 natural, 0 class-balanced.
        place_power: The same for the places within a country, so that one postcard does not stand for all of it.
    """

    min_photos: int = Field(default=20, ge=2)
    validation_splits: tuple[str, ...] = ("split_new_places", "split_known_places")
    sampler: Literal["tempered", "natural", "oversample"] = "tempered"
    oversampling: tuple[tuple[PositiveInt, PositiveInt], ...] = ((100, 3), (500, 2))
    country_power: float = Field(default=0.5, ge=0, le=1)
    place_power: float = Field(default=0.5, ge=0, le=1)


class Augmentation(Section):
    """Random changes, chosen so that the network learns places and not the habits of a source.

    Attributes:
        policy: `source_blind`: crops, resolution, JPEG, blur, colour, grey and erasing by the fields below. `standard`:
            the picture as the finished model sees it, or its mirror image. `crop_rotate_jitter`: random crop,
            rotation, mirror image, colour jitter. `randaugment`: random crop, rotation and mirror image, then
            RandAugment (Cubuk et al., 2020). `autoaugment`: the same with AutoAugment's policy for ImageNet (Cubuk et
            al., 2019).
        rare_below: Photos of countries with fewer training photos than this have `crop_rotate_jitter` instead of the
            policy; 0 for no such countries.
        train_size: Side of the training crops in pixels. Smaller than the input at test time, because random
            crops magnify: "Fixing the train-test resolution discrepancy" (Touvron et al., 2019).
        min_area: Smallest share of the picture that a crop keeps.
        max_aspect: Largest aspect ratio of a crop, either way.
        min_resolution: A picture is shrunk to between this share of its size and all of it, then magnified again.
        resolution_p: Probability of that loss of resolution.
        jpeg_quality: Lowest and highest quality of a JPEG round trip.
        jpeg_p: Probability of that round trip.
        blur_p: Probability of a Gaussian blur.
        rotation: Largest angle in degrees, either way.
        colour: Strength of brightness, contrast and saturation jitter.
        hue: Strength of hue jitter, in turns.
        grey_p: Probability of losing all colour.
        erase_p: Probability of erasing a rectangle.
        clean_p: Probability of none of this: the picture as the finished model sees it, or its mirror image.
        mixup_alpha: Two pictures and their targets are blended by a share of Beta(alpha, alpha), 0 for never: "mixup:
            Beyond Empirical Risk Minimization" (Zhang et al., 2018). With `cutmix_alpha` too, either at even odds.
        cutmix_alpha: A rectangle of one picture is put into another, 0 for never: "CutMix: Regularization Strategy to
            Train Strong Classifiers with Localizable Features" (Yun et al., 2019).
    """

    policy: Literal["source_blind", "standard", "crop_rotate_jitter", "randaugment", "autoaugment"] = "source_blind"
    rare_below: int = Field(default=0, ge=0)
    train_size: int = Field(default=144, ge=32)
    min_area: float = Field(default=0.3, gt=0, le=1)
    max_aspect: float = Field(default=1.6, ge=1)
    min_resolution: float = Field(default=0.35, gt=0, le=1)
    resolution_p: float = Field(default=0.4, ge=0, le=1)
    jpeg_quality: tuple[int, int] = (25, 95)
    jpeg_p: float = Field(default=0.5, ge=0, le=1)
    blur_p: float = Field(default=0.15, ge=0, le=1)
    rotation: float = Field(default=15, ge=0, le=180)
    colour: float = Field(default=0.4, ge=0)
    hue: float = Field(default=0.03, ge=0, le=0.5)
    grey_p: float = Field(default=0.1, ge=0, le=1)
    erase_p: float = Field(default=0.2, ge=0, le=1)
    clean_p: float = Field(default=0.0, ge=0, le=1)
    mixup_alpha: float = Field(default=0.0, ge=0)
    cutmix_alpha: float = Field(default=0.0, ge=0)


class Loss(Section):
    """What is made small. Label smoothing is a field of the optimisation and holds for every loss.

    Attributes:
        name: `cross_entropy`. `focal`: well-recognised photos count less, "Focal Loss for Dense Object Detection" (Lin
            et al., 2017), here over a softmax. `binary_cross_entropy`: with logits, each country for itself, "ResNet
            strikes back" (Wightman et al., 2021). `logit_adjustment`: the logits learn what speaks for a country
            beyond its frequency, "Long-tail learning via logit adjustment" (Menon et al., 2021).
        class_weights: `balanced` weighs a country by n / (labels · its training photos), "Logistic Regression in Rare
            Events Data" (King and Zeng, 2001): with `cross_entropy`, the weighted cross entropy.
        focal_gamma: Exponent of the focal loss; 0 is the cross entropy.
        adjustment: Factor of the logarithm of a country's share of the draws, in the logit adjustment.
    """

    name: Literal["cross_entropy", "focal", "binary_cross_entropy", "logit_adjustment"] = "cross_entropy"
    class_weights: Literal["none", "balanced"] = "none"
    focal_gamma: float = Field(default=2.0, ge=0)
    adjustment: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _one_correction(self) -> Self:
        if self.name == "logit_adjustment" and self.class_weights != "none":
            raise ValueError("`logit_adjustment` corrects for the frequencies already: `class_weights` must be none")
        return self


class Schedule(Section):
    """How the learning rate changes.

    Attributes:
        name: `cosine`: linear warm-up, then half a cosine down to nothing a step, "SGDR" (Loshchilov and Hutter, 2017)
            without restarts. `step`: torch's StepLR. `plateau`: torch's ReduceLROnPlateau on the validation loss.
        step_epochs: `step` multiplies the rate by `factor` each time that so many epochs are over.
        factor: See `step_epochs` and `patience`.
        patience: `plateau` multiplies the rate by `factor` after more epochs than this without a better loss.
        floor: `plateau` never goes below this rate.
    """

    name: Literal["cosine", "step", "plateau"] = "cosine"
    step_epochs: int = Field(default=10, ge=1)
    factor: float = Field(default=0.5, gt=0, lt=1)
    patience: int = Field(default=3, ge=0)
    floor: float = Field(default=1e-6, ge=0)


class SharedOptimisation(Section):
    """How the weights are moved, and for how long, whatever is learnt.

    Attributes:
        epochs: Largest number of epochs.
        min_epochs: Smallest number of epochs, whatever the validation loss does.
        patience: Epochs without a better validation loss before the run stops.
        batch_size: Photos a batch, over all devices: each of n has an n-th of it. The mean that class weights and
            the statistics that batch normalisation take over a batch, each device takes over its own part.
        accumulation: Batches whose gradients are added up to one step.
        optimiser: `adam` (Kingma and Ba, 2015), `adamw` ("Decoupled Weight Decay Regularization", Loshchilov and
            Hutter, 2019) or `sgd` with momentum, in torch's implementations.
        momentum: Of `sgd`.
        learning_rate: Peak rate of the last layer.
        warmup_epochs: Length of the linear warm-up before the `cosine` schedule.
        weight_decay: On matrices only; decoupled in `adamw`, a penalty in the others.
        clip_norm: Largest norm of the gradient; 0 for any.
        ema_decay: Decay a step of the weights' moving average that is validated and exported, less in the first steps;
            0 for none.
        precision: Lightning's name of the number format.
    """

    epochs: int = Field(default=10, ge=1)
    min_epochs: int = Field(default=1, ge=1)
    patience: int = Field(default=4, ge=1)
    batch_size: int = Field(default=64, ge=2)
    accumulation: int = Field(default=1, ge=1)
    optimiser: Literal["adam", "adamw", "sgd"] = "adamw"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    warmup_epochs: float = Field(default=0.5, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    clip_norm: float = Field(default=1.0, ge=0)
    ema_decay: float = Field(default=0.995, ge=0, lt=1)
    precision: str = "bf16-mixed"

    @model_validator(mode="after")
    def _no_shorter_than_its_least(self) -> Self:
        if self.min_epochs > self.epochs:
            raise ValueError(f"`min_epochs` is {self.min_epochs}, more than `epochs`, {self.epochs}")
        return self


class Optimisation(SharedOptimisation):
    """How the weights of a country classifier are moved, and for how long: `SharedOptimisation` and what follows.

    Attributes:
        layer_decay: Each layer, counted from the last, learns this much slower than the one behind it: ELECTRA
            (Clark et al., 2020). 1 for one rate.
        freeze_norm: Keep the statistics of batch normalisation as they were when training began.
        label_smoothing: Share of the target spread evenly over all labels: "Rethinking the Inception Architecture"
            (Szegedy et al., 2016).
        start_share: Share of the starting weights in the finished ones, which are the mean of both: "Robust
            Fine-Tuning of Zero-Shot Models" (Wortsman et al., 2022). Wants a start whose last layer is of use.
    """

    layer_decay: float = Field(default=1.0, gt=0, le=1)
    freeze_norm: bool = False
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    start_share: float = Field(default=0.0, ge=0, lt=1)


class LastLayer(Section):
    """When the last layer is a logistic regression on the features of unchanged training photos, and which.

    Attributes:
        at_start: Begin with it, not with a random layer: "Fine-Tuning can Distort Pretrained Features" (Kumar et al.,
            2022).
        at_end: Fit it anew when the other layers are finished: "Decoupling Representation and Classifier for
            Long-Tailed Recognition" (Kang et al., 2020).
        strength: Inverse strength of its regularisation, on standardised features.
        outlier_share: Share, of all that it learns from, of pictures of no place that are made from training photos.
    """

    at_start: bool = False
    at_end: bool = False
    strength: float = Field(default=0.003, gt=0)
    outlier_share: float = Field(default=0.1, ge=0, lt=1)


class RunRecipe(Section):
    """What the recipe of any run says, whatever is learnt.

    Attributes:
        name: Short name; also that of the run.
        description: One line for people.
        architecture: Name of a timm architecture.
        starting_weights: `none`: random. `hub`: timm's ImageNet weights, unless a file is given. `file`: a file
            (safetensors) has to be given.
        seed: Seed of everything random.
        preprocessing: What the network sees when it is used.
        optimisation: How the weights are moved, and for how long.
        schedule: See `Schedule`.
    """

    name: str
    description: str
    architecture: str
    starting_weights: Literal["none", "hub", "file"] = "hub"
    seed: int = 0
    preprocessing: Preprocessing
    optimisation: SharedOptimisation = SharedOptimisation()
    schedule: Schedule = Schedule()

    def timm_arguments(self) -> dict[str, Any]:
        """What `timm.create_model` is told beside the architecture to make what the starting weights fit."""
        return {}
