"""Metrics of a country run: the schema of its `metrics.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triovision.errors import RecipeError, faults

METRICS = "metrics.json"
Metrics = TypeVar("Metrics", bound=BaseModel)

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Code = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
#: A country code, or any text where a recipe names another `data.label_column`.
Label = Annotated[str, Field(min_length=1)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scores(_Record):
    """Accuracy over the photos whose country has a label.

    Attributes:
        photos: Number of those photos.
        without_label: Photos of other countries, which are not counted in these scores.
        top1: Fraction of photos whose most probable country is the truth.
        top5: Fraction of photos whose true country is among the five most probable ones.
        macro_recall: Mean recall over the countries that occur.
        negative_log_likelihood: Mean of -ln p(truth) of the uncalibrated probabilities, in nats.
    """

    photos: Count
    without_label: Count
    top1: Fraction | None
    top5: Fraction | None
    macro_recall: Fraction | None
    negative_log_likelihood: float | None


class SourceScores(_Record):
    """Accuracy by source, over the photos whose country has a label.

    Attributes:
        sources: Number of sources; a photo without a source is one of its own.
        top1_by_source: Mean over the sources of the top-1 accuracy on each.
        top1_low: Lower end of the 95 % interval of `Scores.top1` by resampling sources; None with fewer than two.
        top1_high: Upper end of it.
        top5_by_source: The same of the top-5 accuracy.
        top5_low: The same.
        top5_high: The same.
    """

    sources: Count
    top1_by_source: Fraction | None
    top1_low: Fraction | None
    top1_high: Fraction | None
    top5_by_source: Fraction | None
    top5_low: Fraction | None
    top5_high: Fraction | None


class CountryScore(_Record):
    """Recall and precision of one country with a label.

    Attributes:
        country: ISO 3166-1 alpha-2 code, or another label.
        continent: GeoNames code of its continent, such as `"EU"`; empty where the labels are no countries.
        training_photos: Number of its training photos.
        photos: Number of its photos in the split.
        answers: Number of photos for which it was predicted.
        recall: Fraction of its photos for which it was predicted; None without photos.
        precision: Fraction of the predictions of it that are right; None without predictions.
    """

    country: Label
    continent: str
    training_photos: Count
    photos: Count
    answers: Count
    recall: Fraction | None
    precision: Fraction | None


class ConfusionCell(_Record):
    """Number of photos of one country with one predicted country; empty cells are left out.

    Attributes:
        truth: True country, with or without a label.
        answer: Most probable country.
        photos: Number of photos.
        examples: Files of the most confident predictions; none for right predictions.
    """

    truth: Label
    answer: Label
    photos: Count
    examples: tuple[str, ...]


class ReliabilityBin(_Record):
    """Photos with a confidence within one of equally wide bins.

    Attributes:
        photos: Number of photos.
        probability: Mean probability of their most probable country.
        accuracy: Fraction of right predictions.
    """

    photos: Count
    probability: Fraction
    accuracy: Fraction


class Reliability(_Record):
    """Calibration over all evaluated photos; a country without a label counts as wrong.

    Attributes:
        temperature: Temperature of the softmax; 1 before calibration.
        expected_calibration_error: Mean distance of probability and accuracy over 15 bins (Naeini et al., 2015).
        negative_log_likelihood: Mean of -ln p(truth) over photos whose country has a label, in nats.
        bins: Bins with photos, in ascending order.
    """

    temperature: float = Field(gt=0)
    expected_calibration_error: Fraction
    negative_log_likelihood: float | None
    bins: tuple[ReliabilityBin, ...]


class RiskPoint(_Record):
    """Coverage and risk of the predictions at or above a threshold.

    Attributes:
        threshold: Smallest confidence.
        coverage: Fraction of the photos with a prediction.
        risk: Fraction of wrong predictions among these; None without predictions.
    """

    threshold: Fraction
    coverage: Fraction
    risk: Fraction | None


class PhotoAnswer(_Record):
    """Prediction of a run for one photo.

    Attributes:
        file: File in the manifest.
        truth: True country.
        answer: Most probable country.
        probability: Calibrated probability of `answer`.
        probability_of_truth: Calibrated probability of `truth`; None if it has no label.
    """

    file: str
    truth: Label
    answer: Label
    probability: Fraction
    probability_of_truth: Fraction | None


class SplitMetrics(_Record):
    """Metrics of one validation split.

    Attributes:
        scores: Accuracy over the whole split.
        by_source: Accuracy by source; None if the manifest has no column `source`.
        countries: Each country with a label, by continent and then code.
        confusion: Cells that are not empty, by truth and then prediction.
        measured: Number of photos of the following metrics, on which calibration was not fitted.
        before: Reliability of the uncalibrated probabilities.
        after: Reliability of the calibrated ones; None if there were too few photos to fit.
        risk_coverage: Risk-coverage curve with ascending coverage; at most 200 points.
        aurc: Area under the whole risk-coverage curve (Geifman and El-Yaniv, 2017); lower is better.
        at_threshold: Point of the fitted abstention threshold; None if there were too few photos to fit.
        best: Most confident right predictions, in descending order.
        worst: Most confident wrong predictions, in descending order.
    """

    scores: Scores
    by_source: SourceScores | None = None
    countries: tuple[CountryScore, ...]
    confusion: tuple[ConfusionCell, ...]
    measured: Count
    before: Reliability | None
    after: Reliability | None
    risk_coverage: tuple[RiskPoint, ...]
    aurc: Fraction | None
    at_threshold: RiskPoint | None
    best: tuple[PhotoAnswer, ...]
    worst: tuple[PhotoAnswer, ...]

    @property
    def most_confused(self) -> tuple[ConfusionCell, ...]:
        """The 15 pairs of truth and wrong prediction with the most photos, in descending order."""
        wrong = [cell for cell in self.confusion if cell.truth != cell.answer]
        return tuple(sorted(wrong, key=lambda cell: -cell.photos)[:15])


class Epoch(_Record):
    """Logged values of one epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        values: Values by logged name; None if not finite.
    """

    epoch: int = Field(ge=1)
    values: dict[str, float | None]


class Gap(_Record):
    """Difference of training and validation accuracy, both without augmentation.

    Attributes:
        split: Validation split.
        gap: Training top-1 minus validation top-1.
        low: Lower end of the 95 % interval of the gap.
        high: Upper end of it.
        verdict: Result of the test.
    """

    split: str
    gap: float = Field(ge=-1, le=1)
    low: float
    high: float
    verdict: Literal["does not overfit", "overfits slightly", "overfits"]


class Overfitting(_Record):
    """Test of a run for overfitting.

    Attributes:
        training: Scores on a sample of the training photos, without augmentation.
        gaps: One per validation split with labelled photos.
        verdict: Sentences with the result.
        rule: Sentences with the method.
    """

    training: Scores
    gaps: tuple[Gap, ...]
    verdict: str
    rule: str


class Cost(_Record):
    """Cost of a run.

    Attributes:
        parameters: Number of parameters of the network.
        epochs: Number of finished epochs.
        best_epoch: Epoch with the smallest validation loss, from 1, whose weights are evaluated.
        training_photos: Number of training photos, including those without a label.
        training_s: Wall time of training and validation, in seconds; None if not recorded.
        photos_per_s: Training photos per second of that time.
        validation_photos_per_s: Photos per second of the evaluation, decoding included.
    """

    parameters: Count
    epochs: Count
    best_epoch: int | None
    training_photos: Count
    training_s: float | None
    photos_per_s: float | None
    validation_photos_per_s: float


class RunMetrics(_Record):
    """Content of the `metrics.json` of a country run.

    Attributes:
        version: Version of this format.
        recipe: Recipe with all fields.
        manifest_sha256: SHA-256 of the manifest.
        labels: Countries, or other labels, in the order of the logits.
        cost: See `Cost`.
        measured_on: Description of the machine.
        versions: Versions of packages by name.
        epochs: Learning curves, one record per epoch.
        overfitting: See `Overfitting`.
        calibration: Sentence about the photos of the calibration, or why there is none.
        splits: Metrics by validation split.
    """

    version: Literal[1] = 1
    recipe: dict[str, Any]
    manifest_sha256: str
    labels: tuple[Label, ...]
    cost: Cost
    measured_on: str
    versions: dict[str, str]
    epochs: tuple[Epoch, ...]
    overfitting: Overfitting
    calibration: str
    splits: dict[str, SplitMetrics]

    @property
    def of_countries(self) -> bool:
        """Whether the labels are countries."""
        return bool(self.recipe.get("data", {}).get("label_column", "country") == "country")


def read_metrics(folder: Path) -> RunMetrics:
    """Read the `metrics.json` of a country run.

    Raises:
        RecipeError: If it is missing or not valid in this version.
    """
    return read_metrics_as(RunMetrics, folder, "Write it with `triovision train report RUN --manifest ...`")


def read_metrics_as(kind: type[Metrics], folder: Path, remedy: str) -> Metrics:
    """Read `metrics.json` with the schema of one kind of run.

    Args:
        kind: Schema.
        folder: Folder of the run.
        remedy: Remedy of the error.

    Raises:
        RecipeError: If it is missing or not valid in this version.
    """
    path = folder / METRICS
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise RecipeError(str(path), f"cannot be read ({exc.strerror})", remedy) from exc
    except ValidationError as exc:
        raise RecipeError(str(path), f"has no metrics of this version ({faults(exc)})", remedy) from exc
