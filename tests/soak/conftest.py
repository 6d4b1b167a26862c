"""Length of the experiments: a short form in the ordinary tests, the long one by `make soak`."""

from __future__ import annotations

import os

import pytest

from tests.train.conftest import colours

__all__ = ["colours"]


@pytest.fixture(scope="session")
def long_form() -> bool:
    """Whether `make soak` runs."""
    return os.environ.get("TRIOVISION_SOAK") == "1"
