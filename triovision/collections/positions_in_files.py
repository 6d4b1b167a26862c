"""Positions written beside photos (XMP sidecars) or into copies of JPEGs, planned before anything is written."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import BinaryIO, Final, Literal
from xml.sax.saxutils import escape

from PIL.ExifTags import GPS

from triovision.collections.entries import CollectionEntry
from triovision.collections.exif_gps import GpsValue, jpeg_with_gps
from triovision.collections.exports import unreadable
from triovision.collections.file_names import relative_path
from triovision.collections.tables import certainty, is_unsure
from triovision.errors import CollectionError, Message, TrioVisionError
from triovision.guesses import check_probability
from triovision.photo.names import clean_text

SidecarStyle = Literal["digikam", "lightroom"]
#: A sidecar in the manner of a program, or a copy of the JPEG.
WriteStyle = Literal["digikam", "lightroom", "copy"]

_JPEG_SUFFIXES: Final = (".jpg", ".jpeg", ".jpe")
#: What a receiver wrote about the quality of the position that is replaced.
_OF_RECEIVER: Final = (GPS.GPSSatellites, GPS.GPSStatus, GPS.GPSMeasureMode, GPS.GPSDOP, GPS.GPSDifferential)
_SIDECARS: Final = Message("Write sidecars instead")
_XMP: Final = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="TrioVision">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/">
{properties}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


@dataclass(frozen=True, slots=True, eq=False)
class PlannedWrite:
    """What will be written for one photo, or why nothing is.

    Attributes:
        entry: The photo.
        style: Sidecar or copy.
        target: Path in the archive to write; beside or instead of the photo when it is unpacked over the folder.
        skipped: Reason to write nothing; None for a photo whose position is written.
    """

    entry: CollectionEntry
    style: WriteStyle
    target: str
    skipped: Message | None = None


def sidecar_name(name: str, style: SidecarStyle) -> str:
    """Name of the XMP sidecar of a photo.

    Args:
        name: Name or path of the photo.
        style: `"digikam"` (also darktable) appends to the name, `photo.jpg.xmp`; `"lightroom"` (also Capture One)
            replaces the extension, `photo.xmp`.
    """
    return f"{name}.xmp" if style == "digikam" else str(PurePosixPath(name).with_suffix(".xmp"))


def xmp_sidecar(entry: CollectionEntry) -> bytes:
    """Write the position of a photo as an XMP sidecar.

    `exif:GPSHPositioningError` is `radius_km` in metres, which holds half of the probability; it is missing for a
    corrected position. `exif:GPSProcessingMethod` says how the position came about, and by which model.

    Args:
        entry: The photo.
    """
    lat_deg, lon_deg = entry.position
    properties = {
        "GPSVersionID": "2.3.0.0",
        "GPSLatitude": _xmp_coordinate(lat_deg, "NS"),
        "GPSLongitude": _xmp_coordinate(lon_deg, "EW"),
        "GPSMapDatum": "WGS-84",
        "GPSProcessingMethod": _processing_method(entry),
    }
    if entry.radius_km is not None:
        properties["GPSHPositioningError"] = f"{_metres(entry.radius_km)}/1"
    lines = (f"   <exif:{name}>{escape(value)}</exif:{name}>" for name, value in properties.items())
    return _XMP.format(properties="\n".join(lines)).encode()


def jpeg_with_position(data: bytes, entry: CollectionEntry) -> bytes:
    """Copy a JPEG with the position in its EXIF; pixels and all other metadata stay as they are, byte for byte.

    The tags are those of `xmp_sidecar`. What a receiver wrote about the quality of a replaced position is removed.

    Args:
        data: The original JPEG.
        entry: The photo.

    Raises:
        CollectionError: If the file is no JPEG, or its segments or EXIF data are damaged.
    """
    lat_deg, lon_deg = entry.position
    tags: dict[int, GpsValue | None] = {
        **dict.fromkeys(_OF_RECEIVER),
        GPS.GPSVersionID: b"\x02\x03\x00\x00",
        GPS.GPSLatitudeRef: "S" if lat_deg < 0 else "N",
        GPS.GPSLatitude: _exif_coordinate(lat_deg),
        GPS.GPSLongitudeRef: "W" if lon_deg < 0 else "E",
        GPS.GPSLongitude: _exif_coordinate(lon_deg),
        GPS.GPSMapDatum: "WGS-84",
        GPS.GPSProcessingMethod: b"ASCII\x00\x00\x00" + _processing_method(entry).encode("ascii", "replace"),
        GPS.GPSHPositioningError: None if entry.radius_km is None else ((_metres(entry.radius_km), 1),),
    }
    try:
        return jpeg_with_gps(data, tags)
    except ValueError as exc:
        reason = Message("a position cannot be written into the file, which is no JPEG or has damaged EXIF data")
        raise CollectionError(_subject(entry), reason, _SIDECARS) from exc


def plan_positions(entries: Sequence[CollectionEntry], min_probability: float, style: WriteStyle) -> list[PlannedWrite]:
    """Plan what `write_positions_zip` would write. Nothing is read or written.

    A corrected position is written whatever the camera and the model say.

    Args:
        entries: Photos of a collection.
        min_probability: Least `certainty` of the model, in [0, 1].
        style: Sidecars of a style, or copies of JPEGs.

    Returns:
        One plan per photo, in the order of `entries`.

    Raises:
        ValueError: If `min_probability` is no probability.
    """
    check_probability(min_probability)
    plans = [
        PlannedWrite(entry, style, _target(entry, style), _reason_to_skip(entry, min_probability, style))
        for entry in entries
    ]
    wanted = Counter(plan.target.casefold() for plan in plans)
    return [
        replace(plan, skipped=Message("another photo would have the file {target} too", target=plan.target))
        if plan.skipped is None and wanted[plan.target.casefold()] > 1
        else plan
        for plan in plans
    ]


def write_positions_zip(
    plan: Sequence[PlannedWrite], read_file: Callable[[CollectionEntry], bytes], target: BinaryIO
) -> list[CollectionError]:
    """Write the planned sidecars or copies into a ZIP archive. Originals are read at most, never written.

    Args:
        plan: From `plan_positions`.
        read_file: Reads the original of a photo, for copies only. It may raise OSError or an error of this package.
        target: File to write the archive into.

    Returns:
        One error for each photo whose position could not be written.
    """
    faults: list[CollectionError] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in plan:
            if item.skipped is not None:
                continue
            try:
                if item.style == "copy":
                    data, method = jpeg_with_position(read_file(item.entry), item.entry), zipfile.ZIP_STORED
                else:
                    data, method = xmp_sidecar(item.entry), zipfile.ZIP_DEFLATED
            except (OSError, TrioVisionError) as exc:
                faults.append(unreadable(item.entry, exc))
            else:
                archive.writestr(zipfile.ZipInfo(item.target), data, method)
    return faults


def _target(entry: CollectionEntry, style: WriteStyle) -> str:
    path = relative_path(entry.name)
    return path if style == "copy" else sidecar_name(path, style)


def _reason_to_skip(entry: CollectionEntry, min_probability: float, style: WriteStyle) -> Message | None:
    if style == "copy" and not entry.name.lower().endswith(_JPEG_SUFFIXES):
        return Message("only a JPEG can have a copy with a position; write sidecars instead")
    if entry.corrected is not None:
        return None
    if entry.camera.position is not None:
        return Message("the camera wrote a position already")
    return _doubt(entry, min_probability)


def _doubt(entry: CollectionEntry, min_probability: float) -> Message | None:
    """Why the answer of the model is not certain enough."""
    if is_unsure(entry):
        return Message("the model is not sure")
    if not entry.answer.calibrated:
        return Message("the model is not calibrated, so that its probabilities promise nothing")
    probability = certainty(entry) or 0.0
    if probability < min_probability:
        return Message(
            "its probability of {probability} is below {least}",
            probability=f"{probability:.2f}",
            least=f"{min_probability:.2f}",
        )
    return None


def _processing_method(entry: CollectionEntry) -> str:
    """How the position came about; "MANUAL" is EXIF's own word."""
    if entry.corrected is not None:
        return {
            "hand": "MANUAL",
            "neighbour": "MANUAL, position of another photo",
            "track": "GPX track, matched by time",
        }[entry.corrected.origin]
    model = clean_text(entry.answer.model, 100)
    return (
        f"Estimate by TrioVision from image content, model {model}, probability {certainty(entry):.2f}, "
        f"half of the probability within {entry.answer.radius_km:.1f} km"
    )


def _xmp_coordinate(degrees: float, letters: str) -> str:
    """`DDD,MM.mmmmmk` of XMP, with five decimals of a minute (2 cm)."""
    whole, rest = divmod(round(abs(degrees) * 60 * 100_000), 60 * 100_000)
    return f"{whole},{rest / 100_000:.5f}{letters[degrees < 0]}"


def _exif_coordinate(degrees: float) -> tuple[tuple[int, int], ...]:
    """Degrees, minutes and seconds, the seconds with four decimals (3 mm)."""
    minutes, rest = divmod(round(abs(degrees) * 3600 * 10_000), 60 * 10_000)
    return (minutes // 60, 1), (minutes % 60, 1), (rest, 10_000)


def _metres(radius_km: float) -> int:
    return round(radius_km * 1000)


def _subject(entry: CollectionEntry) -> str:
    return clean_text(entry.name, 80) or "photo"
