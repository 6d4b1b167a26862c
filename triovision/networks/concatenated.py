"""Several timm backbones side by side, with one linear layer on their concatenated features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Separator of the backbones in the name of an architecture.
SEPARATOR: Final = "+"


class ConcatenatedBackbones(nn.Module):
    """Country classifier on the features of several backbones.

    Every backbone sees the same picture, of any size and aspect. The average of its grid is scaled to length 1, so that
    no backbone outweighs the others.

    Attributes:
        backbones: Networks without their last layer.
        grid: Identity on the concatenated feature maps, the target layer of class activation maps.
        n_features: Number of inputs of the last layer.
        head: Last, linear layer.

    Args:
        architectures: Names of convolutional timm architectures with grids of the same stride.
        n_labels: Number of logits; 0 omits the last layer.
        backbone_args: Arguments of `timm.create_model`, the same for each backbone.
    """

    def __init__(self, architectures: Sequence[str], n_labels: int, **backbone_args: Any) -> None:  # noqa: ANN401 - timm's
        super().__init__()
        self.backbones = nn.ModuleList(
            timm.create_model(name, num_classes=0, **backbone_args) for name in architectures
        )
        self.grid = nn.Identity()
        self._widths = [int(cast(Any, backbone).num_features) for backbone in self.backbones]
        self.n_features = sum(self._widths)
        self.head = nn.Linear(self.n_features, n_labels) if n_labels else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """Return the last layer, under the name of timm's networks."""
        return self.head

    def forward_features(self, batch_nchw: Tensor) -> Tensor:
        """Return the concatenated feature maps of normalised photos, shape `(n, n_features, h, w)`."""
        maps = [cast(Any, backbone).forward_features(batch_nchw) for backbone in self.backbones]
        return cast(Tensor, self.grid(torch.cat(maps, dim=1)))

    def forward_head(self, maps_nchw: Tensor, *, pre_logits: bool = False) -> Tensor:
        """Return logits `(n, n_labels)`, or the inputs of the last layer: a unit vector of each backbone."""
        pooled = torch.split(maps_nchw.float().mean(dim=(2, 3)), self._widths, dim=1)
        features = torch.cat([F.normalize(part, dim=1) for part in pooled], dim=1)
        return features if pre_logits else cast(Tensor, self.head(features))

    def forward(self, batch_nchw: Tensor) -> Tensor:
        """Return country logits of normalised photos, shape `(n, n_labels)`."""
        return self.forward_head(self.forward_features(batch_nchw))
