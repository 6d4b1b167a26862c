"""Lightning module of position regressors: loss, optimiser, schedule and logged metrics."""

from __future__ import annotations

from typing import Any, cast

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined] # public, but not in its __all__
from torch import Tensor

from triovision.geo import distance_km
from triovision.networks.resnetgps import ResNetGPS
from triovision.train.data.positions import PositionData
from triovision.train.engine.optim import build_schedule, optimiser_over
from triovision.train.losses.position import PositionLoss
from triovision.train.recipes.position_recipe import PositionRecipe


class PositionModule(lightning.LightningModule):
    """Trains ResNetGPS on the features of its frozen backbone.

    Args:
        recipe: Position recipe.
        network: Network without its frozen part: takes frozen features and standardised city metadata.
        task: Positions and city metadata of the photos, in the order of the row numbers in the batches.
        criterion: Training loss.
        steps: Optimiser steps an epoch, for the length of the schedule.
    """

    city: Tensor
    target_deg: Tensor

    def __init__(
        self, recipe: PositionRecipe, network: ResNetGPS, task: PositionData, criterion: PositionLoss, steps: int
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.criterion = criterion
        self.steps_per_epoch = steps
        self.split_names = tuple(task.validation)
        self.position = task.position
        # They follow from the manifest, so checkpoints do not hold them.
        self.register_buffer("city", torch.from_numpy(task.city_scaling.apply(task.city)).float(), persistent=False)
        self.register_buffer("target_deg", torch.from_numpy(task.position).float(), persistent=False)
        self._errors_km: list[list[NDArray[np.float64]]] = []
        self._losses: list[list[Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Training loss of one batch of frozen features and row numbers."""
        features, rows = batch
        city = self.city[rows]
        loss = self.criterion(self.network(features, city), self.target_deg[rows])
        loss = loss + self.recipe.loss.auxiliary_weight * self.network.auxiliary_loss(city)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, batch_size=len(rows))
        self.log("train/lr", self.trainer.optimizers[0].param_groups[-1]["lr"])
        return cast(Tensor, loss)

    def on_validation_epoch_start(self) -> None:
        """Reset the errors and losses of each split."""
        self._errors_km = [[] for _ in self.split_names]
        self._losses = [[] for _ in self.split_names]

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int, dataloader_idx: int = 0) -> None:
        """Collect the losses of a split and the distances in km between true and predicted positions."""
        features, rows = batch
        outputs = self.network(features, self.city[rows])
        self._losses[dataloader_idx].append(self.criterion(outputs, self.target_deg[rows]) * len(rows))
        truth, guess = self.position[rows.cpu().numpy()], self.criterion.positions_deg(outputs).cpu().double().numpy()
        self._errors_km[dataloader_idx].append(distance_km(*truth.T, *guess.T))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of each split and their means, for the schedule, early stopping and the best checkpoint."""
        losses, medians = [], []
        for name, errors, parts in zip(self.split_names, self._errors_km, self._losses, strict=True):
            error_km = np.concatenate(errors)
            losses.append(float(torch.stack(parts).sum()) / len(error_km))
            medians.append(float(np.median(error_km)))
            self.log_dict({f"{name}/median_km": medians[-1], f"{name}/loss": losses[-1]}, prog_bar=True)
        self.log_dict({"val/loss": float(np.mean(losses)), "val/median_km": float(np.mean(medians))})

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union is private
        """Optimiser and learning-rate schedule of the recipe."""
        o = self.recipe.optimisation
        groups = [group | {"lr": o.learning_rate} for group in param_groups_weight_decay(self.network, o.weight_decay)]
        optimiser = optimiser_over(groups, o)
        schedule = build_schedule(optimiser, self.recipe.schedule, o, self.steps_per_epoch)
        return {"optimizer": optimiser, "lr_scheduler": schedule}
