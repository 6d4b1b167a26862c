"""Every error that a caller may meet. Each one names the thing, says what was wrong and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class TrioVisionError(Exception):
    """Base of all errors raised on purpose by this package.

    Args:
        subject: The thing that is wrong: a file name, a model id, a field.
        reason: What is wrong with it, as a clause without a full stop.
        remedy: What the reader can do about it, as a sentence without a full stop.
    """

    def __init__(self, subject: str, reason: str, remedy: str) -> None:
        super().__init__(subject, reason, remedy)
        self.subject = subject
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        """One sentence for the fault, one for the remedy."""
        return f"{self.subject}: {self.reason}. {self.remedy}."


class PhotoError(TrioVisionError):
    """The bytes are not a photo that can be used; `subject` is the file name."""


class ModelError(TrioVisionError):
    """A model folder, card or weights file is missing, damaged or unknown."""


class ExplanationError(TrioVisionError):
    """The asked-for explanation cannot be made: unknown method, layer or country."""


class ManifestError(TrioVisionError):
    """A table of photos is missing, unreadable or lacks a column."""


class RecipeError(TrioVisionError):
    """A training recipe is unreadable or holds a value that makes no sense."""


class EvidenceError(TrioVisionError):
    """What a person says of a photo's place makes no sense, or leaves nothing of the answer."""


class MissingPackageError(TrioVisionError):
    """A package that an optional part of the project needs is not installed."""


def faults(error: ValidationError) -> str:
    """The first twenty faults that pydantic found, each with its field, in one clause."""
    return "; ".join(f"`{'.'.join(map(str, fault['loc'])) or 'all'}`: {fault['msg']}" for fault in error.errors()[:20])
