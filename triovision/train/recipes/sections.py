"""Sections of the recipes; each named method cites its source."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from triovision.inference.preprocessing import Preprocessing

#: Default of `CountryDataSection.label_column`.
COUNTRY = "country"


class Section(BaseModel):
    """A section of a recipe: immutable; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CountryDataSection(Section):
    """The training photos and how often an epoch draws each.

    Attributes:
        label_column: Column of the manifest with the label that is learnt. `country` holds ISO codes; any other, such
            as `class`, holds any text, and "country" below then reads "label".
        min_photos: Countries with fewer training photos are no label; the target of their photos is uniform.
        validation_splits: Columns of the manifest; a photo with `val` in any of them is held out.
        sampler: Photos that an epoch draws. `tempered`: with replacement and the two powers below; the square root
            is that of "Exploring the Limits of Weakly Supervised Pretraining" (Mahajan et al., 2018). `natural`: each
            photo once. `oversample`: each photo once or more, see `oversampling`.
        oversampling: Pairs of a number of training photos and a number of draws per epoch. The first pair whose
            first number exceeds the photos of a country applies to it; other photos are drawn once, as are those of
            countries without a label.
        country_power: A country with n photos is drawn in proportion to n**power: 1 natural, 0 class-balanced.
        place_power: The same for the places within a country, so that no single place dominates it.
    """

    # Left out of stored recipes where it is the default, so that runs of older versions resume.
    label_column: str = Field(default=COUNTRY, min_length=1, exclude_if=lambda column: column == COUNTRY)
    min_photos: int = Field(default=20, ge=2)
    validation_splits: tuple[str, ...] = ("split_new_places", "split_known_places")
    sampler: Literal["tempered", "natural", "oversample"] = "tempered"
    oversampling: tuple[tuple[PositiveInt, PositiveInt], ...] = ((100, 3), (500, 2))
    country_power: float = Field(default=0.5, ge=0, le=1)
    place_power: float = Field(default=0.5, ge=0, le=1)


class Augmentation(Section):
    """Data augmentation of the training photos.

    Attributes:
        policy: `source_blind`: crops, resolution, JPEG, blur, colour, grey and erasing by the fields below, against
            learning the artefacts of a source. `none`: the preprocessing of the model. `standard`: the same and a
            random horizontal flip. `vertical_flip` and `rotation`: the preprocessing and that alone. `flip_rotation`:
            the preprocessing, a random horizontal flip and a rotation. `crop_rotate_jitter`: random crop, rotation,
            horizontal flip and colour jitter. `randaugment`: random crop, rotation and flip, then RandAugment (Cubuk
            et al., 2020). `autoaugment`: the same with AutoAugment's policy for ImageNet (Cubuk et al., 2019).
        rare_below: Photos of countries with fewer training photos are augmented by `crop_rotate_jitter` instead of
            the policy; 0: none.
        train_size: Side of the training crops in pixels; smaller than the input at test time, because random crops
            enlarge objects: "Fixing the train-test resolution discrepancy" (Touvron et al., 2019). 0: the input at
            test time, `preprocessing.input_size`.
        min_area: Smallest fraction of the image area that a crop keeps.
        max_aspect: Largest aspect ratio of a crop, and the inverse of the smallest.
        min_resolution: Smallest scale to which an image is reduced before it is enlarged again.
        resolution_p: Probability of that loss of resolution.
        jpeg_quality: Lowest and highest quality of a JPEG round trip.
        jpeg_p: Probability of that round trip.
        blur_p: Probability of a Gaussian blur.
        rotation: Largest angle in degrees, in both directions.
        colour: Strength of brightness, contrast and saturation jitter.
        hue: Strength of hue jitter, in turns.
        grey_p: Probability of a conversion to grey.
        erase_p: Probability of erasing a rectangle.
        clean_p: Probability of the policy `standard` instead.
        mixup_alpha: Two images and their targets are mixed in a ratio drawn from Beta(alpha, alpha), 0: never; "mixup:
            Beyond Empirical Risk Minimization" (Zhang et al., 2018). With `cutmix_alpha`, one of both at equal odds.
        cutmix_alpha: A rectangle of one image replaces that of another, 0: never; "CutMix: Regularization Strategy to
            Train Strong Classifiers with Localizable Features" (Yun et al., 2019).
    """

    policy: Literal[
        "source_blind",
        "none",
        "standard",
        "vertical_flip",
        "rotation",
        "flip_rotation",
        "crop_rotate_jitter",
        "randaugment",
        "autoaugment",
    ] = "source_blind"
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


class CountryLossSection(Section):
    """The loss of a country run; label smoothing, a field of the optimisation, applies to each.

    Attributes:
        name: A loss registered in `triovision.train.losses.country`: `cross_entropy`; `focal`, "Focal Loss for Dense
            Object Detection" (Lin et al., 2017), over a softmax; `binary_cross_entropy`, "ResNet strikes back"
            (Wightman et al., 2021); `logit_adjustment`, "Long-tail learning via logit adjustment" (Menon et al., 2021).
        class_weights: `balanced` weights a country by n / (labels · its training photos), "Logistic Regression in Rare
            Events Data" (King and Zeng, 2001).
        focal_gamma: Exponent of `focal`; 0 gives the cross entropy.
        adjustment: Factor of the log frequencies in `logit_adjustment`.
    """

    name: str = "cross_entropy"
    class_weights: Literal["none", "balanced"] = "none"
    focal_gamma: float = Field(default=2.0, ge=0)
    adjustment: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _one_correction(self) -> Self:
        if self.name == "logit_adjustment" and self.class_weights != "none":
            raise ValueError("`logit_adjustment` corrects for the frequencies already: `class_weights` must be none")
        return self


class Schedule(Section):
    """Learning-rate schedule.

    Attributes:
        name: `cosine`: linear warm-up, then cosine decay to 0 per step, "SGDR" (Loshchilov and Hutter, 2017) without
            restarts. `step`: torch's StepLR. `plateau`: torch's ReduceLROnPlateau on the validation loss.
        step_epochs: `step` multiplies the rate by `factor` after every so many epochs.
        factor: See `step_epochs` and `patience`.
        patience: `plateau` multiplies the rate by `factor` after more than this number of epochs without improvement.
        floor: Smallest rate of `plateau`.
    """

    name: Literal["cosine", "step", "plateau"] = "cosine"
    step_epochs: int = Field(default=10, ge=1)
    factor: float = Field(default=0.5, gt=0, lt=1)
    patience: int = Field(default=3, ge=0)
    floor: float = Field(default=1e-6, ge=0)


class SharedOptimisation(Section):
    """Optimiser and length of any training run.

    Attributes:
        epochs: Largest number of epochs.
        min_epochs: Number of epochs before early stopping may end the run.
        patience: Epochs without a smaller validation loss before the run stops.
        batch_size: Photos per batch over all devices. Batch normalisation and the mean of class weights are computed
            per device.
        accumulation: Number of batches whose gradients are accumulated per step.
        optimiser: `adam` and `adamax` (Kingma and Ba, 2015), `adamw` ("Decoupled Weight Decay Regularization",
            Loshchilov and Hutter, 2019) or `sgd` with momentum, in torch's implementations.
        momentum: Momentum of `sgd`.
        learning_rate: Peak rate of the last layer.
        warmup_epochs: Length of the linear warm-up before the `cosine` schedule.
        weight_decay: Weight decay of matrices and kernels, not of biases and norms; decoupled in `adamw`.
        clip_norm: Largest norm of the gradient; 0: no clipping.
        ema_decay: Decay per step of the moving average of the weights that is validated and exported, smaller in the
            first steps; 0: no average.
        precision: Precision of Lightning's `Trainer`.
    """

    epochs: int = Field(default=10, ge=1)
    min_epochs: int = Field(default=1, ge=1)
    patience: int = Field(default=4, ge=1)
    batch_size: int = Field(default=64, ge=2)
    accumulation: int = Field(default=1, ge=1)
    optimiser: Literal["adam", "adamax", "adamw", "sgd"] = "adamw"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    warmup_epochs: float = Field(default=0.5, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    clip_norm: float = Field(default=1.0, ge=0)
    ema_decay: float = Field(default=0.995, ge=0, lt=1)
    precision: str = "bf16-mixed"

    @model_validator(mode="after")
    def _min_epochs_within_epochs(self) -> Self:
        if self.min_epochs > self.epochs:
            raise ValueError(f"`min_epochs` is {self.min_epochs}, more than `epochs`, {self.epochs}")
        return self


class Optimisation(SharedOptimisation):
    """Optimiser and length of a country run.

    Attributes:
        layer_decay: Ratio of the learning rate of a layer to that of the layer after it, ELECTRA (Clark et al., 2020);
            1: one rate.
        freeze_norm: Keep the initial statistics of batch normalisation.
        label_smoothing: Fraction of the target spread evenly over all labels: "Rethinking the Inception Architecture"
            (Szegedy et al., 2016).
        start_share: Fraction of the initial weights in the final ones, which interpolate both: "Robust Fine-Tuning of
            Zero-Shot Models" (Wortsman et al., 2022). The initial last layer has to be trained or fitted.
    """

    layer_decay: float = Field(default=1.0, gt=0, le=1)
    freeze_norm: bool = False
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    start_share: float = Field(default=0.0, ge=0, lt=1)


class LastLayer(Section):
    """Logistic regression as last layer, fitted on the features of training photos without augmentation.

    Attributes:
        at_start: Initialise the last layer with it: "Fine-Tuning can Distort Pretrained Features" (Kumar et al.,
            2022).
        at_end: Fit it again after training: "Decoupling Representation and Classifier for
            Long-Tailed Recognition" (Kang et al., 2020).
        strength: Inverse regularisation strength C, on standardised features.
        outlier_share: Fraction of outlier images, generated from training photos, among those that it is fitted on.
    """

    at_start: bool = False
    at_end: bool = False
    strength: float = Field(default=0.003, gt=0)
    outlier_share: float = Field(default=0.1, ge=0, lt=1)


class RunRecipe(Section):
    """Fields of every recipe.

    Attributes:
        name: Short name of the recipe and of its runs.
        description: One line.
        architecture: Name of a timm architecture.
        starting_weights: Initial weights. `none`: random. `hub`: those of timm, trained on ImageNet, unless a file is
            given. `file`: a safetensors file has to be given.
        seed: Seed of all random numbers.
        preprocessing: Preprocessing of the exported model.
        optimisation: See `SharedOptimisation`.
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

    @property
    def label_column(self) -> str:
        """Column of the manifest with the label of a photo."""
        return COUNTRY

    def timm_arguments(self) -> dict[str, Any]:
        """Arguments of `timm.create_model` beside the architecture that the initial weights require."""
        return {}
