"""Files of a model, compared with the SHA-256 in its card."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from triovision.errors import Message, ModelError
from triovision.inference.card import CARD, RESTORE, WEIGHTS, Member, ModelCard, read_card, sha256

REFIT: Final = "Restore the missing or changed member, or fit the ensemble again with `triovision train ensemble`"


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file and the hash that its card names.

    Attributes:
        path: The file.
        sha256: Hash in the card.
        remedy: Remedy for a missing or changed file, a sentence without a full stop.
    """

    path: Path
    sha256: str
    remedy: str

    def fault(self) -> ModelError | None:
        """Read the file to its last byte and return the error to raise; None for a whole file."""
        try:
            return self._compare(sha256(self.path))
        except OSError as exc:
            return self._unreadable(exc)

    def read(self) -> bytes:
        """Return the checked content.

        Raises:
            ModelError: If the file is missing or has another hash.
        """
        try:
            content = self.path.read_bytes()
        except OSError as exc:
            raise self._unreadable(exc) from exc
        if (fault := self._compare(hashlib.sha256(content).hexdigest())) is not None:
            raise fault
        return content

    def _compare(self, found: str) -> ModelError | None:
        if found == self.sha256:
            return None
        shortened = {"found": f"{found[:12]}…", "expected": f"{self.sha256[:12]}…"}
        return ModelError(
            str(self.path), Message("has SHA-256 {found}, but the card has {expected}", **shortened), self.remedy
        )

    def _unreadable(self, exc: OSError) -> ModelError:
        return ModelError(str(self.path), Message("cannot be read ({why})", why=exc.strerror), self.remedy)


def weights_file(folder: Path, card: ModelCard) -> HashedFile:
    """Return the weights of a model with a network of its own.

    Raises:
        ModelError: If the card names no weights.
    """
    return HashedFile(folder / WEIGHTS, card.network_weights_sha256, RESTORE)


def check_files(files: Iterable[HashedFile]) -> None:
    """Check files and stop at the first fault.

    Raises:
        ModelError: If a file is missing or has another hash than the card names.
    """
    for file in files:
        if (fault := file.fault()) is not None:
            raise fault


def member_folder(folder: Path, member: Member, model_folders: Mapping[str, Path]) -> Path:
    """Return the folder of an ensemble's member.

    Args:
        folder: The ensemble's folder.
        member: Member as the ensemble's card names it.
        model_folders: Folders of the models on this machine, by id.

    Raises:
        ModelError: If the member is missing, has other weights than those the ensemble was fitted with, or is an
            ensemble itself.
    """
    path = folder / CARD
    if member.id not in model_folders:
        raise ModelError(str(path), f"has the member {member.id}, which is not installed", REFIT)
    card = read_card(model_folders[member.id], member.id)
    if card.ensemble is not None:
        raise ModelError(str(path), f"has the member {member.id}, which is an ensemble itself", REFIT)
    if card.weights_sha256 != member.weights_sha256:
        fitted = f"was fitted with {member.id} of SHA-256 {member.weights_sha256[:12]}…"
        found = f"{model_folders[member.id]} holds {str(card.weights_sha256)[:12]}…"
        raise ModelError(str(path), f"{fitted}, and {found}", REFIT)
    return model_folders[member.id]
