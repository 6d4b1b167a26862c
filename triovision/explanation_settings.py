"""Settings of the explanation methods that run a network many times; a client without PyTorch has them too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from triovision.errors import ExplanationError

#: Least and greatest value of each setting; the greatest bound the time and memory that a caller can ask for.
BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "window": (0.02, 1.0),
    "stride": (0.02, 1.0),
    "segments": (2, 500),
    "samples": (4, 5000),
    "steps": (1, 1000),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationSettings:
    """Settings of perturbation and gradient methods; the others have none.

    Attributes:
        window: Side of the grey window of an occlusion, as a fraction of each side of the input.
        stride: Distance between two windows, as a fraction of each side; at most `window`, so that none is left out.
        segments: Number of superpixels of LIME and KernelSHAP, about.
        samples: Number of changed photos of LIME and KernelSHAP, at least two more than superpixels: each has a
            coefficient.
        steps: Points of the integral of integrated gradients; samples of GradientSHAP.
        seed: Seed of the samples of LIME, KernelSHAP and GradientSHAP.

    Raises:
        ExplanationError: If a value lies out of its bounds or two values contradict each other.
    """

    window: float = 0.2
    stride: float = 0.1
    segments: int = 50
    samples: int = 200
    steps: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that no method can work with."""
        for name, (least, most) in BOUNDS.items():
            if not least <= getattr(self, name) <= most:  # also NaN
                reason = f"is {getattr(self, name)}"
                raise ExplanationError(f"Setting {name}", reason, f"Choose a value between {least:g} and {most:g}")
        if self.stride > self.window:
            reason = f"is {self.stride:g}, more than the window of {self.window:g}"
            raise ExplanationError("Setting stride", reason, "Choose a stride that is no larger than the window")
        if self.samples < self.segments + 2:
            reason = f"is {self.samples}, too few for {self.segments} superpixels"
            raise ExplanationError("Setting samples", reason, f"Choose at least {self.segments + 2}")
