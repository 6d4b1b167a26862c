"""Architectures only: country classifiers."""

from triovision.networks.classifier import build_classifier, class_vectors, head_of, last_grid

__all__ = ["build_classifier", "class_vectors", "head_of", "last_grid"]
