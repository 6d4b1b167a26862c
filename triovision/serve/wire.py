"""Wire format: predictions, explanations and errors as JSON that loses nothing, and evidence as form fields.

`Prediction.to_dict` is for people: it rounds, and leaves the posterior out. Here floats are written in full, and arrays
as base64 of their bytes. Photos of one model often share their places, which are then sent once for all of them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from triovision import errors
from triovision.errors import BusyError, EvidenceError, Message, ServerError, TrioVisionError
from triovision.geo import Evidence, WeightedPlaces
from triovision.geo.clues import Clue, ClueKind
from triovision.geo.evidence import Box, Near
from triovision.geo.sun import ShadowBand
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import Explanation, Prediction

_DTYPES: Final[dict[str, np.dtype[Any]]] = {"<f8": np.dtype("<f8"), "<f4": np.dtype("<f4")}
_MAX_POINTS: Final = 2_000_000  # the worldwide model has 100,000
_PLAIN: Final = (
    *("photo", "model", "country_set", "radius_km", "radius_90_km", "abstained", "calibrated"),
    *("elapsed_ms", "device", "precision", "evidence_probability"),
)
_CORRECT: Final = Message("Correct the request")


def encode_predictions(predictions: Sequence[Prediction | None]) -> dict[str, Any]:
    """Encode predictions; their evidence stays out, because who asks knows it.

    Returns:
        `predictions`: one object per prediction, None for None. `places`: the points of their posteriors, to which
        each refers by number.
    """
    places: dict[tuple[int, ...], int] = {}
    tables: list[dict[str, Any]] = []
    encoded: list[dict[str, Any] | None] = []
    for prediction in predictions:
        if prediction is None:
            encoded.append(None)
            continue
        posterior = prediction.posterior
        parts = (posterior.lat_deg, posterior.lon_deg, posterior.countries, posterior.names, posterior.resolution_km)
        key = tuple(map(id, parts))
        if key not in places:
            places[key] = len(tables)
            tables.append(_encode_places(posterior))
        values: dict[str, Any] = {name: getattr(prediction, name) for name in _PLAIN}
        values["countries"] = [[guess.country, guess.probability] for guess in prediction.countries]
        values["place"] = asdict(prediction.place)
        values["places"] = [asdict(place) for place in prediction.places]
        values["area"] = asdict(prediction.area)
        values["landmark"] = None if prediction.landmark is None else asdict(prediction.landmark)
        values["posterior"] = {"places": places[key], "weight": _encode_array(posterior.weight)}
        encoded.append(values)
    return {"predictions": encoded, "places": tables}


def decode_predictions(answer: object) -> list[Prediction | None]:
    """Decode what `encode_predictions` made.

    Raises:
        ServerError: If it is anything else.
    """
    try:
        values = cast(dict[str, Any], answer)
        tables = [_decode_places(table) for table in values["places"]]
        return [None if one is None else _decode_prediction(one, tables) for one in values["predictions"]]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:  # binascii.Error is a ValueError
        raise garbled() from exc


def encode_explanation(explanation: Explanation) -> dict[str, Any]:
    """Encode an explanation with its map."""
    values = {field.name: getattr(explanation, field.name) for field in fields(explanation)}
    heatmap_hw = explanation.heatmap_hw
    return values | {"heatmap_hw": _encode_array(heatmap_hw.ravel()) | {"shape": list(heatmap_hw.shape)}}


def decode_explanation(answer: object) -> Explanation:
    """Decode what `encode_explanation` made.

    Raises:
        ServerError: If it is anything else.
    """
    try:
        values = dict(cast(dict[str, Any], answer))
        encoded = values.pop("heatmap_hw")
        height, width = encoded["shape"]
        heatmap_hw = _decode_array(encoded).astype(np.float32).reshape(int(height), int(width))
        left, top, right, bottom = map(float, values.pop("box"))
        return Explanation(**values, heatmap_hw=heatmap_hw, box=(left, top, right, bottom))
    except (KeyError, TypeError, ValueError) as exc:
        raise garbled() from exc


def encode_error(error: TrioVisionError) -> dict[str, str]:
    """Encode an error: its class and its three parts."""
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == errors.__name__)
    return {"type": kind, "subject": error.subject, "reason": error.reason, "remedy": error.remedy}


def decode_error(answer: object) -> TrioVisionError:
    """Decode what `encode_error` made; a class that this version does not know becomes a `ServerError`."""
    if not isinstance(answer, dict):
        return garbled()
    subject, reason, remedy = (str(answer.get(name, "")) for name in ("subject", "reason", "remedy"))
    kind = getattr(errors, str(answer.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, TrioVisionError)) or kind is BusyError:
        kind = ServerError
    return kind(subject, reason, remedy)


def garbled() -> ServerError:
    """Error of an answer that no server of ours gives."""
    reason = Message("gave an answer that is none of TrioVision's")
    return ServerError("The server", reason, Message("Check its address, and that both have the same version"))


def evidence_fields(evidence: Evidence) -> dict[str, list[str]]:
    """Form fields of evidence, as `parse_evidence` reads them."""
    values: dict[str, list[str]] = {}
    if evidence.continent is not None:
        values["continent"] = [evidence.continent]
    if evidence.country is not None:
        values["country"] = [evidence.country]
    if (box := evidence.box) is not None:
        values["box"] = [",".join(map(repr, (box.south_deg, box.west_deg, box.north_deg, box.east_deg)))]
    if (near := evidence.near) is not None:
        values["near"] = [",".join([*map(repr, (near.lat_deg, near.lon_deg, near.radius_km)), near.name])]
    if evidence.clues:
        values["clue"] = [f"{clue.kind}:{clue.value}" for clue in evidence.clues]
    if (shadow := evidence.shadow) is not None:
        angles = [shadow.sun_height_deg, shadow.tolerance_deg]
        if shadow.shadow_direction_deg is not None:
            angles += [shadow.shadow_direction_deg, shadow.direction_tolerance_deg]
        values["shadow"] = [",".join([shadow.at.astimezone(UTC).isoformat(), *map(repr, angles)])]
    return values


def parse_evidence(values: Mapping[str, Sequence[str]]) -> Evidence | None:
    """Read evidence from form fields; an empty text is no evidence.

    Args:
        values: Texts of `continent`, `country`, `box`, `near`, `clue` and `shadow`.

    Raises:
        EvidenceError: If a field cannot be read or contradicts itself.
    """
    given = {name: [text.strip() for text in texts if text.strip()] for name, texts in values.items()}
    one = {name: texts[-1] for name, texts in given.items() if texts}
    if not one:
        return None
    return Evidence(
        continent=one.get("continent"),
        country=one.get("country"),
        box=_box(one["box"]) if "box" in one else None,
        near=_near(one["near"]) if "near" in one else None,
        clues=tuple(_clue(text) for text in given.get("clue", ())),
        shadow=_shadow(one["shadow"]) if "shadow" in one else None,
    )


def _box(text: str) -> Box:
    south, west, north, east = _numbers("box", text.split(","), 4, "south,west,north,east in degrees")
    return Box(south_deg=south, west_deg=west, north_deg=north, east_deg=east)


def _near(text: str) -> Near:
    *numbers, name = text.split(",", 3) if text.count(",") > 2 else [*text.split(","), ""]
    lat_deg, lon_deg, radius_km = _numbers("near", numbers, 3, "latitude,longitude,radius in km,name")
    if not (-90 <= lat_deg <= 90 and -180 <= lon_deg <= 180):
        raise EvidenceError("near", Message("latitude and longitude must lie within ±90 and ±180"), _CORRECT)
    return Near(name=name.strip() or f"{lat_deg:g}, {lon_deg:g}", lat_deg=lat_deg, lon_deg=lon_deg, radius_km=radius_km)


def _clue(text: str) -> Clue:
    kind, _, value = text.partition(":")
    return Clue(cast(ClueKind, kind), value)


def _shadow(text: str) -> ShadowBand:
    expected = "instant,height of the sun[,tolerance[,direction[,tolerance]]], the instant as 2024-06-01T12:00:00+00:00"
    instant, *rest = text.split(",")
    numbers = _numbers("shadow", rest, len(rest) if 1 <= len(rest) <= 4 else 4, expected)
    try:
        at = datetime.fromisoformat(instant)
    except ValueError as exc:
        raise _unreadable("shadow", expected) from exc
    names = ("sun_height_deg", "tolerance_deg", "shadow_direction_deg", "direction_tolerance_deg")
    return ShadowBand(at=at, **dict(zip(names, numbers, strict=False)))


def _numbers(field: str, texts: Sequence[str], count: int, expected: str) -> list[float]:
    try:
        numbers = [float(text) for text in texts]
    except ValueError as exc:
        raise _unreadable(field, expected) from exc
    if len(numbers) != count:
        raise _unreadable(field, expected)
    return numbers


def _unreadable(field: str, expected: str) -> EvidenceError:
    return EvidenceError(field, Message("cannot be read"), Message("Write it as {expected}", expected=expected))


def _encode_places(posterior: WeightedPlaces) -> dict[str, Any]:
    resolution_km = posterior.resolution_km
    return {
        "lat_deg": _encode_array(posterior.lat_deg),
        "lon_deg": _encode_array(posterior.lon_deg),
        "countries": ",".join(posterior.countries.tolist()),
        "names": list(posterior.names),
        "resolution_km": resolution_km if isinstance(resolution_km, float | int) else _encode_array(resolution_km),
    }


def _decode_places(table: dict[str, Any]) -> dict[str, Any]:
    resolution_km = table["resolution_km"]
    return {
        "lat_deg": _decode_array(table["lat_deg"]),
        "lon_deg": _decode_array(table["lon_deg"]),
        "countries": np.array(table["countries"].split(",")),
        "names": tuple(map(str, table["names"])),
        "resolution_km": _decode_array(resolution_km) if isinstance(resolution_km, dict) else float(resolution_km),
    }


def _decode_prediction(values: dict[str, Any], tables: list[dict[str, Any]]) -> Prediction:
    plain = {name: values[name] for name in _PLAIN}
    posterior, landmark = values["posterior"], values["landmark"]
    return Prediction(
        **plain | {"country_set": tuple(map(str, plain["country_set"]))},
        countries=tuple(CountryGuess(country, probability) for country, probability in values["countries"]),
        place=PlaceGuess(**values["place"]),
        places=tuple(PlaceGuess(**place) for place in values["places"]),
        posterior=WeightedPlaces(weight=_decode_array(posterior["weight"]), **tables[posterior["places"]]),
        area=Area(**values["area"]),
        landmark=None if landmark is None else PlaceGuess(**landmark),
    )


def _encode_array(array: NDArray[Any]) -> dict[str, Any]:
    dtype = "<f4" if array.dtype == np.float32 else "<f8"
    return {"dtype": dtype, "base64": base64.b64encode(array.astype(dtype, copy=False).tobytes()).decode("ascii")}


def _decode_array(values: dict[str, Any]) -> NDArray[Any]:
    dtype = _DTYPES[values["dtype"]]
    data = base64.b64decode(values["base64"], validate=True)
    if len(data) > _MAX_POINTS * dtype.itemsize:
        raise binascii.Error("too long")
    return np.frombuffer(data, dtype)
