"""Training of the head on cached features: split by picture, class weights, oversampling, and reading a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined] # public, but not in its __all__
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from examples.relations.annotations import Annotations
from examples.relations.features import pair_features
from examples.relations.geometry import RELATIONS, spatial_vectors
from examples.relations.network import RelationHead
from examples.relations.recipe import RelationRecipe
from triovision.errors import ManifestError
from triovision.train.data.feature_cache import weights_sha256
from triovision.train.data.loaders import ResumableLoader
from triovision.train.data.samplers import RepeatSampler, SampleKey, oversampling_repeats
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.engine.fit import fit, remove_checkpoints
from triovision.train.engine.optim import build_schedule, optimiser_over
from triovision.train.engine.run_folder import FINISHED, load_finished, read_run, write_weights
from triovision.train.losses.country import balanced_weights

Sample = tuple[Tensor, Tensor, int]


@dataclass(frozen=True)
class PairData(Dataset[Sample]):
    """Cached features of pairs with their spatial vectors and labels.

    Attributes:
        features: float16 features, `(n, 2, n_features)`.
        spatial: Spatial vectors, `(n, 13)`.
        labels: Indices of the relations, `(n,)`.
        rows: Rows that belong to this part.
    """

    features: NDArray[np.float16]
    spatial: NDArray[np.float32]
    labels: NDArray[np.int64]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.rows)

    def __getitem__(self, key: SampleKey | int) -> Sample:
        """Features, spatial vector and label of a pair."""
        row = self.rows[key[0] if isinstance(key, tuple) else key]
        features = torch.from_numpy(self.features[row].astype(np.float32))
        return features, torch.from_numpy(self.spatial[row]), int(self.labels[row])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of pairs of each relation, `(10,)`."""
        return np.bincount(self.labels[self.rows], minlength=len(RELATIONS))


class RelationModule(lightning.LightningModule):
    """Trains the head of a relation network on the features of its frozen backbone.

    Args:
        recipe: Recipe of the run.
        network: Head.
        weights: Weight of each relation in the training loss, `(10,)`.
        steps: Optimiser steps an epoch.
    """

    weights: Tensor

    def __init__(self, recipe: RelationRecipe, network: RelationHead, weights: Tensor, steps: int) -> None:
        super().__init__()
        self.recipe, self.network, self.steps = recipe, network, steps
        self.register_buffer("weights", weights, persistent=False)
        self.top1 = MulticlassAccuracy(len(RELATIONS), average="micro")
        self.macro_recall = MulticlassAccuracy(len(RELATIONS), average="macro")
        self.loss = MeanMetric()

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Weighted cross entropy of a batch."""
        features, spatial, labels = batch
        logits = self.network(features, spatial)
        loss = F.cross_entropy(logits, labels, self.weights)
        top1 = (logits.argmax(1) == labels).float().mean()
        self.log_dict({"train/loss": loss.detach(), "train/top1": top1}, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/lr", self.trainer.optimizers[0].param_groups[-1]["lr"])
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> None:
        """Update the metrics; the loss of validation is not weighted."""
        features, spatial, labels = batch
        logits = self.network(features, spatial)
        self.top1.update(logits, labels)
        self.macro_recall.update(logits, labels)
        self.loss.update(F.cross_entropy(logits, labels, reduction="none"))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, and the loss that early stopping and the schedule follow."""
        loss = self.loss.compute()
        metrics = {"top1": self.top1.compute(), "macro_recall": self.macro_recall.compute(), "loss": loss}
        self.log_dict({f"validation/{name}": value for name, value in metrics.items()}, prog_bar=True)
        self.log("val/loss", loss)
        for metric in (self.top1, self.macro_recall, self.loss):
            metric.reset()

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union is private
        """Optimiser and learning-rate schedule of the recipe."""
        o = self.recipe.optimisation
        groups = [group | {"lr": o.learning_rate} for group in param_groups_weight_decay(self.network, o.weight_decay)]
        optimiser = optimiser_over(groups, o)
        return {
            "optimizer": optimiser,
            "lr_scheduler": build_schedule(optimiser, self.recipe.schedule, o, self.steps),
        }


def prepare(
    annotations: Annotations,
    recipe: RelationRecipe,
    backbone: nn.Module,
    cache: Path,
    unreadable: UnreadablePhotos,
) -> dict[str, PairData]:
    """Compute the features of all pairs and divide the pairs by picture into `train`, `val` and, if marked, `test`.

    Args:
        annotations: Annotated pairs.
        recipe: Recipe of the run.
        backbone: Frozen backbone.
        cache: Folder of cached features.
        unreadable: List of the pictures that cannot be read.

    Raises:
        ManifestError: If a part is empty, or fewer than two relations can be trained.
        RecipeError: If the disk is full, or too many pictures cannot be read.
    """
    pairs = annotations.pairs
    unreadable.forget_restored(Path())  # the list has whole paths
    features, readable = pair_features(pairs, backbone, recipe, cache, unreadable)
    width, height = (np.array([getattr(pair, side) for pair in pairs]) for side in ("width", "height"))
    spatial = spatial_vectors(*annotations.boxes, width, height).astype(np.float32)
    parts = {
        name: PairData(features, spatial, annotations.labels, rows[readable[rows]])
        for name, rows in divide(annotations, recipe.data.val_fraction).items()
    }
    relations = np.count_nonzero(parts["train"].counts)
    if relations < 2 or not len(parts["val"]):
        left = f"leave {len(parts['train'])} pairs to train and {len(parts['val'])} to validate"
        remedy = "Give pairs of at least two relations to train, and some to validate"
        raise ManifestError("The annotations", f"{left}; number of relations to train: {relations}", remedy)
    return parts


def divide(annotations: Annotations, val_fraction: float) -> dict[str, NDArray[np.intp]]:
    """Rows of each part; all pairs of a picture are in one part.

    Where the annotations mark no validation pictures, a share of the training pictures is drawn.

    Args:
        annotations: Annotated pairs.
        val_fraction: That share.

    Raises:
        ManifestError: If the annotations give the pairs of a picture to different parts.
    """
    part_of: dict[Path, str] = {}
    for pair in annotations.pairs:
        if part_of.setdefault(pair.image, pair.part) != pair.part:
            reason = f"has pairs in {part_of[pair.image] or 'no part'} and in {pair.part or 'no part'}"
            raise ManifestError(pair.image.name, reason, "Give all pairs of a picture the same split")
    part_of = {image: part or "train" for image, part in part_of.items()}
    if "val" not in part_of.values():
        images = [image for image, part in part_of.items() if part == "train"]
        drawn = np.random.default_rng(0).permutation(len(images))[: round(len(images) * val_fraction)]
        part_of |= {images[i]: "val" for i in drawn}
    parts = np.array([part_of[pair.image] for pair in annotations.pairs])
    rows = {name: np.flatnonzero(parts == name) for name in ("train", "val", "test")}
    return {name: found for name, found in rows.items() if name != "test" or len(found)}


def class_weights(counts: NDArray[np.int64], recipe: RelationRecipe) -> Tensor:
    """Weight of each relation in the training loss, `(10,)`: n / (k · n_c), or 1.

    n is the number of training pairs, k that of the relations with a training pair; a relation without one weighs 0.

    Args:
        counts: Training pairs of each relation, without oversampling.
        recipe: Recipe with `class_weights`.
    """
    weights = (counts > 0).astype(np.float64)
    if recipe.class_weights == "balanced":
        weights[counts > 0] = balanced_weights(counts[counts > 0])
    return torch.from_numpy(weights).float()


def train(
    recipe: RelationRecipe, parts: dict[str, PairData], folder: Path, unreadable: UnreadablePhotos
) -> RelationHead:
    """Train the head; a stopped run is resumed by the same call, a finished one is read.

    Args:
        recipe: Recipe of the run.
        parts: See `prepare`.
        folder: Folder of the run, with its config.
        unreadable: List of the pictures that were left out.

    Returns:
        The head after the epoch with the smallest validation loss, in evaluation mode.

    Raises:
        RecipeError: If the loss is not finite, or the disk is full.
    """
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    training = parts["train"]
    head = RelationHead(training.features.shape[2], recipe.network)
    if not (folder / FINISHED).exists():
        names = np.array(RELATIONS)[training.labels[training.rows]].tolist()
        sampler = RepeatSampler(oversampling_repeats(names, recipe.data.oversampling), recipe.seed)
        weights = class_weights(training.counts, recipe)
        listed = zip(RELATIONS, weights.tolist(), training.counts, strict=True)
        texts = (f"{name} {weight:.2f} ({n} pairs)" for name, weight, n in listed)
        rank_zero_info(f"class weights: {', '.join(texts)}")
        loader = ResumableLoader(training, sampler, recipe.optimisation.batch_size)
        validation: DataLoader[Sample] = DataLoader(parts["val"], 256)
        module = RelationModule(recipe, head, weights, len(loader))
        head.load_state_dict(fit(module, loader, validation, recipe, folder, unreadable=unreadable))
        write_weights(head, folder / FINISHED)
        remove_checkpoints(folder)
    return read_head(folder)[1]


def read_head(folder: Path) -> tuple[RelationRecipe, RelationHead, str]:
    """Recipe, trained head in evaluation mode, and hash of the backbone of a finished run.

    Raises:
        RecipeError: If the folder holds no finished run of this study.
    """
    recipe, config, state = read_run(folder, RelationRecipe, ("backbone_sha256",), "run of relations")
    n_features = state["visual.0.weight"].shape[1] // 2 if "visual.0.weight" in state else 1
    head = RelationHead(n_features, recipe.network)
    load_finished(head, state, folder)
    return recipe, head.eval().requires_grad_(False), config["backbone_sha256"]


def run_config(recipe: RelationRecipe, annotations: Annotations, backbone: nn.Module) -> dict[str, Any]:
    """Config of a run: everything that its result depends on, as JSON values."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "manifest_sha256": annotations.sha256,
        "backbone_sha256": weights_sha256(backbone),
    }


def predict(head: RelationHead, data: PairData) -> NDArray[np.float32]:
    """Probabilities of the relations for all pairs of a part, `(n, 10)`."""
    with torch.inference_mode():
        batches = [head(features, spatial).softmax(1) for features, spatial, _ in DataLoader(data, 256)]
    probabilities: NDArray[np.float32] = torch.cat(batches).numpy()
    return probabilities
