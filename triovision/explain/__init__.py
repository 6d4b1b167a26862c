"""Which parts of a photo spoke for a country."""

from triovision.explain.cam import METHODS, explain_country
from triovision.explain.model import ExplainableModel

__all__ = ["METHODS", "ExplainableModel", "explain_country"]
