"""Statistics of a manifest: tables of countries, sources, positions, sizes and years."""

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
_READERS = 8  # threads: reading headers is limited by the disk


def continents(countries: Iterable[str]) -> list[str]:
    """Name of the continent of each country (GeoNames)."""
    return [CONTINENTS[continent_code(country)] for country in countries]


def country_table(table: pd.DataFrame, rare_below: int) -> pd.DataFrame:
    """Photos of each country, most first.

    Args:
        table: Table of a manifest.
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
    rows = countries.groupby("continent").agg(photos=("photos", "sum"), countries=("country", "size"))
    rows["fraction"] = rows["photos"] / rows["photos"].sum()
    return rows.sort_values("photos", ascending=False).reset_index()


def source_table(table: pd.DataFrame) -> pd.DataFrame:
    """Photos and countries of each source, most photos first; an empty source is `unknown`."""
    named = table.assign(source=table["source"].replace("", "unknown"))
    rows = _counts(named, "source")
    rows["countries"] = rows["source"].map(named.groupby("source")["country"].nunique())
    return rows


def imbalance_table(countries: pd.DataFrame) -> pd.DataFrame:
    """Class imbalance, from a table of countries.

    `imbalance ratio` is the largest class over the smallest; `effective countries` is the exponential of the Shannon
    entropy of the fractions, the number of equally frequent countries with the same entropy.
    """
    photos, fraction = countries["photos"], countries["fraction"]
    rare = countries["rare"]
    values = {
        "photos": photos.sum(),
        "countries": len(countries),
        "largest country": photos.max(),
        "median country": photos.median(),
        "smallest country": photos.min(),
        "imbalance ratio": photos.max() / photos.min(),
        "effective countries": np.exp(-(fraction * np.log(fraction)).sum()),
        "rare countries": rare.sum(),
        "fraction of photos in rare countries": photos[rare].sum() / photos.sum(),
    }
    return pd.DataFrame({"measure": list(values), "value": [float(value) for value in values.values()]})


def position_table(table: pd.DataFrame) -> pd.DataFrame:
    """Photos by cells of 0.1 degrees: `lat`, `lon`, `country`, `photos`."""
    known = table.dropna(subset=["lat", "lon"]).round({"lat": 1, "lon": 1})
    cells = known.groupby(["lat", "lon", "country"], as_index=False).agg(photos=("file", "size"))
    return cells.sort_values("photos", ascending=False, ignore_index=True)


def read_headers(manifest: Manifest, on_photo: Callable[[], object]) -> pd.DataFrame:
    """Read size and year of each photo from the file headers in parallel, without decoding.

    Args:
        manifest: Photos.
        on_photo: Called after each photo, for a progress bar.

    Returns:
        `width` and `height` of the upright image in pixels and `year` (EXIF), as floats; NaN where unknown or
        unreadable.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        rows = []
        for row in pool.map(_header, manifest.paths):
            rows.append(row)
            on_photo()
    return pd.DataFrame(rows, columns=["width", "height", "year"], dtype=float)


def years(table: pd.DataFrame, headers: pd.DataFrame) -> pd.Series:
    """Year of each photo from the column `year`, `taken_at` or EXIF, in this order; NaN where unknown."""
    photo_years = headers["year"].set_axis(table.index)
    for column in ("taken_at", "year"):
        if column in table:
            digits = table[column].astype(str).str.extract(r"^\s*(\d{4})(?!\d)", expand=False)
            photo_years = pd.to_numeric(digits, errors="coerce").fillna(photo_years)
    return photo_years


def year_table(photo_years: pd.Series) -> pd.DataFrame:
    """Photos of each year, unknown years last."""
    counts = photo_years.value_counts().sort_index()
    rows = [(str(int(year)), int(n)) for year, n in counts.items()]
    unknown = int(photo_years.isna().sum())
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
    rows = table.groupby(column, as_index=False).agg(photos=("file", "size"))
    rows["fraction"] = rows["photos"] / len(table)
    return rows.sort_values(["photos", column], ascending=[False, True], ignore_index=True)


def _header(path: Path) -> tuple[float, float, float]:
    try:
        with decoder_warnings_silenced(), Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            exif = image.getexif()
            if orientation(exif) >= 5:
                width, height = height, width
            taken_at = camera_facts(exif).taken_at
    except Exception:  # decoders raise undocumented exceptions for corrupt files
        return np.nan, np.nan, np.nan
    return float(width), float(height), float(taken_at.year) if taken_at else np.nan
