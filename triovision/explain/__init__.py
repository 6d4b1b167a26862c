"""Explanations: class activation maps and attention maps of a country."""

from triovision.explain.cam import METHODS
from triovision.explain.country import explain_country, methods_for
from triovision.explain.model import AttendingModel, ExplainableModel

__all__ = ["METHODS", "AttendingModel", "ExplainableModel", "explain_country", "methods_for"]
