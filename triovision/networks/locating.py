"""Country classifier and position regressor on one shared backbone."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from triovision.networks.resnetgps import ResNetGPS


class LocatingClassifier(nn.Module):
    """A ResNetGPS with a linear layer for countries on its image features.

    The module itself is the country classifier; `regressor.locate` predicts positions from the same features.

    Attributes:
        regressor: Position regressor with the shared backbone.
        countries: Last layer of the classifier.

    Args:
        regressor: Position regressor.
        n_labels: Number of countries.
    """

    def __init__(self, regressor: ResNetGPS, n_labels: int) -> None:
        super().__init__()
        self.regressor = regressor
        self.countries = nn.Linear(regressor.n_image_features, n_labels)

    def get_classifier(self) -> nn.Module:
        """Return the last layer, under the name of timm's networks."""
        return self.countries

    def forward(self, batch_nchw: Tensor) -> Tensor:
        """Return country logits of normalised photos, shape `(n, n_labels)`."""
        return cast(Tensor, self.countries(self.regressor.image_features(batch_nchw)))
