"""The study from annotations to a report, and the answer for one picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from examples.relations.annotations import Annotations, check_box
from examples.relations.features import build_backbone, crop
from examples.relations.geometry import RELATIONS, spatial_vectors
from examples.relations.metrics import Metrics, measure
from examples.relations.network import RelationNetwork
from examples.relations.recipe import Backbone, RelationRecipe
from examples.relations.report import write_run_page
from examples.relations.training import PairData, prepare, read_head, run_config, train
from triovision.errors import ManifestError, PhotoError, RecipeError
from triovision.photo import read_photo
from triovision.train.data.feature_cache import weights_sha256
from triovision.train.data.unreadable import FILE, UnreadablePhotos, allowed_photos
from triovision.train.engine.run_folder import RUN_CONFIG, write_run_config


@dataclass
class Study:
    """Annotated pairs with what has been computed for them.

    Attributes:
        annotations: Annotated pairs.
        cache: Folder of cached features.
        backbones: Replacements of the backbones of the recipes, by architecture.
        max_unreadable: Largest number or percentage of unreadable pictures.
    """

    annotations: Annotations
    cache: Path
    backbones: dict[str, Backbone] = field(default_factory=dict)
    max_unreadable: str = "1%"
    _prepared: dict[str, tuple[nn.Module, dict[str, PairData]]] = field(default_factory=dict)

    def run(self, recipe: RelationRecipe, folder: Path, weights: Path | None = None) -> Metrics:
        """Train a recipe, or resume it or read its run; measure it and write its report.

        Args:
            recipe: Recipe; its backbone may be replaced by one of `backbones`.
            folder: Folder of the run.
            weights: Weights of its backbone.

        Raises:
            TrioVisionError: See `build_backbone`, `prepare` and `train`.
        """
        if (replacement := self.backbones.get(recipe.architecture)) is not None:
            recipe, weights = replacement.replace_in(recipe), replacement.weights
        fields = {"architecture", "architecture_args", "preprocessing", "data"}
        pictures = len({pair.image for pair in self.annotations.pairs})
        unreadable = UnreadablePhotos(folder / FILE, allowed_photos(self.max_unreadable, pictures))
        what = f"{weights} {recipe.model_dump_json(include=fields)}"
        if what not in self._prepared:
            backbone = build_backbone(recipe, weights)
            if (folder / RUN_CONFIG).exists():  # refuse the folder of another run before minutes of features
                write_run_config(folder, run_config(recipe, self.annotations, backbone))
            folder.mkdir(parents=True, exist_ok=True)
            self._prepared[what] = backbone, prepare(self.annotations, recipe, backbone, self.cache, unreadable)
        backbone, parts = self._prepared[what]
        write_run_config(folder, run_config(recipe, self.annotations, backbone))
        head = train(recipe, parts, folder, unreadable)
        metrics = measure(self.annotations, parts, recipe, head, folder)
        write_run_page(folder, metrics, self.annotations, recipe)
        return metrics


def answer(
    folder: Path, picture: Path, subject: tuple[float, ...], object_: tuple[float, ...], weights: Path | None
) -> dict[str, float]:
    """Probability of each relation of a subject to an object, by the network of a finished run.

    Args:
        folder: Folder of the run.
        picture: File of the picture.
        subject: Box of the subject: left, top, right, bottom in pixels.
        object_: Box of the object.
        weights: Weights of the backbone, the same as in training.

    Raises:
        RecipeError: If there is no finished run, or the weights are not those of the training.
        PhotoError: If the picture cannot be read.
        ManifestError: If a box is empty or outside of the picture.
    """
    recipe, head, backbone_sha256 = read_head(folder)
    backbone = build_backbone(recipe, weights)
    if weights_sha256(backbone) != backbone_sha256:
        remedy = f"Give the weights of {recipe.architecture} that the run was trained with"
        raise RecipeError(str(weights or recipe.architecture), "differs from the backbone of the run", remedy)
    try:
        photo = read_photo(picture.read_bytes(), picture.name)
    except OSError as exc:
        raise PhotoError(picture.name, f"cannot be opened ({exc.strerror})", "Give a readable file") from exc
    boxes = []
    for name, given in (("subject", subject), ("object", object_)):
        width, height = photo.original_width_px, photo.original_height_px
        box = check_box(given, width, height)
        if isinstance(box, str):
            remedy = f"Give left, top, right and bottom within {width} x {height} pixels"
            raise ManifestError(f"The box of the {name}", box, remedy)
        boxes.append(box)
    crops = recipe.preprocessing.normalise(torch.stack([crop(photo, box, recipe.preprocessing) for box in boxes]))
    first, second = (np.array([box]) for box in boxes)
    spatial = spatial_vectors(first, second, np.array([width]), np.array([height]))
    network = RelationNetwork(backbone, head).eval()
    with torch.inference_mode():
        logits = network(crops[None], torch.from_numpy(spatial).float())
    return dict(zip(RELATIONS, logits[0].softmax(0).tolist(), strict=True))
