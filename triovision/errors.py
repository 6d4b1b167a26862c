"""Errors of the package, each with a subject, a reason and a remedy, and the messages that a page can translate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pydantic import ValidationError


class Message(str):
    """English text that keeps its id and parameters, so that a page can show it in another language.

    It is the formatted text wherever a string is expected. `make i18n-extract` collects the ids.

    Attributes:
        id: English text with `{name}` placeholders, the msgid of the catalogues.
        params: Values of the placeholders; a value may be a `Message` too.

    Args:
        id: English text with `{name}` placeholders.
        params: Values of the placeholders.
    """

    id: str
    params: dict[str, object]

    def __new__(cls, id: str, /, **params: object) -> Self:  # noqa: A002 - gettext's own name
        """Format the text."""
        self = super().__new__(cls, id.format(**params))
        self.id, self.params = id, params
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        """Arguments for unpickling in another process."""
        return (self.id,), self.params


class TrioVisionError(Exception):
    """Base class of all errors that this package raises on purpose.

    Args:
        subject: Name of the faulty thing: a file name, a model id, a field.
        reason: The fault, as a clause without a full stop; a `Message` where a page may show it.
        remedy: Advice to the reader, as a sentence without a full stop; a `Message` where a page may show it.
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


class ModelFailure(ModelError):  # noqa: N818 - an error is the base; this names what happened
    """A model failed while it was loaded or ran, whatever its files hold: no memory, a lost device, outputs of NaN."""


class ExplanationError(TrioVisionError):
    """An explanation is impossible: unknown method, layer or country."""


class ManifestError(TrioVisionError):
    """A table of photos is missing, unreadable or lacks a column."""


class RecipeError(TrioVisionError):
    """A training recipe is unreadable or holds an invalid value."""


class EvidenceError(TrioVisionError):
    """Evidence contradicts itself, or contradicts every place of a posterior."""


class CollectionError(TrioVisionError):
    """A photo or a GPX track cannot be used for what a collection is asked to do; `subject` is the file name."""


class ReportError(TrioVisionError):
    """The report of a photo cannot be written."""


class ServerError(TrioVisionError):
    """A server of predictions is away, or refuses a request."""


class BusyError(ServerError):
    """A service has no room for more work, or is ending.

    Args:
        subject: As in the base class.
        reason: As in the base class.
        remedy: As in the base class.
        retry_after_s: Seconds after which another try makes sense.
    """

    def __init__(self, subject: str, reason: str, remedy: str, retry_after_s: int = 1) -> None:
        super().__init__(subject, reason, remedy)
        self.retry_after_s = retry_after_s


class MissingPackageError(TrioVisionError):
    """A package that an optional part of the project needs is not installed."""


def faults(error: ValidationError) -> str:
    """Return the first twenty faults of a pydantic error, each with its field, in one clause."""
    return "; ".join(f"`{'.'.join(map(str, fault['loc'])) or 'all'}`: {fault['msg']}" for fault in error.errors()[:20])
