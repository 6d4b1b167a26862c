"""Protocols of models that can be explained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from triovision.results import Photo


class Identified(Protocol):
    """The part of a model card that an explanation names."""

    @property
    def id(self) -> str:
        """Id of the model."""
        ...


class ExplainableModel(Protocol):
    """A model with one network.

    Attributes:
        target_layer: Dotted name of the layer for class activation maps; None for a network without a grid.
    """

    target_layer: str | None

    @property
    def card(self) -> Identified:
        """Card of the model."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """Countries in the order of the logits."""
        ...

    def private_network(self) -> AbstractContextManager[nn.Module]:
        """Lend a copy of the frozen network for hooks."""
        ...

    def preprocess(self, photos: Sequence[Photo]) -> Tensor:
        """Return photos as the network's `batch_nchw`, `float32`."""
        ...

    def seen_box(self, photo: Photo) -> tuple[float, float, float, float]:
        """Return the part of the photo that the network sees: `(left, top, right, bottom)` as fractions."""
        ...


@runtime_checkable
class AttendingModel(ExplainableModel, Protocol):
    """A model whose private network is an `AttendingNetwork`.

    Attributes:
        attention_layers: Dotted name of the layers with the attention.
    """

    attention_layers: str


@runtime_checkable
class CompositeModel(Protocol):
    """A model of several members, one of which explains all."""

    @property
    def members_by_weight(self) -> Sequence[ExplainableModel]:
        """Members in the order in which they are tried."""
        ...
