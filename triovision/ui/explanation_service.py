"""Explanations, their faithfulness and activations, by the models of this process or of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from triovision.errors import ExplanationError
from triovision.explanation_settings import ExplanationSettings
from triovision.results import Explanation, Photo
from triovision.ui.service import is_remote, run_model

if TYPE_CHECKING:
    from triovision.explain import ExplainableModel, Faithfulness, Method, StageActivations
    from triovision.explain.methods import Kind
    from triovision.explain.turns import OnStep
    from triovision.inference import GeoModel
    from triovision.serve.remote_model import RemoteModel

# Each function imports `explain` itself: it imports PyTorch, and the page appears before.


def _ignore(_fraction: float) -> None:
    """Progress callback that does nothing."""


def explanation_methods(model: GeoModel) -> tuple[str, ...]:
    """Names of the methods that explain a model, the default first."""
    if is_remote():
        return cast("RemoteModel", model).methods
    from triovision.explain import methods_for  # noqa: PLC0415 - see above

    return methods_for(cast("ExplainableModel", model))


def method_kind(method: str) -> Kind | None:
    """What a method reads; None for one of a server that this version does not know."""
    known = _known_method(method)
    return None if known is None else known.kind


def is_slow(method: str) -> bool:
    """Whether a method runs the network many times."""
    known = _known_method(method)
    return known is not None and not known.one_pass


def _known_method(name: str) -> Method | None:
    from triovision.explain import method_named  # noqa: PLC0415 - see above

    try:
        return method_named(name)
    except ExplanationError:
        return None


def estimated_ms(model: GeoModel, method: str, settings: ExplanationSettings | None) -> float | None:
    """Expected time of a slow method; None where nothing is known about it.

    A fast one is not worth it: the first estimate of a model takes longer than the explanation.
    """
    if is_remote() or not is_slow(method):
        return None
    from triovision.explain import estimate_ms  # noqa: PLC0415 - see above

    return estimate_ms(cast("ExplainableModel", model), method, settings)


def longest_ms() -> float:
    """Longest time of an explanation by a model of this process, after which it ends without a map."""
    from triovision.explain.turns import ExplanationLimits  # noqa: PLC0415 - see above

    return ExplanationLimits().total_s * 1000


def explain(
    model: GeoModel,
    photo: Photo,
    country: str,
    method: str | None = None,
    *,
    against: str | None = None,
    settings: ExplanationSettings | None = None,
    on_step: OnStep = _ignore,
) -> Explanation:
    """Explain a country with a shared model; see `explain_country`."""
    if is_remote():
        return cast("RemoteModel", model).explain(photo, country, method, against=against, settings=settings)
    from triovision.explain import explain_country  # noqa: PLC0415 - see above

    return run_model(
        model,
        lambda one: explain_country(
            cast("ExplainableModel", one), photo, country, method, against=against, settings=settings, on_step=on_step
        ),
    )


def measure_faithfulness(
    model: GeoModel, photo: Photo, explanation: Explanation, on_step: OnStep = _ignore
) -> Faithfulness:
    """Measure an explanation of a model of this process; see `triovision.explain.measure_faithfulness`."""
    from triovision.explain import measure_faithfulness as measure  # noqa: PLC0415 - see above

    return run_model(model, lambda one: measure(cast("ExplainableModel", one), photo, explanation, on_step=on_step))


def faithfulness_estimate_ms(model: GeoModel) -> float | None:
    """Expected time of `measure_faithfulness`; None where nothing is known about it."""
    from triovision.explain import estimate_faithfulness_ms  # noqa: PLC0415 - see above

    return estimate_faithfulness_ms(cast("ExplainableModel", model))


def network_activations(model: GeoModel, photo: Photo) -> tuple[StageActivations, ...]:
    """Return the activations of a model of this process; see `triovision.explain.network_activations`."""
    from triovision.explain import network_activations as activations  # noqa: PLC0415 - see above

    return run_model(model, lambda one: activations(cast("ExplainableModel", one), photo))
