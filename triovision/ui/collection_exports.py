"""Downloads of a collection: tables, maps, tracks, a sorted archive, and positions for the photos themselves."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Final

import pandas as pd
import streamlit as st

from triovision.collections.entries import CollectionEntry
from triovision.collections.exports import to_country_zip, to_geojson, to_geoparquet, to_gpx, to_kmz
from triovision.collections.positions_in_files import PlannedWrite, WriteStyle, plan_positions, write_positions_zip
from triovision.collections.tables import to_csv
from triovision.errors import CollectionError
from triovision.photo.names import clean_text
from triovision.ui.collection_state import collection
from triovision.ui.messages import translate
from triovision.ui.translation import Translator, relabel

ReadFile = Callable[[CollectionEntry], bytes]

_NOT_INCLUDED: Final = "NOT INCLUDED.txt"


def render_exports(entries: Sequence[CollectionEntry], t: Translator) -> None:
    """Draw the downloads of the photos that pass the filters.

    Args:
        entries: These photos.
        t: Language of the reader.
    """
    # Streamlit calls a maker after the run, when there is no session to read from.
    read_file = collection().read_file
    makers: dict[str, tuple[Callable[[], bytes], str, str]] = {
        "CSV": (lambda: to_csv(entries, t), "photos.csv", "text/csv"),
        "GeoJSON": (lambda: to_geojson(entries), "photos.geojson", "application/geo+json"),
        "KMZ": (lambda: to_kmz(entries, t), "photos.kmz", "application/vnd.google-earth.kmz"),
        "GPX": (lambda: to_gpx(entries), "photos.gpx", "application/gpx+xml"),
        "GeoParquet": (lambda: to_geoparquet(entries), "photos.parquet", "application/vnd.apache.parquet"),
        t("Sorted by country (ZIP)"): (
            lambda: _sorted_archive(entries, read_file, t),
            "countries.zip",
            "application/zip",
        ),
    }
    with st.container(horizontal=True, key="collection-downloads"):
        for name, (make, file_name, mime) in makers.items():
            st.download_button(name, make, file_name, mime, key=f"collection-{file_name}", on_click="ignore")
    missing = sum(not collection().has_file(entry.key) for entry in entries)
    if missing:
        text = t.plural(
            "The file of {number} photo was not kept, so that archives and copies leave it out.",
            "The files of {number} photos were not kept, so that archives and copies leave them out.",
            missing,
        )
        st.caption(text)
    with st.expander(t("Write positions next to the photos"), key="collection-write"):
        _render_positions(entries, read_file, t)


def _render_positions(entries: Sequence[CollectionEntry], read_file: ReadFile, t: Translator) -> None:
    st.caption(t("Your files are never changed: you download sidecars, or copies of the photos."))
    styles: dict[WriteStyle, str] = {
        "digikam": t("Sidecars named photo.jpg.xmp (digiKam)"),
        "lightroom": t("Sidecars named photo.xmp (Lightroom)"),
        "copy": t("Copies with the position in their EXIF data (JPEG only)"),
    }
    relabel("collection-style", t)
    style: WriteStyle = st.radio(t("Form"), list(styles), format_func=styles.__getitem__, key="collection-style")
    label = t("Write only above this probability")
    least = st.slider(label, 50, 100, 90, 5, format=t.percent_format, key="collection-write-min")
    plan = plan_positions(entries, least / 100, style)
    rows = [_planned_row(write, t) for write in plan]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height=260)
    written = sum(write.skipped is None for write in plan)
    st.download_button(
        t.plural("Download {number} position", "Download {number} positions", written),
        lambda: _positions_archive(plan, read_file, t),
        "positions.zip",
        "application/zip",
        key="collection-positions",
        disabled=not written,
        on_click="ignore",
    )


def _planned_row(write: PlannedWrite, t: Translator) -> dict[str, str]:
    lat_deg, lon_deg = write.entry.position
    done = t("{lat}, {lon} in {file}", lat=f"{lat_deg:.5f}", lon=f"{lon_deg:.5f}", file=clean_text(write.target, 120))
    return {
        t("File"): clean_text(write.entry.name, 120),
        t("What would be written"): done if write.skipped is None else "",
        t("Why not"): "" if write.skipped is None else translate(write.skipped, t),
    }


def _sorted_archive(entries: Sequence[CollectionEntry], read_file: ReadFile, t: Translator) -> bytes:
    target = io.BytesIO()
    return _with_list(target, to_country_zip(entries, read_file, target, t), t)


def _positions_archive(plan: Sequence[PlannedWrite], read_file: ReadFile, t: Translator) -> bytes:
    target = io.BytesIO()
    return _with_list(target, write_positions_zip(plan, read_file, target), t)


def _with_list(target: io.BytesIO, faults: Sequence[CollectionError], t: Translator) -> bytes:
    """Add the list of what could not be included to an archive."""
    if faults:
        lines = [f"{fault.subject}: {translate(fault.reason, t)}. {translate(fault.remedy, t)}." for fault in faults]
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr(_NOT_INCLUDED, "\n".join(lines))
    return target.getvalue()
