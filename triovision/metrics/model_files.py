"""Reader of the JSON files of a model folder that belong to its weights, and the base of their schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from triovision.errors import Message, ModelError, faults

MAX_BYTES: Final = 1_000_000


class Record(BaseModel):
    """Base of the parts of such a file: no unknown fields, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelFile(Record):
    """Base of the content of such a file.

    Attributes:
        model: Id of the model.
        weights_sha256: Hash of its weights, as in the card; None for an ensemble.
    """

    model: Annotated[str, Field(max_length=200)]
    weights_sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")]


File = TypeVar("File", bound=ModelFile)


def read_model_file(
    kind: type[File], path: Path, model_id: str, weights_sha256: str | None, remedy: Message
) -> File | None:
    """Read a file of a model folder.

    Args:
        kind: Schema of the file.
        path: Path of the file.
        model_id: Id of the model's card.
        weights_sha256: Hash of the weights of its card.
        remedy: Remedy of the errors.

    Returns:
        The content; None if there is no such file.

    Raises:
        ModelError: If the file is unreadable, too large, not valid in this version, or of other weights.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ModelError(str(path), Message("cannot be read ({why})", why=exc.strerror), remedy) from exc
    if len(content) > MAX_BYTES:
        raise ModelError(str(path), Message("is larger than {size} MB", size=MAX_BYTES // 1_000_000), remedy)
    try:
        read = kind.model_validate_json(content)
    except ValidationError as exc:
        raise ModelError(
            str(path), Message("is not valid in this version ({faults})", faults=faults(exc)), remedy
        ) from exc
    if (read.model, read.weights_sha256) != (model_id, weights_sha256):
        raise ModelError(str(path), Message("was measured with other weights"), remedy)
    return read
