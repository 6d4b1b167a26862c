"""Studies behind a model: the schema of a model folder's `studies.json`, and its reader.

Training curves, comparisons of recipes or versions, and hyper-parameter studies. Training writes them; the page draws
them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from triovision.errors import Message
from triovision.metrics.country import Count, Epoch, Fraction
from triovision.metrics.model_files import ModelFile, Record, read_model_file

STUDIES: Final = "studies.json"
#: Longer runs are written with this many of their epochs.
MAX_EPOCHS: Final = 500
#: Name of the rows of a comparison that run no version.
CONTROL: Final = "control"
_REMEDY: Final = Message("Delete it, and write it again with `triovision train export` or `triovision models studies`")

Name = Annotated[str, Field(min_length=1, max_length=200)]
Value = bool | int | float | Annotated[str, Field(max_length=200)] | None


class _Study(Record):
    """What all studies have.

    Attributes:
        name: Name that the page shows: of a recipe or a run.
        measured_on: Description of the photos, the split and the settings.
        command: Command that measured it, or that wrote it into the file.
    """

    name: Name
    measured_on: str = Field(max_length=1000)
    command: str = Field(max_length=2000)


class ValidationSplit(Record):
    """Validation photos of a run.

    Attributes:
        name: Name of the split.
        photos: Number of its photos.
        top1_low: Lower end of the 95 % interval of the accuracy in the best epoch (Wilson, 1927; photos taken as
            independent); None for a run of positions.
        top1_high: Upper end of it.
    """

    name: Name
    photos: Count
    top1_low: Fraction | None = None
    top1_high: Fraction | None = None


class TrainingCurves(_Study):
    """Training curves of one run.

    Attributes:
        training_photos: Number of training photos.
        splits: Validation splits.
        best_epoch: Epoch whose weights were kept, from 1; None if none was logged.
        epochs: Logged losses, accuracies and median distances by epoch.
    """

    training_photos: Count
    splits: Annotated[tuple[ValidationSplit, ...], Field(max_length=20)]
    best_epoch: int | None
    epochs: Annotated[tuple[Epoch, ...], Field(min_length=1, max_length=MAX_EPOCHS)]


class Measure(Record):
    """Value of a metric.

    Attributes:
        value: The value, or its mean over the folds.
        sd: Standard deviation over the folds (n - 1); None without folds.
        low: Lower end of the 95 % interval; None if there is none.
        high: Upper end of it.
    """

    value: float
    sd: Annotated[float | None, Field(ge=0)] = None
    low: float | None = None
    high: float | None = None


class ComparedRow(Record):
    """Metrics of one recipe or version on one set of photos.

    Attributes:
        name: Name of the recipe or version, or `CONTROL`.
        on: Validation split, or method of prediction (a key of `triovision.metrics.position.METHODS`).
        photos: Number of photos; None if not recorded.
        metrics: Metrics by name.
    """

    name: Name
    on: Name
    photos: Annotated[int | None, Field(ge=1)]
    metrics: Annotated[dict[Name, Measure], Field(min_length=1, max_length=30)]


class Comparison(_Study):
    """Comparison of recipes or of versions of ResNetGPS.

    Attributes:
        kind: What is compared.
        folds: Number of folds of a cross-validation; None where each row is one run.
        interval: What the 95 % intervals are from, without folds: whole sources are resampled (`sources`), or photos
            are taken as independent (`photos`).
        metric: The metric to draw.
        rows: One for each name and set of photos.
    """

    kind: Literal["recipes", "versions"]
    folds: Annotated[int | None, Field(ge=2)]
    interval: Literal["sources", "photos"] | None
    metric: Literal["top1", "median_km"]
    rows: Annotated[tuple[ComparedRow, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _every_row_has_the_metric(self) -> Self:
        if missing := [row.name for row in self.rows if self.metric not in row.metrics]:
            raise ValueError(f"`{self.metric}` is missing in {', '.join(missing[:5])}")
        return self


class Trial(Record):
    """One trial of a hyper-parameter study.

    Attributes:
        number: Its number, from 0.
        state: Whether it was finished, stopped early, or failed.
        value: Its value; of a pruned trial the last one; None if it has none.
        parameters: Values of the parameters.
    """

    number: Count
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    parameters: Annotated[dict[Name, Value], Field(max_length=100)]


class HyperparameterStudy(_Study):
    """A hyper-parameter study.

    Attributes:
        metric: The objective, such as `new_places/top1`.
        direction: Whether it should be large or small.
        photos: Number of photos that a trial is measured on; None if not recorded.
        count: Number of trials.
        pruned: Number of trials that were stopped early; None if not recorded.
        first: Value of the first finished trial.
        best: Value of the best trial.
        best_low: Lower end of its 95 % interval (Wilson, 1927; photos taken as independent); None if it is no accuracy.
        best_high: Upper end of it.
        worst: Value of the worst finished trial; None if not recorded.
        chosen: Parameters of the best trial.
        trials: The trials by number; empty if they were not recorded.
        importances: Importance of each parameter (fANOVA; Hutter et al., 2014), which add up to 1; empty if there are
            too few trials.
    """

    metric: Name
    direction: Literal["maximize", "minimize"]
    photos: Annotated[int | None, Field(ge=1)]
    count: int = Field(ge=1)
    pruned: Count | None
    first: float
    best: float
    best_low: Fraction | None = None
    best_high: Fraction | None = None
    worst: float | None
    chosen: Annotated[dict[Name, Value], Field(min_length=1, max_length=100)]
    trials: Annotated[tuple[Trial, ...], Field(max_length=1000)]
    importances: Annotated[dict[Name, Fraction], Field(max_length=100)]

    @model_validator(mode="after")
    def _trials_are_those_counted(self) -> Self:
        states = [trial.state for trial in self.trials]
        if states and (len(states), states.count("pruned")) != (self.count, self.pruned):
            raise ValueError("`count` and `pruned` are not those of `trials`")
        if self.trials and self.best not in {trial.value for trial in self.trials if trial.state == "complete"}:
            raise ValueError("no finished trial has the value of `best`")
        return self


class ModelStudies(ModelFile):
    """Content of `studies.json`.

    Attributes:
        version: Version of this format.
        curves: Training curves of the model's runs.
        comparisons: Comparisons of recipes or versions.
        searches: Hyper-parameter studies.
    """

    version: Literal[1] = 1
    curves: Annotated[tuple[TrainingCurves, ...], Field(max_length=10)] = ()
    comparisons: Annotated[tuple[Comparison, ...], Field(max_length=10)] = ()
    searches: Annotated[tuple[HyperparameterStudy, ...], Field(max_length=10)] = ()


def read_studies(folder: Path, model_id: str, weights_sha256: str | None) -> ModelStudies | None:
    """Read the `studies.json` of a model folder.

    Args:
        folder: Folder of the model.
        model_id: Id of its card.
        weights_sha256: Hash of the weights of its card.

    Returns:
        The studies; None if the folder has none.

    Raises:
        ModelError: If the file is unreadable, too large, not valid in this version, or of other weights.
    """
    return read_model_file(ModelStudies, folder / STUDIES, model_id, weights_sha256, _REMEDY)
