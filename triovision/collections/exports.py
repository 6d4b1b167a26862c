"""Maps of a collection for other programs: GeoJSON, KMZ, GPX, GeoParquet; originals sorted by country."""

from __future__ import annotations

import html
import io
import json
import struct
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, BinaryIO, Final

import gpxpy.gpx
import pyarrow as pa
import pyarrow.parquet as pq

from triovision.collections.entries import CollectionEntry
from triovision.collections.file_names import UniqueNames, safe_file_name
from triovision.collections.tables import country_of, is_unsure, to_frame
from triovision.collections.texts import position_lines
from triovision.errors import CollectionError, Message, TrioVisionError
from triovision.geo import country_name
from triovision.languages import ENGLISH, Translator
from triovision.photo.names import clean_text

#: Namespace of the elements that `to_gpx` adds.
GPX_EXTENSIONS: Final = "urn:triovision:gpx:1"
_KML: Final = "http://www.opengis.net/kml/2.2"
#: Pins of KML as aabbggrr: blue for an answer, orange for "not sure", green for a corrected position.
_PINS: Final = {"answer": "ffb2721f", "unsure": "ff0090ff", "corrected": "ff4ca02c"}
_MAX_NAME = 200


def to_geojson(entries: Sequence[CollectionEntry]) -> bytes:
    """Write the collection as a GeoJSON FeatureCollection of points (RFC 7946).

    The properties are the columns of `to_frame`; those without a value are null.

    Args:
        entries: Photos of a collection.
    """
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [row["lon_deg"], row["lat_deg"]]},
            "properties": row,
        }
        for row in _rows(entries)
    ]
    content = {"type": "FeatureCollection", "features": features}
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


def to_gpx(entries: Sequence[CollectionEntry]) -> bytes:
    """Write the collection as way points of GPX 1.1.

    GPX has no field for an uncertainty in metres (`hdop` is a factor of satellite geometry). The radii are in words in
    `desc`, and as numbers in the extensions `radius_km` (half of the probability), `radius_90_km`, `probability` and
    `abstained` of the namespace `GPX_EXTENSIONS`. The name of an abstained photo ends in "(not sure)". `time` is UTC
    and missing where the camera did not say how its clock relates to UTC.

    Args:
        entries: Photos of a collection.
    """
    gpx = gpxpy.gpx.GPX()
    gpx.creator = "TrioVision"
    gpx.nsmap["triovision"] = GPX_EXTENSIONS
    for entry, row in zip(entries, _rows(entries), strict=True):
        taken_at = entry.camera.taken_at
        waypoint = gpxpy.gpx.GPXWaypoint(
            latitude=row["lat_deg"],
            longitude=row["lon_deg"],
            time=taken_at.astimezone(UTC) if taken_at is not None and taken_at.tzinfo else None,
            name=_shown_name(entry),
            description="; ".join(position_lines(entry)),
            type=entry.position_origin,
        )
        waypoint.source = f"TrioVision, {row['model']}"
        for column in ("radius_km", "radius_90_km", "probability", "abstained"):
            if row[column] is not None:
                element = ET.Element(f"{{{GPX_EXTENSIONS}}}{column}")
                element.text = json.dumps(row[column])
                waypoint.extensions.append(element)
        gpx.waypoints.append(waypoint)
    return gpx.to_xml(version="1.1").encode()


def to_geoparquet(entries: Sequence[CollectionEntry]) -> bytes:
    """Write the collection as GeoParquet 1.1: the columns of `to_frame`, and `geometry` with points as WKB.

    Args:
        entries: Photos of a collection.
    """
    frame = to_frame(entries)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.append_column("geometry", points_as_wkb(table["lon_deg"].to_pylist(), table["lat_deg"].to_pylist()))
    lons, lats = frame["lon_deg"], frame["lat_deg"]
    bbox = (lons.min(), lats.min(), lons.max(), lats.max()) if len(frame) else None
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"geo": geo_metadata(bbox)})
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def points_as_wkb(lon_deg: Sequence[float], lat_deg: Sequence[float]) -> pa.Array:
    """Return positions as points in well-known binary, little endian."""
    points = [struct.pack("<BIdd", 1, 1, *position) for position in zip(lon_deg, lat_deg, strict=True)]  # 1: point
    return pa.array(points, pa.binary())


def geo_metadata(bbox: Sequence[float] | None) -> bytes:
    """Metadata `geo` of GeoParquet 1.1 for points in the column `geometry`.

    Without a `crs` the coordinates are longitude and latitude of WGS 84 (OGC:CRS84).

    Args:
        bbox: Smallest longitude and latitude, then the largest ones; None for a file without points.
    """
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [] if bbox is None else ["Point"]}
    if bbox is not None:
        column["bbox"] = list(map(float, bbox))
    return json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}).encode()


def to_kmz(entries: Sequence[CollectionEntry], t: Translator = ENGLISH) -> bytes:
    """Write the collection as KMZ: a KML 2.2 document and the thumbnails that its balloons show.

    A time whose offset from UTC is unknown gives only its day, because KML takes a time without an offset for UTC.

    Args:
        entries: Photos of a collection.
        t: Language of the balloons.
    """
    kml = ET.Element("kml", xmlns=_KML)
    document = ET.SubElement(kml, "Document")
    ET.SubElement(document, "name").text = "TrioVision"
    for style, colour in _PINS.items():
        icon = ET.SubElement(ET.SubElement(document, "Style", id=style), "IconStyle")
        ET.SubElement(icon, "color").text = colour
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        thumbnails = [
            f"thumbnails/{number}.jpg" if entry.thumbnail_jpeg else "" for number, entry in enumerate(entries, 1)
        ]
        for entry, row, thumbnail in zip(entries, _rows(entries), thumbnails, strict=True):
            _add_placemark(document, entry, row, thumbnail, t)
        # Google Earth opens the first KML of the archive.
        archive.writestr("doc.kml", ET.tostring(kml, encoding="utf-8", xml_declaration=True))
        for entry, thumbnail in zip(entries, thumbnails, strict=True):
            if thumbnail:
                archive.writestr(thumbnail, entry.thumbnail_jpeg, zipfile.ZIP_STORED)
    return content.getvalue()


def to_country_zip(
    entries: Sequence[CollectionEntry],
    read_file: Callable[[CollectionEntry], bytes],
    target: BinaryIO,
    t: Translator = ENGLISH,
) -> list[CollectionError]:
    """Write a ZIP archive of the originals, sorted into one folder per country and one for those of no sure country.

    One original is in memory at a time. Two originals of one name in a folder become `a.jpg` and `a (2).jpg`.

    Args:
        entries: Photos of a collection.
        read_file: Reads the original of a photo. It may raise OSError or an error of this package.
        target: File to write the archive into.
        t: Language of the folder names.

    Returns:
        One error for each original that could not be read.
    """
    names = UniqueNames()
    faults: list[CollectionError] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # photos are compressed already
        for entry in entries:
            try:
                data = read_file(entry)
            except (OSError, TrioVisionError) as exc:
                faults.append(unreadable(entry, exc))
                continue
            folder = safe_file_name(_country_folder(entry, t))
            name = names.take(f"{folder}/{safe_file_name(entry.name)}")
            archive.writestr(zipfile.ZipInfo(name), data)
    return faults


def unreadable(entry: CollectionEntry, cause: OSError | TrioVisionError) -> CollectionError:
    """Error for an original that could not be read again."""
    subject = clean_text(entry.name, 80) or "photo"
    if isinstance(cause, TrioVisionError):
        return CollectionError(subject, cause.reason, cause.remedy)
    return CollectionError(subject, Message("its file cannot be read any more"), Message("Add the photo again"))


def _country_folder(entry: CollectionEntry, t: Translator) -> str:
    if is_unsure(entry):
        return t("Not sure")
    country = country_of(entry)
    return t("High seas") if country is None else country_name(country, t.language)


def _rows(entries: Sequence[CollectionEntry]) -> list[dict[str, Any]]:
    """Rows of the table as JSON values."""
    frame = to_frame(entries).astype(object)
    return [dict(row) for row in frame.where(frame.notna(), None).to_dict("records")]


def _shown_name(entry: CollectionEntry, t: Translator = ENGLISH) -> str:
    name = clean_text(entry.name, _MAX_NAME)
    return t("{name} (not sure)", name=name) if is_unsure(entry) else name


def _add_placemark(
    document: ET.Element, entry: CollectionEntry, row: dict[str, Any], thumbnail: str, t: Translator
) -> None:
    """Add the placemark of a photo; KML prescribes the order of the elements."""
    placemark = ET.SubElement(document, "Placemark")
    ET.SubElement(placemark, "name").text = _shown_name(entry, t)
    lines = "<br/>".join(html.escape(line) for line in position_lines(entry, t))
    picture = f'<img src="{thumbnail}" alt=""/>' if thumbnail else ""
    ET.SubElement(placemark, "description").text = f"{picture}<p>{lines}</p>"
    taken_at = entry.camera.taken_at
    if taken_at is not None:
        when = taken_at.isoformat() if taken_at.tzinfo else taken_at.date().isoformat()
        ET.SubElement(ET.SubElement(placemark, "TimeStamp"), "when").text = when
    style = "unsure" if is_unsure(entry) else "answer" if entry.corrected is None else "corrected"
    ET.SubElement(placemark, "styleUrl").text = f"#{style}"
    data = ET.SubElement(placemark, "ExtendedData")
    for column, value in row.items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            ET.SubElement(ET.SubElement(data, "Data", name=column), "value").text = text
    longitude, latitude = row["lon_deg"], row["lat_deg"]
    ET.SubElement(ET.SubElement(placemark, "Point"), "coordinates").text = f"{longitude},{latitude}"
