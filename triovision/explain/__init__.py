"""Explanations: maps of a country or of one against another, their faithfulness, activations inside a network."""

from triovision.explain.activations import (
    StageActivations,
    layer_activations,
    network_activations,
    strongest_channels,
)
from triovision.explain.country import explain_country
from triovision.explain.estimates import estimate_ms
from triovision.explain.faithfulness import Faithfulness, estimate_faithfulness_ms, measure_faithfulness
from triovision.explain.methods import METHODS, Method, method_named, methods_for
from triovision.explain.model import AttendingModel, ExplainableModel
from triovision.explanation_settings import ExplanationSettings

__all__ = [
    "METHODS",
    "AttendingModel",
    "ExplainableModel",
    "ExplanationSettings",
    "Faithfulness",
    "Method",
    "StageActivations",
    "estimate_faithfulness_ms",
    "estimate_ms",
    "explain_country",
    "layer_activations",
    "measure_faithfulness",
    "method_named",
    "methods_for",
    "network_activations",
    "strongest_channels",
]
