"""Model cards, weights, preprocessing, calibration and the predictor."""

from triovision.inference.card import ModelCard, read_card
from triovision.inference.engine import CountryEngine
from triovision.inference.model import GeoModel
from triovision.inference.registry import DEFAULT_MODEL, list_models, load_model

__all__ = ["DEFAULT_MODEL", "CountryEngine", "GeoModel", "ModelCard", "list_models", "load_model", "read_card"]
