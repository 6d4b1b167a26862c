"""Architectures only: country classifiers and regressors of a position."""

from triovision.networks.classifier import build_classifier, class_vectors, head_of, target_layer
from triovision.networks.locating import LocatingClassifier
from triovision.networks.resnetgps import VERSIONS, ResNetGPS, build_resnetgps

__all__ = [
    "VERSIONS",
    "LocatingClassifier",
    "ResNetGPS",
    "build_classifier",
    "build_resnetgps",
    "class_vectors",
    "head_of",
    "target_layer",
]
