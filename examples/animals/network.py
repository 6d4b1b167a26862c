"""Baseline CNN of the study: one convolution, pooling, one dense layer; registered with timm."""

from __future__ import annotations

from timm.layers import get_act_layer  # type: ignore[attr-defined] # public, but not in its __all__
from timm.models import register_model
from torch import Tensor, nn

#: Side of the pooled grid: half that of photos of 64 pixels. Photos of another size give the same number of features.
GRID = 32


class BaselineCNN(nn.Module):
    """Classifier with one convolutional layer.

    Attributes:
        conv: Convolution of 3 x 3 pixels.
        act: Activation.
        pool: Maximum over the cells of a grid of 32 x 32.
        drop: Dropout before the last layer.
        classifier: Dense layer on the whole pooled grid.

    Args:
        num_classes: Number of logits; 0 leaves the dense layer out.
        filters: Filters of the convolution.
        act_layer: timm's name of the activation, such as `relu`, `elu` or `tanh`.
        drop_rate: Dropout.
    """

    def __init__(self, num_classes: int, filters: int, act_layer: str, drop_rate: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, filters, kernel_size=3, padding=1)
        self.act: nn.Module = get_act_layer(act_layer)()
        self.pool = nn.AdaptiveMaxPool2d(GRID)
        self.drop = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(filters * GRID**2, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """Return the last layer, as timm's networks do."""
        return self.classifier

    def forward(self, batch_nchw: Tensor) -> Tensor:
        """Return logits of normalised photos, shape `(n, num_classes)`."""
        features = self.drop(self.pool(self.act(self.conv(batch_nchw))).flatten(1))
        logits: Tensor = self.classifier(features)
        return logits


@register_model
def baseline_cnn(
    *, num_classes: int = 2, filters: int = 32, act_layer: str = "relu", drop_rate: float = 0.0, **_: object
) -> BaselineCNN:
    """Build the baseline. timm also passes the names of trained weights, of which there are none."""
    return BaselineCNN(num_classes, filters, act_layer, drop_rate)
