"""Errors of TrioVision, each with subject, reason and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class TrioVisionError(Exception):
    """Base class of all errors that this package raises on purpose.

    Args:
        subject: Name of the faulty thing: a file name, a model id, a field.
        reason: The fault, as a clause without a full stop.
        remedy: Advice to the reader, as a sentence without a full stop.
    """

    def __init__(self, subject: str, reason: str, remedy: str) -> None:
        super().__init__(subject, reason, remedy)
        self.subject = subject
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        """Return one sentence for the fault and one for the remedy."""
        return f"{self.subject}: {self.reason}. {self.remedy}."


class PhotoError(TrioVisionError):
    """The bytes are no usable photo; `subject` is the file name."""


class ModelError(TrioVisionError):
    """A model folder, card or weights file is missing, damaged or unknown."""


class ExplanationError(TrioVisionError):
    """An explanation is impossible: unknown method, layer or country."""


class ManifestError(TrioVisionError):
    """A table of photos is missing, unreadable or lacks a column."""


class RecipeError(TrioVisionError):
    """A training recipe is unreadable or holds an invalid value."""


class EvidenceError(TrioVisionError):
    """Evidence contradicts itself, or contradicts every place of a posterior."""


class MissingPackageError(TrioVisionError):
    """A package that an optional part of the project needs is not installed."""


def faults(error: ValidationError) -> str:
    """Return the first twenty faults of a pydantic error, each with its field, in one clause."""
    return "; ".join(f"`{'.'.join(map(str, fault['loc'])) or 'all'}`: {fault['msg']}" for fault in error.errors()[:20])
