"""Network of the study: two crops and two boxes to the similarity of their pair with each relation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from examples.relations.geometry import RELATIONS, SPATIAL_SIZE
from examples.relations.recipe import NetworkSection


class RelationHead(nn.Module):
    """The trained layers: cosine of the embedding of a pair with a learnt embedding of each relation, as logits.

    The study gives the layers of the visual projection, the size of the spatial encoder (about 73,000 parameters) and
    that of all trained layers (4.77 million). One hidden layer of 512 gives the first; what is left for the fusion is
    0.37 million, which a hidden layer of 960 gives.

    Args:
        n_features: Features of one crop; 2048 of a ResNet-50.
        section: Section `network` of the recipe.
    """

    def __init__(self, n_features: int, section: NetworkSection) -> None:
        super().__init__()
        self.section = section
        size = section.embedding
        self.visual = nn.Sequential(
            *(nn.Linear(2 * n_features, 1024), nn.ReLU(), nn.Dropout(section.dropout1)),
            *(nn.Linear(1024, size), nn.ReLU(), nn.Dropout(section.dropout2)),
        )
        self.spatial = nn.Sequential(nn.Linear(SPATIAL_SIZE, 512), nn.ReLU(), nn.Linear(512, size), nn.ReLU())
        self.fusion = nn.Sequential(nn.Linear(2 * size, 960), nn.ReLU(), nn.Linear(960, size))
        self.relations = nn.Parameter(torch.randn(len(RELATIONS), size))

    def forward(self, features: Tensor, spatial: Tensor) -> Tensor:
        """Logits of the relations, `(n, 10)`.

        Args:
            features: Features of the subject and of the object, `(n, 2, n_features)`.
            spatial: See `spatial_vectors`, `(n, 13)`.
        """
        visual, position = self.visual(features.flatten(1)), self.spatial(spatial)
        # A branch that the recipe leaves out keeps its place, so that all recipes have the same layers.
        if self.section.branches == "spatial":
            visual = torch.zeros_like(visual)
        if self.section.branches == "visual":
            position = torch.zeros_like(position)
        pair = F.normalize(self.fusion(torch.cat([visual, position], dim=1)), dim=1)
        return pair @ F.normalize(self.relations, dim=1).T / self.section.temperature


class RelationNetwork(nn.Module):
    """Frozen backbone and trained head: answers from pictures, not from cached features.

    Args:
        backbone: Network from `batch_nchw` to features `(n, n_features)`; frozen here, and always in evaluation mode.
        head: Trained layers.
    """

    def __init__(self, backbone: nn.Module, head: RelationHead) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.head = head
        self.train(self.training)

    def train(self, mode: bool = True) -> RelationNetwork:
        """Set the mode of the head; the backbone keeps its statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, crops: Tensor, spatial: Tensor) -> Tensor:
        """Logits of the relations, `(n, 10)`.

        Args:
            crops: Normalised crops of the subjects and the objects, `(n, 2, 3, h, w)`.
            spatial: See `spatial_vectors`, `(n, 13)`.
        """
        features: Tensor = self.backbone(crops.flatten(0, 1))
        logits: Tensor = self.head(features.view(-1, 2, features.shape[1]), spatial)
        return logits
