"""Lightning module of country classifiers: loss, optimiser, schedule and logged metrics."""

from __future__ import annotations

from collections import deque
from typing import Any, cast

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy

from triovision.train.data.dataset import NO_LABEL
from triovision.train.data.transforms import batch_mixing
from triovision.train.engine.optim import build_optimiser, build_schedule
from triovision.train.losses.country import CountryLoss
from triovision.train.models.build import build_country_network, eval_frozen, freeze_blocks
from triovision.train.recipes.country_recipe import Recipe

#: Steps between two log entries, each a mean over these steps.
LOG_EVERY = 20


class CountryModule(lightning.LightningModule):
    """Trains a country classifier, except for the layers that the recipe freezes.

    Args:
        recipe: Country recipe.
        labels: Countries in the order of the logits.
        split_names: Names of the validation loaders, in their order.
        steps: Optimiser steps an epoch, for the length of the schedule.
        criterion: Training loss.
    """

    def __init__(
        self,
        recipe: Recipe,
        labels: tuple[str, ...],
        split_names: tuple[str, ...],
        steps: int,
        criterion: CountryLoss,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.labels = labels
        self.split_names = split_names
        self.steps_per_epoch = steps
        self.criterion = criterion
        self.mixing = batch_mixing(recipe.augmentation)
        self.network = build_country_network(recipe, len(labels)).to(memory_format=torch.channels_last)
        freeze_blocks(self.network, recipe)
        self.top1 = nn.ModuleList(
            MulticlassAccuracy(len(labels), average="micro", ignore_index=NO_LABEL) for _ in split_names
        )
        self.loss = nn.ModuleList(MeanMetric() for _ in split_names)
        self._recent: deque[Tensor] = deque(maxlen=LOG_EVERY * recipe.optimisation.accumulation)

    def on_train_epoch_start(self) -> None:
        """Put frozen layers into evaluation mode, and batch normalisation if the recipe states so."""
        self._recent.clear()
        eval_frozen(self.network)
        for module in self.network.modules():
            if self.recipe.optimisation.freeze_norm and isinstance(module, _BatchNorm):
                module.eval()

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Training loss of one batch of images and label indices."""
        images, labels = batch
        target = self.criterion.targets(labels, self.recipe.optimisation.label_smoothing)
        if self.mixing is not None:
            images, target = self.mixing(images, target)
        logits = self.network(images).float()
        loss: Tensor = self.criterion(logits, target)
        self._log_training(loss.detach(), logits.detach(), labels)
        return loss

    def _log_training(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Log means over the last batches of the epoch and over all processes.

        An image of a mixed batch has two labels, so a recipe that mixes images has no training accuracy.
        """
        correct, labelled = (logits.argmax(1) == labels).sum(), (labels != NO_LABEL).sum()
        batch = torch.stack([loss, torch.ones_like(loss), correct.to(loss), labelled.to(loss)])
        self._recent.append(self.trainer.strategy.reduce(batch, reduce_op="sum"))
        losses, batches, correct, labelled = torch.stack(tuple(self._recent)).sum(0)
        self.log("train/loss", losses / batches, prog_bar=True)
        if self.mixing is None:
            self.log("train/top1", correct / labelled, prog_bar=True)
        self.log("train/lr", self.trainer.optimizers[0].param_groups[-1]["lr"])

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int, dataloader_idx: int = 0) -> None:
        """Update cross-entropy and accuracy of a split with the labelled photos of a batch."""
        images, labels = batch
        labelled = labels != NO_LABEL
        if labelled.any():
            logits, labels = self.network(images).float()[labelled], labels[labelled]
            _metric(self.top1, dataloader_idx).update(logits, labels)
            _metric(self.loss, dataloader_idx).update(F.cross_entropy(logits, labels, reduction="none"))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of each split, and the mean of their losses for early stopping."""
        losses = []
        for i, name in enumerate(self.split_names):
            top1, loss = _metric(self.top1, i), _metric(self.loss, i)
            losses.append(loss.compute())
            # `compute` reduces over all processes already; without `sync_dist` Lightning would warn.
            metrics = {f"{name}/top1": top1.compute(), f"{name}/loss": losses[-1]}
            self.log_dict(metrics, prog_bar=True, sync_dist=True)
            top1.reset()
            loss.reset()
        self.log("val/loss", torch.stack(losses).mean(), sync_dist=True)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union is private
        """Optimiser and learning-rate schedule of the recipe."""
        optimiser = build_optimiser(self.network, self.recipe.optimisation)
        schedule = build_schedule(optimiser, self.recipe.schedule, self.recipe.optimisation, self.steps_per_epoch)
        return {"optimizer": optimiser, "lr_scheduler": schedule}


def _metric(metrics: nn.ModuleList, index: int) -> Metric:
    return cast(Metric, metrics[index])
