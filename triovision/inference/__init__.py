"""Model cards, engines and predictions."""

from triovision.inference.card import ModelCard, read_card
from triovision.inference.country_classifier import CountryEngine
from triovision.inference.model import GeoModel
from triovision.inference.registry import EMBEDDED_MODEL, default_model, list_models, load_default, load_model

__all__ = [
    "EMBEDDED_MODEL",
    "CountryEngine",
    "GeoModel",
    "ModelCard",
    "default_model",
    "list_models",
    "load_default",
    "load_model",
    "read_card",
]
