"""Architectures: country classifiers and ResNetGPS position regressors."""

from triovision.networks.lazy_compiler import compiler_on_demand

with compiler_on_demand():
    import timm  # noqa: F401 - before any other module imports it with the compiler

from triovision.networks.classifier import (
    PooledBackbone,
    build_classifier,
    build_registered_classifier,
    class_vectors,
    head_of,
    target_layer,
)
from triovision.networks.locating import LocatingClassifier
from triovision.networks.resnetgps import VERSIONS, ResNetGPS, build_resnetgps

__all__ = [
    "VERSIONS",
    "LocatingClassifier",
    "PooledBackbone",
    "ResNetGPS",
    "build_classifier",
    "build_registered_classifier",
    "build_resnetgps",
    "class_vectors",
    "head_of",
    "target_layer",
]
