"""Landmarks that a person added to a model's index, kept in the user's cache."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from triovision.errors import Message, ModelError, PhotoError
from triovision.files import atomic_write, cache_folder
from triovision.geo import country_name
from triovision.geo.reverse import country_at
from triovision.inference.batch import load_photo_file
from triovision.inference.card import ModelCard
from triovision.inference.landmarks import Landmark, LandmarkIndex, build_index, read_index
from triovision.photo import decoder_pool
from triovision.results import Photo

if TYPE_CHECKING:
    from triovision.inference.landmark_engine import LandmarkEngine

#: Table of positions in a folder of landmarks.
POSITIONS: Final = "places.csv"
_AHEAD: Final = 32  # photos decoded in parallel
_CLEAR: Final = Message("Run `triovision models index clear`, then add your landmarks again")


@dataclass(slots=True)
class AddedLandmarks:
    """Result of adding a folder.

    Attributes:
        photos: Number of photos added, by name of the landmark.
        skipped: What was left out, with reasons.
    """

    photos: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def additions_file(model_id: str) -> Path:
    """Return the file of a model's added landmarks, which may not exist."""
    return cache_folder() / "landmarks" / f"{model_id}.safetensors"


def with_additions(index: LandmarkIndex, card: ModelCard) -> LandmarkIndex:
    """Return a model's index with the landmarks that were added to it.

    Raises:
        ModelError: If the file of additions is damaged or was made for another index.
    """
    added = read_additions(index, card.id)
    if added is None:
        return index
    return index.with_photos(added.vectors, added.landmark_of_photo)


def read_additions(index: LandmarkIndex, model_id: str) -> LandmarkIndex | None:
    """Read the landmarks that were added to a model; None if there are none.

    Raises:
        ModelError: As for `with_additions`.
    """
    path = additions_file(model_id)
    if not path.exists():
        return None
    added = read_index(path.read_bytes(), str(path))
    if not np.array_equal(added.projection, index.projection):
        raise ModelError(str(path), Message("holds landmarks for another version of the model"), _CLEAR)
    return added


def add_landmarks(engine: LandmarkEngine, folder: Path) -> AddedLandmarks:
    """Add landmarks to the index of a model, without training; the model answers with them when it is loaded again.

    Args:
        engine: Loaded model.
        folder: One subfolder of photos for each landmark, named as the landmark. Its position comes from the file
            `places.csv` (columns `name`, `lat`, `lon`), or from the GPS positions in its photos.

    Returns:
        Photos added, and what was left out.

    Raises:
        ModelError: If the folder or its table cannot be read, or the file of additions is damaged.
    """
    positions, result = _read_positions(folder), AddedLandmarks()
    vectors, landmarks = [], []
    for subfolder in sorted(path for path in _children(folder) if path.is_dir()):
        photos = _readable(sorted(_children(subfolder)), result)
        try:
            landmark = _landmark(subfolder.name, photos, positions, engine.labels)
        except ValueError as exc:
            result.skipped.append(f"{subfolder.name}: {exc}")
            continue
        vectors.append(engine.index.embed(engine.features(photos)))
        landmarks += [landmark] * len(photos)
        result.photos[landmark.name] = len(photos)
    if landmarks:
        added = build_index(engine.index.projection, np.concatenate(vectors), landmarks)
        earlier = read_additions(engine.index, engine.card.id)
        if earlier is not None:
            added = earlier.with_photos(added.vectors, added.landmark_of_photo)
        atomic_write(additions_file(engine.card.id), added.to_bytes())
    return result


def _landmark(
    name: str, photos: list[Photo], positions: Mapping[str, tuple[float, float]], labels: Iterable[str]
) -> Landmark:
    """Build the landmark of a subfolder; ValueError says why it cannot be one."""
    if not photos:
        raise ValueError("no readable photo")
    measured = [photo.camera.position for photo in photos if photo.camera.position is not None]
    if name not in positions and not measured:
        raise ValueError(f"no position; add a row to {POSITIONS}, or photos with a GPS position")
    lat_deg, lon_deg = positions.get(name) or np.median(measured, axis=0).tolist()
    country = country_at(lat_deg, lon_deg)
    if country is None or country not in labels:
        where = "on the high seas" if country is None else f"in {country_name(country)}, which the model does not know"
        raise ValueError(f"its position is {where}")
    return Landmark(name=name, country=country, lat_deg=lat_deg, lon_deg=lon_deg)


def _readable(paths: Iterable[Path], result: AddedLandmarks) -> list[Photo]:
    photos = []
    for _, outcome in decoder_pool().read_many(paths, load_photo_file, _AHEAD):
        if isinstance(outcome, PhotoError):
            result.skipped.append(str(outcome))
        else:
            photos.append(outcome)
    return photos


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as exc:
        reason = Message("cannot be read ({why})", why=exc.strerror)
        raise ModelError(str(folder), reason, Message("Give a folder with one subfolder for each landmark")) from exc


def _read_positions(folder: Path) -> dict[str, tuple[float, float]]:
    path = folder / POSITIONS
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(row["name"], float(row["lat"]), float(row["lon"])) for row in csv.DictReader(file)]
        if outside := [name for name, lat, lon in rows if not (abs(lat) <= 90 and abs(lon) <= 180)]:
            raise ValueError(f"positions outside the Earth: {', '.join(outside)}")
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as exc:
        reason = Message("cannot be read as a table of places ({why})", why=str(exc))
        raise ModelError(str(path), reason, Message("Give a CSV file with the columns name, lat, lon")) from exc
    return {name: (lat, lon) for name, lat, lon in rows}
