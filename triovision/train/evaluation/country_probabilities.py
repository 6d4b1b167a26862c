"""Which countries a photo may show, as a classifier says that never saw the held-out photos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from triovision.errors import RecipeError
from triovision.inference import CountryEngine, load_model
from triovision.inference.calibration import probabilities
from triovision.inference.device import choose_device
from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.dataset import ValidationPhotos, choose_labels, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.positions import Rows, Task
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import RUN_CONFIG, read_country_run
from triovision.train.models.forward import readable_outputs
from triovision.train.models.linear_probe import country_weights, soft_logistic
from triovision.train.recipes.position_recipe import PositionRecipe
from triovision.train.recipes.sections import CountryDataSection, LastLayer

#: As the last layer of a country classifier counts its photos.
_COUNTRY_POWER = 0.5


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained country classifier.

    Attributes:
        name: Its name, in words.
        network: In evaluation mode.
        preprocessing: What it sees.
        labels: Countries in the order of its logits.
        temperature: What its logits are divided by.
        manifest_sha256: Hash of the table of photos that it was trained on.
        data: Which of them it learnt from; None where its card does not say.
    """

    name: str
    network: nn.Module
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    temperature: float
    manifest_sha256: str
    data: CountryDataSection | None


@dataclass(frozen=True, slots=True, eq=False)
class CountryProbabilities:
    """Probabilities of countries for the held-out photos of a task.

    Attributes:
        labels: Countries.
        of_split: Probabilities of shape `(n, n_labels)` by the name of the split, in the order of its photos.
        source: Where they come from, in words.
    """

    labels: tuple[str, ...]
    of_split: dict[str, NDArray[np.float64]]
    source: str


def read_classifier(name: str) -> Classifier:
    """A finished run of a country classifier, by its folder, or one of the app's models, by its id.

    Raises:
        RecipeError: If the folder's run is not finished.
        ModelError: If there is no such model.
    """
    if (Path(name) / RUN_CONFIG).exists():
        run = read_country_run(Path(name))
        network = run.network.to(choose_device(None))
        words, recipe = f"run {Path(name).resolve().name}", run.recipe
        return Classifier(words, network, recipe.preprocessing, run.labels, 1.0, run.manifest_sha256, recipe.data)
    engine = cast(CountryEngine, load_model(name))
    card, made = engine.card, engine.card.provenance
    try:
        data = CountryDataSection.model_validate(made.recipe["data"])
    except (KeyError, ValidationError):  # a card that was not made here
        data = None
    preprocessing, temperature = card.network_input, card.calibration.temperature
    return Classifier(name, engine.network, preprocessing, card.labels, temperature, made.manifest_sha256, data)


def learnt(classifier: Classifier, manifest: Manifest, task: Task) -> int | None:
    """Held-out photos of a task that a classifier learnt from; None where that cannot be told."""
    if classifier.manifest_sha256 != manifest.sha256 or classifier.data is None:
        return None
    files = task.photos.manifest.table["file"].iloc[np.concatenate(list(task.validation.values()))]
    return int(files.isin(split(manifest, classifier.data).training.table["file"]).sum())


def classify(classifier: Classifier, task: Task, workers: int) -> CountryProbabilities:
    """What a classifier says of the held-out photos.

    Raises:
        RecipeError: If a photo cannot be read.
    """
    found = {}
    for name, rows in task.validation.items():
        photos = ValidationPhotos(_part(task, rows), (), classifier.preprocessing)
        logits, _ = readable_outputs(classifier.network, photos, classifier.preprocessing, workers)
        if len(logits) != len(rows):
            remedy = "Restore them (see the warnings above)"
            raise RecipeError(classifier.name, f"{len(rows) - len(logits)} photos of {name} cannot be read", remedy)
        found[name] = probabilities(logits, classifier.temperature)
    return CountryProbabilities(classifier.labels, found, classifier.name)


def probe(task: Task, features: NDArray[np.float32], recipe: PositionRecipe) -> CountryProbabilities:
    """What a logistic regression on the backbone's features says, fitted on the photos that the run learnt from.

    Args:
        task: The run's task.
        features: Of all photos with a position, shape `(n, n_features)`; those that cannot be read are never looked at.
        recipe: Says how many photos make a label.

    Raises:
        RecipeError: If fewer than two countries have enough photos.
    """
    training = _part(task, task.training)
    labels = choose_labels(training, recipe.candidates.min_photos)
    if len(labels) < 2:
        remedy = "Lower `candidates.min_photos`, add photos, or give a classifier with --countries"
        raise RecipeError(recipe.name, f"{len(labels)} countries have enough training photos for a probe", remedy)
    target, strength = targets(training, labels), LastLayer().strength
    weights = country_weights(target, _COUNTRY_POWER)
    weight, bias = soft_logistic(features[task.training], target, weights, len(labels), strength, 0.0)
    found = {
        name: probabilities((torch.from_numpy(features[rows]) @ weight.T + bias).numpy(), 1.0)
        for name, rows in task.validation.items()
    }
    return CountryProbabilities(labels, found, "logistic regression on the backbone's features of the training photos")


def _part(task: Task, rows: Rows) -> Manifest:
    manifest = task.photos.manifest
    chosen = np.zeros(len(manifest), dtype=np.bool_)
    chosen[rows] = True
    return manifest.where(chosen)  # rows are ascending
