"""Training, measurement and export of a model on frozen backbones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from triovision.files import atomic_write
from triovision.inference.card import Calibration, Landmarks, ModelCard, Provenance, read_card
from triovision.inference.landmarks import INDEX, LandmarkIndex
from triovision.networks import head_of
from triovision.train.data.manifest import Manifest
from triovision.train.evaluation.model_figures import TopAnswers, measure_figures, top_answers, write_figures
from triovision.train.evaluation.predict import ManifestPredictions, evaluation_metrics
from triovision.train.export.card import Description, knows, write_model
from triovision.train.frozen.calibrate import (
    LandmarkLogit,
    fit_head_temperature,
    fit_landmark_logit,
    fit_radius_factors,
    fit_thresholds,
    match_correct,
    mix_probabilities,
    predict_photos,
    with_radius_factors,
)
from triovision.train.frozen.cross_fit import (
    FrozenData,
    OutOfSource,
    choose_penalty,
    cross_fit,
    fit_country_head,
    fit_index,
    frozen_data,
)
from triovision.train.frozen.head import Features, LinearHead
from triovision.train.recipes.frozen_recipe import FrozenRecipe

Metrics = dict[str, float | None]
Mask = NDArray[np.bool_]
#: Name of the measurements in the card.
OUT_OF_SOURCE = "new_sources (other folds' models)"


@dataclass(frozen=True, slots=True, eq=False)
class FrozenModel:
    """A fitted model with its calibration and its measurements.

    Attributes:
        data: Photos that it was fitted on.
        head: Country classifier.
        penalty: Its penalty.
        head_temperature: Divisor of its logits.
        index: Landmark index.
        logit: Probability of a landmark.
        calibration: Calibration.
        metrics: Measurements of calibrated predictions of the photos by models of the other folds.
        answers: Most probable countries of these predictions, for the figures of the card.
    """

    data: FrozenData
    head: LinearHead
    penalty: float
    head_temperature: float
    index: LandmarkIndex
    logit: LandmarkLogit
    calibration: Calibration
    metrics: Metrics
    answers: TopAnswers


def fit_frozen_model(
    recipe: FrozenRecipe,
    manifest: Manifest,
    features: Features,
    echo: Callable[[str], object],
    on_photo: Callable[[], object],
) -> FrozenModel:
    """Fit a model on all folds, and calibrate and measure it by models that were fitted without a photo's source.

    A photo of a fold is predicted by a model that was fitted on the other folds, with penalty, temperature and landmark
    probability from these too. Its thresholds and radius factors come from the predictions for the photos of the other
    folds.

    Args:
        recipe: The recipe.
        manifest: Photos in a fold, see `fold_rows`.
        features: Their features, shape `(n, n_features)`.
        echo: Called with lines of progress.
        on_photo: Called once for each predicted photo.

    Raises:
        ManifestError: If no photo shows a landmark.
    """
    data = frozen_data(recipe, manifest, features)
    outputs = cross_fit(data, echo)
    every = np.arange(len(data.fold))
    calibration, measured = calibrate(data, outputs, on_photo)
    penalty = choose_penalty(data, data.folds)
    return FrozenModel(
        data=data,
        head=fit_country_head(data, every, penalty),
        penalty=penalty,
        head_temperature=fit_head_temperature(data, outputs, every),
        index=fit_index(data, every),
        logit=fit_landmark_logit(data, outputs, every),
        calibration=calibration,
        metrics=evaluation_metrics(measured, data.labels) | landmark_metrics(data, outputs, measured),
        answers=top_answers(measured),
    )


def calibrate(
    data: FrozenData, outputs: OutOfSource, on_photo: Callable[[], object]
) -> tuple[Calibration, ManifestPredictions]:
    """Fit the calibration on all folds; also return the predictions that are calibrated on the other folds."""
    every, folds = np.arange(len(data.fold)), data.fold.tolist()
    mixed = mix_probabilities(data, outputs)
    rows_outside = {fold: np.flatnonzero(data.fold != fold) for fold in data.folds}
    calibrations = {fold: fit_thresholds(data, mixed, others) for fold, others in rows_outside.items()}
    draft = predict_photos(data, mixed, calibrations, on_photo)
    factors = {fold: fit_radius_factors(data, draft, others) for fold, others in rows_outside.items()}
    predictions = [with_radius_factors(one, *factors[fold]) for one, fold in zip(draft, folds, strict=True)]
    factor, factor_90 = fit_radius_factors(data, draft, every)
    sources = data.manifest.table["source"].nunique()
    fitted_on = f"{len(every)} photos of {sources} sources, each predicted by a model that saw no photo of its source"
    calibration = fit_thresholds(data, mixed, every).model_copy(
        update={"radius_factor": factor, "radius_90_factor": factor_90, "fitted_on": fitted_on}
    )
    return calibration, ManifestPredictions(tuple(predictions), data.manifest.table, ())


def landmark_metrics(data: FrozenData, outputs: OutOfSource, measured: ManifestPredictions) -> Metrics:
    """Measure the landmarks: of the photos whose landmark another source shows, and of all that are named.

    A named landmark is right when the photo was taken within a kilometre of it. A landmark has one name in all sources;
    its photos in one source are a `place` of the manifest, which several sources share where their photos were grouped
    together. Few landmarks have most of the photos, so their mean is given too.
    """
    correct, known_position = match_correct(data, outputs)
    named = np.array([one.landmark is not None for one in measured.predictions])
    names = pd.Series([None if one is None else one.name for one in data.landmarks])
    place = data.manifest.table["place"].reset_index(drop=True).where(names.notna())
    folds = pd.Series(data.fold).groupby(place).transform("nunique")
    judged = named & known_position
    by_landmark = pd.Series(correct[outputs.in_index]).groupby(names[outputs.in_index].to_numpy()).mean()
    return {
        **_known_landmarks("landmarks_known", outputs.in_index, correct, named),
        "landmarks_known_within_1_km_by_landmark": None if by_landmark.empty else float(by_landmark.mean()),
        **_known_landmarks("landmarks_shared", (folds > 1).to_numpy() & outputs.in_index, correct, named),
        "landmarks_named": float(named.sum()),
        "landmarks_named_right": _mean(correct[judged]),
    }


def _known_landmarks(prefix: str, rows: Mask, correct: Mask, named: Mask) -> Metrics:
    return {
        prefix: float(rows.sum()),
        f"{prefix}_within_1_km": _mean(correct[rows]),
        f"{prefix}_named": _mean(named[rows]),
        f"{prefix}_named_right": _mean(correct[rows & named]),
    }


def export_frozen_model(
    model: FrozenModel, network: nn.Module, description: Description, model_id: str, models: Path, command: str
) -> Path:
    """Write the model folder: weights, landmark index, card, and the figures of the card.

    Args:
        model: The model.
        network: Network of the recipe with the frozen weights; its last layer is replaced.
        description: Texts of the card.
        model_id: `<architecture>.<what it was trained on>`.
        models: Parent of the folder.
        command: The command line, for the card.
    """
    head = cast(nn.Linear, head_of(network))
    head.weight.data, head.bias.data = torch.from_numpy(model.head.weight), torch.from_numpy(model.head.bias)
    content = model.index.to_bytes()
    atomic_write(models / model_id / INDEX, content)
    recipe, manifest = model.data.recipe, model.data.manifest
    card = ModelCard(
        id=model_id,
        summary=description.summary,
        engine="country_and_landmarks",
        architecture=recipe.architecture,
        preprocessing=recipe.preprocessing,
        labels=model.data.labels,
        calibration=model.calibration,
        landmarks=Landmarks(
            index_sha256=hashlib.sha256(content).hexdigest(),
            photos=len(model.index.vectors),
            landmarks=len(model.index.landmarks),
            head_temperature=model.head_temperature,
            country_weight=recipe.score.country_weight,
            photos_weight=recipe.score.photos_weight,
            coefficients=model.logit.coefficients,
            intercept=model.logit.intercept,
        ),
        weights_sha256="0" * 64,  # replaced by `write_model`
        provenance=Provenance(
            recipe=recipe.model_dump(mode="json") | {"penalty": model.penalty},
            manifest_sha256=manifest.sha256,
            photos=len(manifest),
            command=command,
            data=description.data,
        ),
        metrics={OUT_OF_SOURCE: model.metrics},
        knows=knows(model.data.labels, manifest),
        limits=description.limits,
        licence=description.licence,
    )
    folder = write_model(network, models, card)
    measured_on = "each photo is predicted by a model that saw no photo of its source"
    write_figures(folder, measure_figures(model.answers, read_card(folder), measured_on, command))
    return folder


def _mean(values: Mask) -> float | None:
    return float(values.mean()) if len(values) else None
