"""What a manifest holds, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from triovision.geo import country_name
from triovision.geo.continents import CONTINENTS, continent_code
from triovision.photo.camera import camera_facts, orientation
from triovision.photo.silence import decoder_warnings_silenced
from triovision.train.data.manifest import Manifest

_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF")
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_READERS = 8  # headers wait for the disk more than for a core


def continents(countries: Iterable[str]) -> list[str]:
    """Name of the continent of each country (GeoNames)."""
    return [CONTINENTS[continent_code(country)] for country in countries]


def country_table(table: pd.DataFrame, rare_below: int) -> pd.DataFrame:
    """Photos of each country, most first.

    Args:
        table: A manifest's table.
        rare_below: Countries with fewer photos are marked `rare`.
    """
    photos = _counts(table, "country")
    countries = photos["country"]
    photos.insert(1, "name", [country_name(code) for code in countries])
    photos.insert(2, "continent", continents(countries))
    for column in ("place", "source"):
        if column in table:
            named = table[table[column] != ""]
            photos[f"{column}s"] = countries.map(named.groupby("country")[column].nunique()).fillna(0).astype(int)
    photos["rare"] = photos["photos"] < rare_below
    return photos


def continent_table(countries: pd.DataFrame) -> pd.DataFrame:
    """Photos and countries of each continent, most photos first, from a table of countries."""
    found = countries.groupby("continent").agg(photos=("photos", "sum"), countries=("country", "size"))
    found["share"] = found["photos"] / found["photos"].sum()
    return found.sort_values("photos", ascending=False).reset_index()


def source_table(table: pd.DataFrame) -> pd.DataFrame:
    """Photos and countries of each source, most photos first; an empty source is written `unknown`."""
    named = table.assign(source=table["source"].replace("", "unknown"))
    found = _counts(named, "source")
    found["countries"] = found["source"].map(named.groupby("source")["country"].nunique())
    return found


def imbalance_table(countries: pd.DataFrame) -> pd.DataFrame:
    """How unevenly the photos are spread, from a table of countries.

    `imbalance ratio` is the largest class over the smallest; `effective countries` is the exponential of the Shannon
    entropy of the shares: with as many countries of equal size, an answer would be as hard to guess.
    """
    photos, share = countries["photos"], countries["share"]
    rare = countries["rare"]
    values = {
        "photos": photos.sum(),
        "countries": len(countries),
        "largest country": photos.max(),
        "median country": photos.median(),
        "smallest country": photos.min(),
        "imbalance ratio": photos.max() / photos.min(),
        "effective countries": np.exp(-(share * np.log(share)).sum()),
        "rare countries": rare.sum(),
        "share of photos in rare countries": photos[rare].sum() / photos.sum(),
    }
    return pd.DataFrame({"measure": list(values), "value": [float(value) for value in values.values()]})


def position_table(table: pd.DataFrame) -> pd.DataFrame:
    """Photos by cells of a tenth of a degree, finer than a world map shows: `lat`, `lon`, `country`, `photos`."""
    known = table.dropna(subset=["lat", "lon"]).round({"lat": 1, "lon": 1})
    found = known.groupby(["lat", "lon", "country"], as_index=False).agg(photos=("file", "size"))
    return found.sort_values("photos", ascending=False, ignore_index=True)


def read_headers(manifest: Manifest, on_photo: Callable[[], object]) -> pd.DataFrame:
    """Size and year of each photo, read from the files' headers in parallel; no pixel is decoded.

    Args:
        manifest: The photos.
        on_photo: Called after each photo, for a progress bar.

    Returns:
        `width` and `height` of the upright picture in pixels and `year` (EXIF), floats, NaN where unknown. A file
        that cannot be read has none of them.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        rows = []
        for row in pool.map(_header, manifest.paths):
            rows.append(row)
            on_photo()
    return pd.DataFrame(rows, columns=["width", "height", "year"], dtype=float)


def years(table: pd.DataFrame, headers: pd.DataFrame) -> pd.Series:
    """Year of each photo: that of the column `year`, else of `taken_at`, else of EXIF; NaN where unknown."""
    found = headers["year"].set_axis(table.index)
    for column in ("taken_at", "year"):
        if column in table:
            digits = table[column].astype(str).str.extract(r"^\s*(\d{4})(?!\d)", expand=False)
            found = pd.to_numeric(digits, errors="coerce").fillna(found)
    return found


def year_table(found: pd.Series) -> pd.DataFrame:
    """Photos of each year, the unknown ones last."""
    counts = found.value_counts().sort_index()
    rows = [(str(int(year)), int(n)) for year, n in counts.items()]
    unknown = int(found.isna().sum())
    return pd.DataFrame([*rows, *([("unknown", unknown)] if unknown else [])], columns=["year", "photos"])


def size_table(headers: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of width, height, shorter side and aspect ratio (width over height) of the readable photos."""
    known = headers.dropna(subset=["width", "height"])
    values = pd.DataFrame(
        {
            "width": known["width"],
            "height": known["height"],
            "shorter side": known[["width", "height"]].min(axis=1),
            "aspect ratio": known["width"] / known["height"],
        }
    )
    quantiles = values.quantile(list(_QUANTILES)).T
    quantiles.columns = pd.Index(["min", "5 %", "25 %", "median", "75 %", "95 %", "max"])
    return quantiles.rename_axis("measure").reset_index()


def _counts(table: pd.DataFrame, column: str) -> pd.DataFrame:
    found = table.groupby(column, as_index=False).agg(photos=("file", "size"))
    found["share"] = found["photos"] / len(table)
    return found.sort_values(["photos", column], ascending=[False, True], ignore_index=True)


def _header(path: Path) -> tuple[float, float, float]:
    nothing = (np.nan, np.nan, np.nan)
    try:
        with decoder_warnings_silenced(), Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            exif = image.getexif()
            if orientation(exif) >= 5:
                width, height = height, width
            taken_at = camera_facts(exif).taken_at
    except Exception:  # Decoders promise no list of what they raise at hostile bytes; such a photo has no header.
        return nothing
    return float(width), float(height), float(taken_at.year) if taken_at else np.nan
