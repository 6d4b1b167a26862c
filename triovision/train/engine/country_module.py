"""The Lightning module of a country classifier: loss, optimiser, schedule and what is logged."""

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
from triovision.train.data.transforms import mixing
from triovision.train.engine.optim import build_optimiser, build_schedule
from triovision.train.losses.country import CountryLoss
from triovision.train.models.build import build_country_network, freeze_blocks, rest_frozen
from triovision.train.recipes.country_recipe import Recipe

#: Steps between two lines of the log, which hold the means over them.
LOG_EVERY = 20


class CountryModule(lightning.LightningModule):
    """Trains a country classifier, all layers but those that the recipe freezes.

    Args:
        recipe: What to train and how.
        labels: Countries in the order of the logits.
        split_names: Names of the validation loaders, in their order.
        steps: Optimiser steps an epoch, for the length of the schedule.
        criterion: The loss of the training photos.
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
        self.mixing = mixing(recipe.augmentation)
        self.network = build_country_network(recipe, len(labels)).to(memory_format=torch.channels_last)
        freeze_blocks(self.network, recipe)
        self.top1 = nn.ModuleList(
            MulticlassAccuracy(len(labels), average="micro", ignore_index=NO_LABEL) for _ in split_names
        )
        self.loss = nn.ModuleList(MeanMetric() for _ in split_names)
        self._recent: deque[Tensor] = deque(maxlen=LOG_EVERY * recipe.optimisation.accumulation)

    def on_train_epoch_start(self) -> None:
        """Keep the frozen blocks as they are, and the statistics of batch normalisation if the recipe says so."""
        self._recent.clear()
        rest_frozen(self.network)
        for module in self.network.modules():
            if self.recipe.optimisation.freeze_norm and isinstance(module, _BatchNorm):
                module.eval()

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """The recipe's loss of one batch."""
        images, target = batch
        wanted = self.criterion.targets(target, self.recipe.optimisation.label_smoothing)
        if self.mixing is not None:
            images, wanted = self.mixing(images, wanted)
        logits = self.network(images).float()
        loss: Tensor = self.criterion(logits, wanted)
        self._log_training(loss.detach(), logits.detach(), target)
        return loss

    def _log_training(self, loss: Tensor, logits: Tensor, target: Tensor) -> None:
        """Log the means over the last batches of the epoch, all processes together.

        A photo of a mixed batch has no one answer, so that a recipe which mixes has no training accuracy here.
        """
        right, known = (logits.argmax(1) == target).sum(), (target != NO_LABEL).sum()
        batch = torch.stack([loss, torch.ones_like(loss), right.to(loss), known.to(loss)])
        self._recent.append(self.trainer.strategy.reduce(batch, reduce_op="sum"))
        losses, batches, right, known = torch.stack(tuple(self._recent)).sum(0)
        self.log("train/loss", losses / batches, prog_bar=True)
        if self.mixing is None:
            self.log("train/top1", right / known, prog_bar=True)
        self.log("train/lr", self.trainer.optimizers[0].param_groups[-1]["lr"])

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
            # Computed over all processes; said again, because Lightning would warn.
            figures = {f"{name}/top1": top1.compute(), f"{name}/loss": losses[-1]}
            self.log_dict(figures, prog_bar=True, sync_dist=True)
            top1.reset()
            loss.reset()
        self.log("val/loss", torch.stack(losses).mean(), sync_dist=True)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union is private
        """The optimiser and the schedule that the recipe names."""
        optimiser = build_optimiser(self.network, self.recipe.optimisation)
        schedule = build_schedule(optimiser, self.recipe.schedule, self.recipe.optimisation, self.steps_per_epoch)
        return {"optimizer": optimiser, "lr_scheduler": schedule}


def _metric(metrics: nn.ModuleList, index: int) -> Metric:
    return cast(Metric, metrics[index])
