"""Methods that explain a model, with their kinds, and those that fit a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from triovision.errors import ExplanationError
from triovision.explain.model import AttendingModel, CompositeModel, ExplainableModel

Kind = Literal["class activation", "attention", "perturbation", "gradient"]


SCORE_CAM: Final = "Score-CAM"
"""The class activation map that runs the network once per channel of the layer."""


@dataclass(frozen=True, slots=True)
class Method:
    """A way of explaining a country.

    Attributes:
        name: Name for people, such as `"LayerCAM"`.
        kind: What it reads: activations of a layer, attention, outputs for changed photos, or gradients of pixels.
        signed: Whether its maps also show what lowers the score. A contrast of two countries is always signed.
    """

    name: str
    kind: Kind
    signed: bool

    @property
    def one_pass(self) -> bool:
        """Whether it runs the network once, with gradients; the other methods run it many times."""
        return self.kind in ("class activation", "attention") and self.name != SCORE_CAM


METHODS: Final = (
    Method("Grad-CAM", "class activation", signed=False),
    Method("LayerCAM", "class activation", signed=False),
    Method("Grad-CAM++", "class activation", signed=False),
    Method(SCORE_CAM, "class activation", signed=False),
    Method("Gradient-weighted attention", "attention", signed=False),
    Method("Occlusion", "perturbation", signed=True),
    Method("LIME", "perturbation", signed=True),
    Method("KernelSHAP", "perturbation", signed=True),
    Method("GradientSHAP", "gradient", signed=True),
    Method("Integrated gradients", "gradient", signed=True),
)
"""All methods. The first one that fits a model is its default."""

_BY_NAME: Final = {method.name: method for method in METHODS}


def method_named(name: str) -> Method:
    """Return a method by its name.

    Raises:
        ExplanationError: If there is none of this name.
    """
    if name not in _BY_NAME:
        raise ExplanationError(name, "is no method", f"Choose one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def methods_for(model: ExplainableModel | CompositeModel) -> tuple[str, ...]:
    """Return the names of the methods that fit a model, the default first.

    Class activation maps need a convolutional grid, attention maps a transformer that returns its attention.
    Perturbations and gradients of the pixels fit every network.
    """
    kinds = _kinds_for(explained_member(model))
    return tuple(method.name for method in METHODS if method.kind in kinds)


def explained_member(model: ExplainableModel | CompositeModel) -> ExplainableModel:
    """Return the model itself, or the member that explains a composite model.

    That is the first one with a class activation or attention map, or the first one if none has any.
    """
    if not isinstance(model, CompositeModel):
        return model
    members = model.members_by_weight
    return next((one for one in members if len(_kinds_for(one)) > len(_EVERY_NETWORK)), members[0])


_EVERY_NETWORK: Final[tuple[Kind, ...]] = ("perturbation", "gradient")


def _kinds_for(model: ExplainableModel) -> tuple[Kind, ...]:
    if isinstance(model, AttendingModel):
        return ("attention", *_EVERY_NETWORK)
    return _EVERY_NETWORK if model.target_layer is None else ("class activation", *_EVERY_NETWORK)
