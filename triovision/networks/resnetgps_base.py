"""Base class of ResNetGPS: backbone, frozen stages, dropout rates, one photo with many cities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import timm
from torch import Tensor, nn

from triovision.networks import resnet_v1  # noqa: F401 - registers an architecture with timm


@dataclass(frozen=True, kw_only=True)
class Dropouts:
    """Dropout rates in [0, 1]; the defaults are those of V1 as published.

    Attributes:
        city_dropout1: First rate in the city layers.
        city_dropout2: Second rate in the city layers; V4 has only the first.
        dropout1: Rate after the first image layer.
        dropout2: Rate after the second image layer.
        dropout3: Rate after the third image layer.
    """

    city_dropout1: float = 0.2
    city_dropout2: float = 0.1
    dropout1: float = 0.15
    dropout2: float = 0.1
    dropout3: float = 0.05


class ResNetGPS(nn.Module, ABC):
    """A regressor from a photo and a vector of city metadata to a position.

    The backbone is frozen except its last stage, `layer4`. Stages without a trainable parameter stay in evaluation
    mode, so that their batch-norm statistics do not change. To freeze `layer4` as well, call
    `network.resnet.requires_grad_(False)` before the next `.train()`.

    Attributes:
        resnet: timm network without classifier.
        n_image_features: Width of the image features: 2048 for a ResNet50.
        n_city_features: Number of city features.
        n_outputs: Number of outputs per photo and city.

    Args:
        n_city_features: Number of city features.
        backbone: timm architecture with a `layer4`.
        n_outputs: Number of outputs per photo and city.

    Raises:
        ValueError: If the architecture is unknown to timm or has no `layer4`, or a number is below one.
    """

    def __init__(self, n_city_features: int, backbone: str, n_outputs: int) -> None:
        super().__init__()
        if n_city_features < 1 or n_outputs < 1:
            given = f"{n_city_features} and {n_outputs}"
            raise ValueError(f"`n_city_features` and `n_outputs` must be at least 1, got {given}")
        if not timm.is_model(backbone):
            raise ValueError(f"`backbone` {backbone!r} is unknown to timm {timm.__version__}")
        self.resnet = timm.create_model(backbone, num_classes=0)
        if not hasattr(self.resnet, "layer4"):
            raise ValueError(f"`backbone` {backbone!r} is no ResNet: it has no `layer4`")
        self.resnet.requires_grad_(False)
        self.resnet.layer4.requires_grad_(True)
        self.n_image_features = cast(int, self.resnet.num_features)
        self.n_city_features = n_city_features
        self.n_outputs = n_outputs

    def image_features(self, batch_nchw: Tensor) -> Tensor:
        """Return features of normalised photos, shape `(n, n_image_features)`."""
        return cast(Tensor, self.resnet(batch_nchw))

    def locate(self, features_nc: Tensor, city_nm: Tensor) -> Tensor:
        """Predict positions of photos, each with the metadata of a city.

        Args:
            features_nc: Output of `image_features`, shape `(n, n_image_features)`; a single row is used for all cities.
            city_nm: Standardised metadata, shape `(n, n_city_features)`.

        Returns:
            Shape `(n, n_outputs)`: the standardised latitude and longitude when `n_outputs` is 2.

        Raises:
            ValueError: If a shape is wrong.
        """
        self._check_city(city_nm)
        if features_nc.ndim != 2 or features_nc.shape[1] != self.n_image_features:
            expected = f"(n, {self.n_image_features})"
            raise ValueError(f"`features_nc` must have shape {expected}, got {tuple(features_nc.shape)}")
        if len(features_nc) not in (1, len(city_nm)):
            raise ValueError(f"`features_nc` has {len(features_nc)} rows for {len(city_nm)} cities")
        return self._locate(features_nc, city_nm)

    @abstractmethod
    def _locate(self, features_nc: Tensor, city_nm: Tensor) -> Tensor:
        """Run `locate` on inputs with checked shapes."""

    def forward(self, batch_nchw: Tensor, city_nm: Tensor) -> Tensor:
        """Run `locate` on the photos' features."""
        return self.locate(self.image_features(batch_nchw), city_nm)

    def auxiliary_loss(self, city_nm: Tensor) -> Tensor:
        """Return the auxiliary training loss, a scalar; zero unless a version overrides it.

        Raises:
            ValueError: If the shape of `city_nm` is not `(n, n_city_features)`.
        """
        self._check_city(city_nm)
        return city_nm.new_zeros(())

    def train(self, mode: bool = True) -> ResNetGPS:
        """Set the mode of the trainable parts; frozen stages stay in evaluation mode."""
        super().train(mode)
        for part in self.resnet.children():
            part.train(mode and any(parameter.requires_grad for parameter in part.parameters()))
        return self

    def _check_city(self, city_nm: Tensor) -> None:
        if city_nm.ndim != 2 or city_nm.shape[1] != self.n_city_features:
            expected = f"(n, {self.n_city_features})"
            raise ValueError(f"`city_nm` must have shape {expected}, got {tuple(city_nm.shape)}: other city metadata?")


def layers(widths: tuple[int, ...], rates: tuple[float, ...]) -> list[nn.Module]:
    """Return linear, batch norm, ReLU and dropout from each width to the next; the first layers get the rates."""
    steps: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        steps += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        if i < len(rates):
            steps.append(nn.Dropout(rates[i]))
    return steps
