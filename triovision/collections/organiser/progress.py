"""Options of an organiser's run, and what it has done so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from triovision.errors import CollectionError

if TYPE_CHECKING:
    from triovision.collections.organiser.plan import Plan

_MIN_TRIED: Final = 100  # before that, a failure rate says little


class FailureRateError(CollectionError):
    """Too many photos of a run failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of a run.

    Attributes:
        batch_size: Number of photos in one forward pass.
        retry: Whether refused photos are read again.
        max_failure_rate: Largest part of photos that fail, in [0, 1]; looked at after 100 photos.
        thumbnails: Whether to keep thumbnails, about 3 KB a photo.
    """

    batch_size: int = 32
    retry: bool = False
    max_failure_rate: float = 1.0
    thumbnails: bool = True


@dataclass(slots=True)
class Progress:
    """What a run has done so far.

    Attributes:
        done: Photos and archives of `plan.work` that were read.
        answered: Photos that were answered by this run.
        repeated: Files whose content had an answer or a refusal already.
        refused: Photos that were refused.
        unreadable: Files that could not be read.
        plan: What the walk found; None before its end.
    """

    done: int = 0
    answered: int = 0
    repeated: int = 0
    refused: int = 0
    unreadable: int = 0
    plan: Plan | None = None

    def check(self, max_failure_rate: float, folder: Path) -> None:
        """Compare the part of the photos tried that failed with the largest one that is allowed.

        Args:
            max_failure_rate: See `RunOptions`.
            folder: Folder of the collection, for the error.

        Raises:
            FailureRateError: If it is larger.
        """
        failed = self.refused + self.unreadable
        check_failure_rate(failed, failed + self.answered + self.repeated, max_failure_rate, str(folder))


def check_failure_rate(failed: int, tried: int, most: float, where: str) -> None:
    """Compare the part of photos that failed with the largest one that is allowed, once 100 were tried.

    Args:
        failed: Photos that failed.
        tried: Photos tried.
        most: Largest part that is allowed, in [0, 1].
        where: Folder or address of the answers, for the error.

    Raises:
        FailureRateError: If the part is larger.
    """
    if tried >= _MIN_TRIED and failed / tried > most:
        reason = f"{failed / tried:.0%} of {tried} photos failed, more than the {most:.0%} allowed"
        remedy = "Look at the failures, then run the same command again, which goes on from here"
        raise FailureRateError(where, reason, remedy)
