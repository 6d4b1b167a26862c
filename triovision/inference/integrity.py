"""Whether a model's files are those that its card names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from triovision.errors import ModelError
from triovision.inference.card import RESTORE, WEIGHTS, Member, ModelCard, read_card, sha256
from triovision.inference.ensemble import member_folder
from triovision.inference.geoclip import release

REINSTALL = "Install the model anew with `triovision models install geoclip`"


def faults(folder: Path, card: ModelCard) -> Iterator[ModelError]:
    """What is wrong with each file of a model, read to its last byte; nothing for a model that is whole.

    An ensemble has the files of its members.

    Args:
        folder: The model's folder.
        card: Its card.
    """
    if card.ensemble is not None:
        for member in card.ensemble.members:
            yield from _member_faults(folder, member)
        return
    try:
        for path, expected, remedy in _expected(folder, card):
            if (fault := _fault(path, expected, remedy)) is not None:
                yield fault
    except ModelError as exc:  # its files are not known, or a package is missing
        yield exc


def check(folder: Path, card: ModelCard) -> None:
    """Raise the first of the `faults`.

    Raises:
        ModelError: If a file is missing or is not the one that the card names.
    """
    for fault in faults(folder, card):
        raise fault


def _member_faults(folder: Path, member: Member) -> Iterator[ModelError]:
    from triovision.inference.registry import found_models  # noqa: PLC0415 - it imports the engines, and they this

    try:
        where = member_folder(folder, member, found_models())
        yield from faults(where, read_card(where))
    except ModelError as exc:
        yield exc


def _fault(path: Path, expected: str, remedy: str) -> ModelError | None:
    try:
        found = sha256(path)
    except OSError as exc:
        return ModelError(str(path), f"cannot be read ({exc.strerror})", remedy)
    if found != expected:
        return ModelError(str(path), f"has SHA-256 {found[:12]}…, the card says {expected[:12]}…", remedy)
    return None


def _expected(folder: Path, card: ModelCard) -> Iterator[tuple[Path, str, str]]:
    """Path, hash and remedy of each file."""
    if card.architecture != release.ARCHITECTURE:
        if card.weights_sha256 is not None:
            yield folder / WEIGHTS, card.weights_sha256, RESTORE
        return
    named = release.release_of(card)
    for file in named.files:
        yield folder / file.name, file.sha256, REINSTALL
    package = release.package_folder()
    for name, expected in named.package_files.items():
        yield package / name, expected, release.EXTRA
