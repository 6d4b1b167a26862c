"""Table of a collection, one row per photo, and its CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from triovision.collections.entries import CollectionEntry
from triovision.geo import distance_km
from triovision.geo.reverse import country_at
from triovision.languages import ENGLISH, Translator
from triovision.photo.names import clean_text, spreadsheet_safe
from triovision.prediction_texts import area_title

#: Columns of `to_frame`, each with its type.
COLUMNS: Final = {
    "name": "string",
    "taken_at": "string",
    "country": "string",
    "area_kind": "string",
    "area_title": "string",
    "landmark": "string",
    "lat_deg": "float64",
    "lon_deg": "float64",
    "radius_km": "float64",
    "radius_90_km": "float64",
    "probability": "float64",
    "abstained": "bool",
    "calibrated": "bool",
    "position_origin": "string",
    "camera_lat_deg": "float64",
    "camera_lon_deg": "float64",
    "distance_camera_km": "float64",
    "model": "string",
}
_MAX_NAME = 500


def to_frame(entries: Sequence[CollectionEntry], t: Translator = ENGLISH) -> pd.DataFrame:
    """Make the table that all exports share.

    A corrected position replaces the model's answer: the area, landmark, probability and radii of its row are missing,
    `country` is that of the position, and `abstained` is false. `calibrated` and `model` always speak of the model.

    Args:
        entries: Photos of a collection.
        t: Language of `area_title`.

    Returns:
        One row per photo in the order of `entries`, with the columns of `COLUMNS`. `taken_at` is ISO 8601, without an
        offset where the camera gave none. Degrees are WGS 84 with six decimals, `probability` is `certainty`.
    """
    rows = [table_row(entry, t) for entry in entries]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def to_csv(entries: Sequence[CollectionEntry], t: Translator = ENGLISH) -> bytes:
    """Write the table as CSV, separated by commas.

    It is UTF-8 with a byte order mark: without one Excel reads the file in the code page of the computer, and "Córdoba"
    becomes "CÃ³rdoba". `spreadsheet_safe` guards its texts.

    Args:
        entries: Photos of a collection.
        t: Language of `area_title`.
    """
    text: str = to_frame(entries, t).map(spreadsheet_safe).to_csv(index=False, lineterminator="\r\n")
    return text.encode("utf-8-sig")


def is_unsure(entry: CollectionEntry) -> bool:
    """Whether the model abstained and nobody corrected the position."""
    return entry.corrected is None and entry.answer.abstained


def certainty(entry: CollectionEntry) -> float | None:
    """Probability of the landmark, or else of the most probable country; None for a corrected position.

    It is a probability only if the model is calibrated.
    """
    if entry.corrected is not None:
        return None
    landmark = entry.answer.landmark
    return landmark.probability if landmark is not None else entry.answer.countries[0].probability


def country_of(entry: CollectionEntry) -> str | None:
    """ISO 3166-1 alpha-2 code of the position: corrected, of the landmark, or else the most probable country.

    Returns:
        None for a corrected position on the high seas.
    """
    if entry.corrected is not None:
        return country_at(entry.corrected.lat_deg, entry.corrected.lon_deg)
    landmark = entry.answer.landmark
    if landmark is not None and landmark.country:
        return landmark.country
    return entry.answer.countries[0].country


def table_row(entry: CollectionEntry, t: Translator = ENGLISH) -> dict[str, Any]:
    """Row of a photo in `to_frame`, without the columns that have no value.

    Args:
        entry: The photo.
        t: Language of `area_title`.
    """
    answer, camera = entry.answer, entry.camera
    lat_deg, lon_deg = entry.position
    distance = None if camera.position is None else distance_km(lat_deg, lon_deg, *camera.position)
    row = {
        "name": clean_text(entry.name, _MAX_NAME),
        "taken_at": None if camera.taken_at is None else camera.taken_at.isoformat(),
        "country": country_of(entry),
        "lat_deg": round(lat_deg, 6),
        "lon_deg": round(lon_deg, 6),
        "abstained": is_unsure(entry),
        "calibrated": answer.calibrated,
        "position_origin": entry.position_origin,
        "camera_lat_deg": camera.lat_deg,
        "camera_lon_deg": camera.lon_deg,
        "distance_camera_km": None if distance is None else round(float(distance), 3),
        "model": answer.model,
    }
    probability = certainty(entry)
    if probability is None:
        return row
    return row | {
        "area_kind": answer.area.kind,
        "area_title": area_title(answer.area, t),
        "landmark": None if answer.landmark is None else answer.landmark.name,
        "radius_km": round(answer.radius_km, 3),
        "radius_90_km": round(answer.radius_90_km, 3),
        "probability": round(probability, 6),
    }
