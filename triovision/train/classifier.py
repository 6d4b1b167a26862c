"""The Lightning module of a country classifier: loss, optimiser, schedule and what is logged."""

from __future__ import annotations

import math
from typing import Any, cast

import lightning
import torch
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined] # public, but not in its __all__
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy

from triovision.networks import build_classifier, head_of
from triovision.train.data import NO_LABEL
from triovision.train.recipe import Optimisation, Recipe


class CountryTraining(lightning.LightningModule):
    """Trains all layers of a country classifier.

    Args:
        recipe: What to train and how.
        labels: Countries in the order of the logits.
        split_names: Names of the validation loaders, in their order.
        steps: Optimiser steps an epoch, for the length of the schedule.
    """

    def __init__(self, recipe: Recipe, labels: tuple[str, ...], split_names: tuple[str, ...], steps: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.labels = labels
        self.split_names = split_names
        self.steps_per_epoch = steps
        self.network = build_classifier(recipe.architecture, len(labels), drop_rate=recipe.drop_rate).to(
            memory_format=torch.channels_last
        )
        self.top1 = nn.ModuleList(
            MulticlassAccuracy(len(labels), average="micro", ignore_index=NO_LABEL) for _ in split_names
        )
        self.loss = nn.ModuleList(MeanMetric() for _ in split_names)

    def on_train_epoch_start(self) -> None:
        """Keep the statistics of batch normalisation, if the recipe says so."""
        for module in self.network.modules():
            if self.recipe.optimisation.freeze_norm and isinstance(module, _BatchNorm):
                module.eval()

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Cross entropy of one batch."""
        images, target = batch
        logits = self.network(images).float()
        wanted = soft_targets(target, len(self.labels), self.recipe.optimisation.label_smoothing)
        loss = F.cross_entropy(logits, wanted)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/lr", self.trainer.optimizers[0].param_groups[-1]["lr"])
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int, dataloader_idx: int = 0) -> None:
        """Collect loss and accuracy of the photos that have a label."""
        images, target = batch
        logits, known = self.network(images).float(), target != NO_LABEL
        if known.any():
            _metric(self.top1, dataloader_idx).update(logits[known], target[known])
            _metric(self.loss, dataloader_idx).update(F.cross_entropy(logits[known], target[known], reduction="none"))

    def on_validation_epoch_end(self) -> None:
        """Log each split, and the mean of their losses, which decides when to stop."""
        losses = []
        for i, name in enumerate(self.split_names):
            top1, loss = _metric(self.top1, i), _metric(self.loss, i)
            losses.append(loss.compute())
            self.log_dict({f"{name}/top1": top1.compute(), f"{name}/loss": losses[-1]}, prog_bar=True)
            top1.reset()
            loss.reset()
        self.log("val/loss", torch.stack(losses).mean())

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union is private
        """AdamW with warm-up and cosine decay a step."""
        o = self.recipe.optimisation
        # timm leaves vectors, such as biases and the scales of normalisation, without decay, which only weakens them.
        layers = param_groups_layer_decay(self.network, o.weight_decay, layer_decay=o.layer_decay)
        head = {id(p) for p in head_of(self.network).parameters()}
        groups = [
            {
                "params": [p for p in layer["params"] if (id(p) in head) == in_head],
                "lr": o.learning_rate * layer["lr_scale"] * (o.head_factor if in_head else 1),
                "weight_decay": layer["weight_decay"],
            }
            for layer in layers
            for in_head in (False, True)
        ]
        optimiser = torch.optim.AdamW([group for group in groups if group["params"]])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, self.steps_per_epoch, o))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _metric(metrics: nn.ModuleList, index: int) -> Metric:
    return cast(Metric, metrics[index])


def soft_targets(target: Tensor, n_labels: int, label_smoothing: float) -> Tensor:
    """Wanted probabilities `(n, n_labels)`; a photo without a label wants all countries alike.

    The uniform target is outlier exposure: "Deep Anomaly Detection with Outlier Exposure" (Hendrycks et al., 2019).

    Args:
        target: Indices `(n,)`, `NO_LABEL` where the country has no label.
        n_labels: Number of labels.
        label_smoothing: Share of a target that is spread over all labels.
    """
    known = (target != NO_LABEL).float().unsqueeze(1)
    share = known * (1 - label_smoothing)
    return share * F.one_hot(target.clamp(min=0), n_labels) + (1 - share) / n_labels


def rate_at(step: int, steps_per_epoch: int, optimisation: Optimisation) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to zero."""
    warmup = optimisation.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1.0, optimisation.epochs * steps_per_epoch - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
