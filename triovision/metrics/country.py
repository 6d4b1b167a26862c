"""What a training run's `metrics.json` holds: figures of a finished run on photos that it did not learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triovision.errors import RecipeError, faults

METRICS = "metrics.json"
Metrics = TypeVar("Metrics", bound=BaseModel)

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Code = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scores(_Record):
    """Figures over the photos whose country has a label.

    Attributes:
        photos: Number of those photos.
        without_label: Photos of other countries, which no answer could get right; not counted in these scores.
        top1: Share of photos whose most probable country is the truth.
        top5: Share of photos whose truth is among the five most probable countries.
        macro_recall: Mean over the countries that are there of the share of their photos answered right.
        negative_log_likelihood: Mean of -ln p(truth) of the uncalibrated probabilities, in nats.
    """

    photos: Count
    without_label: Count
    top1: Share | None
    top5: Share | None
    macro_recall: Share | None
    negative_log_likelihood: float | None


class CountryScore(_Record):
    """How well one country with a label is recognised.

    Attributes:
        country: ISO 3166-1 alpha-2 code.
        continent: GeoNames' code of its continent, such as `"EU"`.
        training_photos: Photos of it that the run learnt from.
        photos: Photos of it in the split.
        answers: Photos of any country that were answered with it.
        recall: Share of its photos that were answered with it; None without photos.
        precision: Share of the answers with it that were right; None without answers.
    """

    country: Code
    continent: str
    training_photos: Count
    photos: Count
    answers: Count
    recall: Share | None
    precision: Share | None


class ConfusionCell(_Record):
    """Photos of one country that were answered with one (other or same) country; empty cells are left out.

    Attributes:
        truth: The country that the photos show; it may have no label.
        answer: The most probable country.
        photos: Number of photos.
        examples: Files of the surest of these answers; none for right answers.
    """

    truth: Code
    answer: Code
    photos: Count
    examples: tuple[str, ...]


class ReliabilityBin(_Record):
    """The photos whose most probable country has a probability within one of equally wide bins.

    Attributes:
        photos: Number of photos.
        probability: Their mean probability of the most probable country.
        accuracy: Share of them answered right.
    """

    photos: Count
    probability: Share
    accuracy: Share


class Reliability(_Record):
    """How honest the probabilities are, over all measured photos; a country without a label counts as a miss.

    Attributes:
        temperature: What the logits were divided by; 1 before calibration.
        expected_calibration_error: Mean distance of probability and accuracy over 15 bins (Naeini et al., 2015).
        negative_log_likelihood: Mean of -ln p(truth) over photos whose country has a label, in nats.
        bins: The bins that hold photos, in ascending order.
    """

    temperature: float = Field(gt=0)
    expected_calibration_error: Share
    negative_log_likelihood: float | None
    bins: tuple[ReliabilityBin, ...]


class RiskPoint(_Record):
    """What happens when only answers at or above a threshold are given.

    Attributes:
        threshold: Smallest probability of an answer that is given.
        coverage: Share of the photos that are answered.
        risk: Share of wrong answers among those that are given; None when none is given.
    """

    threshold: Share
    coverage: Share
    risk: Share | None


class PhotoAnswer(_Record):
    """One photo and what the run says of it.

    Attributes:
        file: Name of the file in the manifest.
        truth: Its country.
        answer: The most probable country.
        probability: Calibrated probability of the answer.
        probability_of_truth: Calibrated probability of its country; None when that has no label.
    """

    file: str
    truth: Code
    answer: Code
    probability: Share
    probability_of_truth: Share | None


class SplitMetrics(_Record):
    """Figures of one validation split.

    Attributes:
        scores: Accuracy over the whole split.
        countries: Each country with a label, by continent and then code.
        confusion: The cells that are not empty, by truth and then answer.
        measured: Photos behind `before`, `after` and what follows: those that calibration was not fitted on.
        before: Reliability of the raw probabilities.
        after: Reliability of the calibrated ones; None when there were too few photos to fit.
        risk_coverage: The curve over thresholds, from the surest answers to all of them; at most 200 points.
        aurc: Area under the whole risk-coverage curve (Geifman and El-Yaniv, 2017); lower is better.
        at_threshold: The point of the fitted abstention threshold; None when there were too few photos to fit.
        best: The surest right answers, surest first.
        worst: The surest wrong answers, surest first.
    """

    scores: Scores
    countries: tuple[CountryScore, ...]
    confusion: tuple[ConfusionCell, ...]
    measured: Count
    before: Reliability | None
    after: Reliability | None
    risk_coverage: tuple[RiskPoint, ...]
    aurc: Share | None
    at_threshold: RiskPoint | None
    best: tuple[PhotoAnswer, ...]
    worst: tuple[PhotoAnswer, ...]

    @property
    def most_confused(self) -> tuple[ConfusionCell, ...]:
        """The 15 pairs of truth and wrong answer with the most photos, most photos first."""
        wrong = [cell for cell in self.confusion if cell.truth != cell.answer]
        return tuple(sorted(wrong, key=lambda cell: -cell.photos)[:15])


class Epoch(_Record):
    """What was logged in one epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        values: Figure by the name that it was logged under; None where it was no finite number.
    """

    epoch: int = Field(ge=1)
    values: dict[str, float | None]


class Gap(_Record):
    """Training against validation accuracy of the finished network, both without augmentation.

    Attributes:
        split: Name of the validation split.
        gap: Training top-1 minus the split's top-1.
        low: Lower end of the 95 % interval of the gap.
        high: Upper end of it.
        verdict: In words whether the network overfits.
    """

    split: str
    gap: float = Field(ge=-1, le=1)
    low: float
    high: float
    verdict: Literal["does not overfit", "overfits slightly", "overfits"]


class Overfitting(_Record):
    """Whether the run overfits.

    Attributes:
        training: Scores on a sample of the photos that were learnt from, without augmentation.
        gaps: One for each validation split that has photos with a label.
        verdict: The finding in words, with its numbers.
        rule: How it was decided, in words.
    """

    training: Scores
    gaps: tuple[Gap, ...]
    verdict: str
    rule: str


class Cost(_Record):
    """What the run took.

    Attributes:
        parameters: Number of the network's parameters.
        epochs: Epochs finished.
        best_epoch: Epoch with the lowest validation loss, from 1; its network is the one that was measured.
        training_photos: Photos learnt from, countries without a label included.
        training_s: Wall time of training with its validation, in seconds; None when the run did not record it.
        photos_per_s: Training photos a second of that time.
        validation_photos_per_s: Photos a second, decoding included, while this file was measured.
    """

    parameters: Count
    epochs: Count
    best_epoch: int | None
    training_photos: Count
    training_s: float | None
    photos_per_s: float | None
    validation_photos_per_s: float


class RunMetrics(_Record):
    """A run folder's `metrics.json`.

    Attributes:
        version: Version of this format.
        recipe: The recipe, every field.
        manifest_sha256: Hash of the table of photos.
        labels: Countries in the order of the logits.
        cost: See `Cost`.
        measured_on: The machine that measured, in words.
        versions: Versions of the packages that measured, by name.
        epochs: Curves, one record an epoch.
        overfitting: See `Overfitting`.
        calibration: What calibration was fitted on, in words, or why there is none.
        splits: Figures by the name of the validation split.
    """

    version: Literal[1] = 1
    recipe: dict[str, Any]
    manifest_sha256: str
    labels: tuple[Code, ...]
    cost: Cost
    measured_on: str
    versions: dict[str, str]
    epochs: tuple[Epoch, ...]
    overfitting: Overfitting
    calibration: str
    splits: dict[str, SplitMetrics]


def read_metrics(folder: Path) -> RunMetrics:
    """Read a run folder's `metrics.json`.

    Raises:
        RecipeError: If it is missing or is no such file of this version.
    """
    return read_metrics_as(RunMetrics, folder, "Write it with `triovision train report RUN --manifest ...`")


def read_metrics_as(kind: type[Metrics], folder: Path, remedy: str) -> Metrics:
    """Read a run folder's `metrics.json` as one kind of run writes it.

    Args:
        kind: What it is to hold.
        folder: Folder of the run.
        remedy: What to do where it does not.

    Raises:
        RecipeError: If it is missing or is no such file of this version.
    """
    path = folder / METRICS
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise RecipeError(str(path), f"cannot be read ({exc.strerror})", remedy) from exc
    except ValidationError as exc:
        raise RecipeError(str(path), f"holds no metrics of this version ({faults(exc)})", remedy) from exc
