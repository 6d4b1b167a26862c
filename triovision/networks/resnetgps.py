"""ResNetGPS V1 to V4: position regressors from the image features of a ResNet50 and a vector of city metadata.

Widths, layer order and dropout rates follow the study. A class names its choices where the study leaves them open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.networks.resnetgps_base import Dropouts, ResNetGPS, layers

__all__ = ["VERSIONS", "Dropouts", "ResNetGPS", "build_resnetgps"]


class ResNetGPSV1(ResNetGPS):
    """Attention and depth: sigmoid gates over image and city, three layers, and a linear shortcut past them.

    The names of the layers are those of the published checkpoints.
    """

    def __init__(self, n_city_features: int, backbone: str, n_outputs: int, rates: Dropouts) -> None:
        super().__init__(n_city_features, backbone, n_outputs)
        self.city_features_processor = nn.Sequential(
            *layers((n_city_features, 128, 256), (rates.city_dropout1, rates.city_dropout2)), nn.Linear(256, 128)
        )
        joined = self.n_image_features + 128
        self.attention = nn.Sequential(nn.Linear(joined, 512), nn.ReLU(), nn.Linear(512, joined), nn.Sigmoid())
        self.fc1, self.bn1, self.dropout1 = nn.Linear(joined, 1024), nn.BatchNorm1d(1024), nn.Dropout(rates.dropout1)
        self.fc2, self.bn2, self.dropout2 = nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.Dropout(rates.dropout2)
        self.fc3, self.bn3, self.dropout3 = nn.Linear(512, 256), nn.BatchNorm1d(256), nn.Dropout(rates.dropout3)
        self.residual_connection = nn.Linear(joined, 256)
        self.fc_final = nn.Linear(256, n_outputs)

    def _locate(self, features_nc: Tensor, city_nm: Tensor) -> Tensor:
        joined = _concatenate(features_nc, self.city_features_processor(city_nm))
        attended = joined * self.attention(joined)
        hidden = self.dropout1(F.relu(self.bn1(self.fc1(attended))))
        hidden = self.dropout2(F.relu(self.bn2(self.fc2(hidden))))
        hidden = self.dropout3(F.relu(self.bn3(self.fc3(hidden))))
        return cast(Tensor, self.fc_final(hidden + self.residual_connection(attended)))


class ResNetGPSV2(ResNetGPS):
    """Separate branches, late fusion, and a head for each output.

    Choices: every layer of a branch has batch norm and ReLU, with dropout after all image layers and the first two city
    layers. The fusion is one such layer without dropout, from both branches side by side (512) to 256. A head is
    256→128→1 with a ReLU, because heads without a hidden layer would equal one linear layer.
    """

    def __init__(self, n_city_features: int, backbone: str, n_outputs: int, rates: Dropouts) -> None:
        super().__init__(n_city_features, backbone, n_outputs)
        image_rates = (rates.dropout1, rates.dropout2, rates.dropout3)
        self.image_branch = nn.Sequential(*layers((self.n_image_features, 1024, 512, 256), image_rates))
        city_rates = (rates.city_dropout1, rates.city_dropout2)
        self.city_branch = nn.Sequential(*layers((n_city_features, 64, 128, 256), city_rates))
        self.fusion = nn.Sequential(*layers((512, 256), ()))
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 1)) for _ in range(n_outputs)
        )

    def _locate(self, features_nc: Tensor, city_nm: Tensor) -> Tensor:
        fused = self.fusion(_concatenate(self.image_branch(features_nc), self.city_branch(city_nm)))
        return torch.cat([head(fused) for head in self.heads], dim=1)


class ResNetGPSV3(ResNetGPS):
    """An auto-encoder for the city, four attention heads over image and code, and a funnel.

    Choices: the code is the last, 64-wide layer of the auto-encoder, and a linear layer reconstructs the metadata from
    it. ReLU and dropout follow the 32-wide layers, ReLU follows the last one; batch norm is omitted, because the
    auto-encoder has a reconstruction loss. Image and code become two tokens of 512 numbers, the first width of the
    funnel; the query is the image token, with four heads of 128 (Vaswani et al., 2017). The funnel's three layers have
    batch norm, ReLU and dropout.
    """

    def __init__(self, n_city_features: int, backbone: str, n_outputs: int, rates: Dropouts) -> None:
        super().__init__(n_city_features, backbone, n_outputs)
        self.city_encoder = nn.Sequential(
            *(nn.Linear(n_city_features, 32), nn.ReLU(), nn.Dropout(rates.city_dropout1), nn.Linear(32, 16)),
            *(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(rates.city_dropout2), nn.Linear(32, 64), nn.ReLU()),
        )
        self.reconstruction = nn.Linear(64, n_city_features)
        self.image_token = nn.Linear(self.n_image_features, 512)
        self.city_token = nn.Linear(64, 512)
        self.attention = nn.MultiheadAttention(512, num_heads=4, batch_first=True)
        funnel_rates = (rates.dropout1, rates.dropout2, rates.dropout3)
        self.funnel = nn.Sequential(*layers((512, 256, 128, 64), funnel_rates), nn.Linear(64, n_outputs))

    def _locate(self, features_nc: Tensor, city_nm: Tensor) -> Tensor:
        city = self.city_token(self.city_encoder(city_nm))
        image = self.image_token(features_nc).expand_as(city)
        both = torch.stack([image, city], dim=1)
        attended, _ = self.attention(image.unsqueeze(1), both, both, need_weights=False)
        return cast(Tensor, self.funnel(attended.squeeze(1)))

    def auxiliary_loss(self, city_nm: Tensor) -> Tensor:
        """Return the mean squared error of the auto-encoder's reconstruction."""
        self._check_city(city_nm)
        return F.mse_loss(self.reconstruction(self.city_encoder(city_nm)), city_nm)


class ResNetGPSV4(ResNetGPS):
    """A weighted ensemble of three city experts, each with a regressor of its own.

    Choices: ReLU between the layers of an expert, none after its last one. Each regressor reads the image features and
    its expert's 64 outputs through 512, 256 and 128, half the widths of V1, with batch norm, ReLU and dropout. The
    weights are a softmax over one linear layer on the image features and the metadata.
    """

    def __init__(self, n_city_features: int, backbone: str, n_outputs: int, rates: Dropouts) -> None:
        super().__init__(n_city_features, backbone, n_outputs)
        n, relu = n_city_features, nn.ReLU()
        self.experts = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(n, 64), relu, nn.Linear(64, 64)),
                nn.Sequential(nn.Linear(n, 128), relu, nn.Dropout(rates.city_dropout1), nn.Linear(128, 64)),
                nn.Sequential(nn.Linear(n, 32), relu, nn.Linear(32, 96), relu, nn.Linear(96, 64)),
            ]
        )
        widths = (self.n_image_features + 64, 512, 256, 128)
        regressor_rates = (rates.dropout1, rates.dropout2, rates.dropout3)
        self.regressors = nn.ModuleList(
            nn.Sequential(*layers(widths, regressor_rates), nn.Linear(128, n_outputs)) for _ in self.experts
        )
        self.gate = nn.Linear(self.n_image_features + n, len(self.experts))

    def _locate(self, features_nc: Tensor, city_nm: Tensor) -> Tensor:
        positions = torch.stack(
            [
                regressor(_concatenate(features_nc, expert(city_nm)))
                for expert, regressor in zip(self.experts, self.regressors, strict=True)
            ],
            dim=1,
        )
        weights = self.gate(_concatenate(features_nc, city_nm)).softmax(dim=1)
        return torch.einsum("ne,neo->no", weights, positions)


_VERSIONS: Final[dict[str, Callable[[int, str, int, Dropouts], ResNetGPS]]] = {
    "v1": ResNetGPSV1,
    "v2": ResNetGPSV2,
    "v3": ResNetGPSV3,
    "v4": ResNetGPSV4,
}
VERSIONS: Final = tuple(_VERSIONS)
"""Names of the architectures."""


def build_resnetgps(
    version: str, n_city_features: int, backbone: str = "resnet50", n_outputs: int = 2, **dropouts: float
) -> ResNetGPS:
    """Build a ResNetGPS with random weights.

    Args:
        version: One of `VERSIONS`.
        n_city_features: Number of city features.
        backbone: timm architecture with a `layer4`; `"resnet50_v1"` is the ResNet50 of the original paper.
        n_outputs: Width of the last layer: 2 for a latitude and a longitude.
        dropouts: Rates by field of `Dropouts`.

    Raises:
        ValueError: If the version or backbone is unknown, a number is below one or a rate is outside [0, 1].
        TypeError: If a rate has an unknown name.
    """
    if version not in _VERSIONS:
        raise ValueError(f"`version` must be one of {', '.join(VERSIONS)}, got {version!r}")
    return _VERSIONS[version](n_city_features, backbone, n_outputs, Dropouts(**dropouts))


def _concatenate(image: Tensor, city: Tensor) -> Tensor:
    """Concatenate image and city features; a single image row is repeated for every city."""
    return torch.cat([image.expand(len(city), -1), city], dim=1)
