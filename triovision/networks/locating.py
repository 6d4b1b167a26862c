"""A country classifier and a regressor of positions that look at a photo once, with the same eyes."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from triovision.networks.resnetgps import ResNetGPS


class LocatingClassifier(nn.Module):
    """Countries and positions of a photo from one pass through a ResNet.

    It is the country classifier to whoever calls it; `regressor.locate` takes the same features further.

    Attributes:
        regressor: See `ResNetGPS`; its backbone is that of the classifier.
        countries: The classifier's last layer.

    Args:
        regressor: As the attribute.
        n_labels: Number of countries.
    """

    def __init__(self, regressor: ResNetGPS, n_labels: int) -> None:
        super().__init__()
        self.regressor = regressor
        self.countries = nn.Linear(regressor.n_image_features, n_labels)

    def get_classifier(self) -> nn.Module:
        """The last layer, by the name that timm's networks have for it."""
        return self.countries

    def forward(self, batch_nchw: Tensor) -> Tensor:
        """Logits of the countries, shape `(n, n_labels)`, of normalised photos."""
        return cast(Tensor, self.countries(self.regressor.image_features(batch_nchw)))
