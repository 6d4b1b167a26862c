"""What an engine must offer to have its answers explained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from triovision.results import Photo


class Identified(Protocol):
    """The part of a model card that an explanation quotes."""

    @property
    def id(self) -> str:
        """Id of the model."""
        ...


class ExplainableModel(Protocol):
    """An engine with a network inside.

    Attributes:
        target_layer: Dotted name of the layer whose grid is read; None where the network has none.
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
        """A copy of the frozen network that may carry hooks, for one user at a time."""
        ...

    def preprocess(self, photos: Sequence[Photo]) -> Tensor:
        """Photos as the network's `batch_nchw`, `float32`."""
        ...

    def seen_box(self, photo: Photo) -> tuple[float, float, float, float]:
        """Part of the photo that the network sees: `(left, top, right, bottom)` as fractions."""
        ...


@runtime_checkable
class AttendingModel(ExplainableModel, Protocol):
    """An engine whose private network is an `AttendingNetwork`.

    Attributes:
        attention_layers: Dotted name of the layers whose attention is read.
    """

    attention_layers: str


@runtime_checkable
class CompositeModel(Protocol):
    """An engine of several models, one of which gives the reasons for all."""

    @property
    def members_by_weight(self) -> Sequence[ExplainableModel]:
        """The models, the one to ask first."""
        ...
