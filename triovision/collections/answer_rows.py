"""Rows of answers, flat for tables and files, and the entries that are made from them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from triovision.collections.entries import CollectionEntry
from triovision.collections.tables import COLUMNS, table_row
from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import CameraFacts, Prediction

_MAX_PLACES: Final = 5
_ARROW: Final = {"string": pa.string(), "float64": pa.float64(), "bool": pa.bool_()}

#: Columns of an answer. Those of `tables.COLUMNS` mean the same here; `content` is the SHA-256 of the file and
#: `model_sha256` that of all that the answers of the model depend on, both in hexadecimal; `prediction` is JSON.
ANSWER_SCHEMA: Final = pa.schema(
    [
        ("content", pa.string()),
        ("model_sha256", pa.string()),
        *((name, _ARROW[kind]) for name, kind in COLUMNS.items() if name != "name"),
        ("camera", pa.string()),
        ("software", pa.string()),
        ("prediction", pa.string()),
        ("thumbnail", pa.binary()),
    ]
)


def answer_row(entry: CollectionEntry, model_sha256: str, *, thumbnail: bool = True) -> dict[str, Any]:
    """Make the row of an answer, with the columns of `ANSWER_SCHEMA`.

    Args:
        entry: The answered photo.
        model_sha256: See `ANSWER_SCHEMA`.
        thumbnail: Whether the row holds the thumbnail.
    """
    prediction = entry.answer.to_dict()
    del prediction["photo"]
    prediction["places"] = prediction["places"][:_MAX_PLACES]
    row = dict.fromkeys(ANSWER_SCHEMA.names) | {
        **table_row(entry),
        "content": entry.key,
        "model_sha256": model_sha256,
        "camera": entry.camera.camera,
        "software": entry.camera.software,
        "prediction": json.dumps(prediction, ensure_ascii=False),
        "thumbnail": entry.thumbnail_jpeg if thumbnail else None,
    }
    del row["name"]
    return row


def entry_from_row(row: Mapping[str, Any], name: str, posterior: WeightedPlaces | None = None) -> CollectionEntry:
    """Make the entry of a photo from the row of its answer.

    Args:
        row: Columns of `ANSWER_SCHEMA`.
        name: Name or path of the photo.
        posterior: Its places; without them, the few most probable ones that the row holds stand for all.
    """
    taken_at = row["taken_at"]
    camera = CameraFacts(
        taken_at=None if taken_at is None else datetime.fromisoformat(taken_at),
        camera=row["camera"],
        software=row["software"],
        lat_deg=row["camera_lat_deg"],
        lon_deg=row["camera_lon_deg"],
    )
    prediction = _prediction(json.loads(row["prediction"]), name, posterior)
    return CollectionEntry(
        key=row["content"],
        name=name,
        prediction=prediction,
        fused=prediction if row["position_origin"] == "fused" else None,
        camera=camera,
        thumbnail_jpeg=row["thumbnail"] or b"",
    )


def _prediction(value: dict[str, Any], name: str, posterior: WeightedPlaces | None) -> Prediction:
    """Prediction from the JSON of a row; its evidence is always None."""
    place = dict(value["place"])
    radius_km, radius_90_km = place.pop("radius_km"), place.pop("radius_90_km")
    places = tuple(PlaceGuess(**one) for one in value["places"])
    area = {field: "" if content is None else content for field, content in value["area"].items()}
    return Prediction(
        photo=name,
        model=value["model"],
        countries=tuple(CountryGuess(**one) for one in value["countries"]),
        country_set=tuple(value["country_set"]),
        place=PlaceGuess(**place),
        radius_km=radius_km,
        radius_90_km=radius_90_km,
        places=places,
        posterior=posterior or _rough_posterior(places),
        area=Area(**area | {"radius_km": value["area"]["radius_km"]}),
        landmark=None if value["landmark"] is None else PlaceGuess(**value["landmark"]),
        abstained=value["abstained"],
        calibrated=value["calibrated"],
        elapsed_ms=value["elapsed_ms"],
        device=value["device"],
        precision=value["precision"],
    )


def _rough_posterior(places: tuple[PlaceGuess, ...]) -> WeightedPlaces:
    weight = np.array([place.probability for place in places])
    return WeightedPlaces(
        lat_deg=np.array([place.lat_deg for place in places]),
        lon_deg=np.array([place.lon_deg for place in places]),
        weight=weight / weight.sum() if weight.sum() > 0 else np.full(len(places), 1 / len(places)),
        countries=np.array([place.country for place in places]),
        names=[place.name for place in places],
    )
