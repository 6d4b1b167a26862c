"""Country probabilities of held-out photos, by a trained classifier or a linear probe."""

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
from triovision.train.data.positions import PositionData, Rows
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import RUN_CONFIG, check_countries, read_country_run
from triovision.train.models.forward import readable_outputs
from triovision.train.models.linear_probe import country_weights, soft_logistic
from triovision.train.recipes.position_recipe import PositionRecipe
from triovision.train.recipes.sections import CountryDataSection, LastLayer

#: The same power as in the last layer of country classifiers.
_COUNTRY_POWER = 0.5


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained country classifier.

    Attributes:
        name: Name for messages.
        network: Network in evaluation mode.
        preprocessing: Its preprocessing.
        labels: Countries in the order of the logits.
        temperature: Temperature of the softmax.
        manifest_sha256: Hash of the manifest that it was trained on.
        data: Section of its recipe that defines the training photos; None if the card has none.
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
    """Country probabilities of the held-out photos of a task.

    Attributes:
        labels: Countries.
        of_split: Probabilities by split, shape `(n, n_labels)`.
        source: Description of the classifier.
    """

    labels: tuple[str, ...]
    of_split: dict[str, NDArray[np.float64]]
    source: str


def read_classifier(name: str) -> Classifier:
    """Read a finished country run by its folder, or an installed model by its id.

    Raises:
        RecipeError: If the run is not finished or classifies another label.
        ModelError: If there is no such model.
    """
    if (Path(name) / RUN_CONFIG).exists():
        run = read_country_run(Path(name))
        check_countries(run)
        network = run.network.to(choose_device(None))
        title, recipe = f"run {Path(name).resolve().name}", run.recipe
        return Classifier(title, network, recipe.preprocessing, run.labels, 1.0, run.manifest_sha256, recipe.data)
    engine = cast(CountryEngine, load_model(name))
    card, provenance = engine.card, engine.card.provenance
    try:
        data = CountryDataSection.model_validate(provenance.recipe["data"])
    except (KeyError, ValidationError):  # a model that was trained elsewhere
        data = None
    preprocessing, temperature = card.network_input, card.calibration.temperature
    return Classifier(name, engine.network, preprocessing, card.labels, temperature, provenance.manifest_sha256, data)


def count_training_photos(classifier: Classifier, manifest: Manifest, task: PositionData) -> int | None:
    """Number of held-out photos of a task that a classifier was trained on; None if unknown."""
    if classifier.manifest_sha256 != manifest.sha256 or classifier.data is None:
        return None
    files = task.photos.manifest.table["file"].iloc[np.concatenate(list(task.validation.values()))]
    return int(files.isin(split(manifest, classifier.data).training.table["file"]).sum())


def classify(classifier: Classifier, task: PositionData, workers: int) -> CountryProbabilities:
    """Country probabilities of the held-out photos by a classifier.

    Raises:
        RecipeError: If a photo cannot be read.
    """
    probability = {}
    for name, rows in task.validation.items():
        photos = ValidationPhotos(_part(task, rows), (), classifier.preprocessing)
        logits, _ = readable_outputs(classifier.network, photos, classifier.preprocessing, workers)
        if len(logits) != len(rows):
            remedy = "Restore them (see the warnings above)"
            raise RecipeError(classifier.name, f"{len(rows) - len(logits)} photos of {name} cannot be read", remedy)
        probability[name] = probabilities(logits, classifier.temperature)
    return CountryProbabilities(classifier.labels, probability, classifier.name)


def probe(task: PositionData, features: NDArray[np.float32], recipe: PositionRecipe) -> CountryProbabilities:
    """Country probabilities of the held-out photos by a logistic regression, fitted on the training photos.

    Args:
        task: PositionData of the run.
        features: Backbone features of all photos with a position, shape `(n, n_features)`; rows of unreadable photos
            are not used.
        recipe: Its `candidates.min_photos` decides which countries are labels.

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
    probability = {
        name: probabilities((torch.from_numpy(features[rows]) @ weight.T + bias).numpy(), 1.0)
        for name, rows in task.validation.items()
    }
    return CountryProbabilities(
        labels, probability, "logistic regression on the backbone's features of the training photos"
    )


def _part(task: PositionData, rows: Rows) -> Manifest:
    manifest = task.photos.manifest
    chosen = np.zeros(len(manifest), dtype=np.bool_)
    chosen[rows] = True
    return manifest.where(chosen)  # rows are ascending
