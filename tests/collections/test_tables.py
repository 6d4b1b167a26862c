from __future__ import annotations

import csv
import io
import math

import pytest

from triovision.collections.entries import CollectionEntry, CorrectedPosition
from triovision.collections.tables import COLUMNS, to_csv, to_frame
from triovision.guesses import PlaceGuess
from triovision.languages import get_translator


def test_a_row_has_the_answer_and_the_distance_to_the_camera(entries: list[CollectionEntry]) -> None:
    row = to_frame(entries).iloc[0]
    assert row["name"] == "trip/a.jpg"
    assert row["taken_at"] == "2024-05-06T07:08:09+00:00"
    assert (row["country"], row["area_kind"], row["area_title"]) == ("PE", "place", "Peru · Cuzco")
    assert (row["lat_deg"], row["lon_deg"]) == (-13.52264, -71.967339)
    assert (row["radius_km"], row["radius_90_km"], row["probability"]) == (42.5, 310.0, 0.93)
    assert not row["abstained"]
    assert (row["position_origin"], row["model"]) == ("model", "test.model")
    # Along a meridian: 0.5226402 degrees of 111.195 km each.
    assert row["distance_camera_km"] == pytest.approx(0.5226402 * math.pi / 180 * 6371.0088, abs=1e-3)


def test_an_abstained_row_says_so(entries: list[CollectionEntry]) -> None:
    row = to_frame(entries).iloc[1]
    assert row["abstained"]
    assert row["probability"] == 0.2
    assert row["area_title"] == "Not sure where this is"
    assert to_frame(entries, get_translator("fr")).iloc[1]["area_title"] == "Lieu incertain"
    assert row["taken_at"] == "2024-05-06T23:30:00"
    assert math.isnan(row["distance_camera_km"])


def test_a_corrected_row_claims_nothing_of_the_model(entries: list[CollectionEntry]) -> None:
    row = to_frame(entries).iloc[2]
    assert (row["country"], row["lat_deg"], row["lon_deg"]) == ("FR", 48.8566, 2.3522)
    assert row["position_origin"] == "hand"
    assert row[["area_kind", "area_title", "landmark", "radius_km", "radius_90_km", "probability"]].isna().all()


def test_a_landmark_gives_name_country_and_probability(make_entry) -> None:
    landmark = PlaceGuess("Machu Picchu", "BO", -13.163, -72.545, 0.87)
    row = to_frame([make_entry(landmark=landmark)]).iloc[0]
    assert (row["landmark"], row["country"], row["probability"]) == ("Machu Picchu", "BO", 0.87)


def test_an_empty_table_keeps_columns_and_types() -> None:
    frame = to_frame([])
    assert list(frame.columns) == list(COLUMNS)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == COLUMNS


def test_csv_opens_in_excel(make_entry) -> None:
    data = to_csv([make_entry('Córdoba, "mañana".jpg')])
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0]["name"] == 'Córdoba, "mañana".jpg'
    assert float(rows[0]["lat_deg"]) == -13.52264
    assert rows[0]["distance_camera_km"] == ""


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "＝1"])  # noqa: RUF001
def test_csv_runs_no_formula(make_entry, name: str) -> None:
    text = to_csv([make_entry(name)]).decode("utf-8-sig")
    assert next(csv.DictReader(io.StringIO(text)))["name"] == "'" + name.strip()


def test_a_name_of_any_bytes_can_be_written(make_entry) -> None:
    name = b"caf\xe9\n.jpg".decode("utf-8", "surrogateescape")
    text = to_csv([make_entry(name)]).decode("utf-8-sig")
    assert next(csv.DictReader(io.StringIO(text)))["name"] == "caf.jpg"


def test_a_correction_on_the_high_seas_has_no_country(make_entry) -> None:
    frame = to_frame([make_entry(corrected=CorrectedPosition(0.0, -30.0, "hand"))])
    assert frame["country"].isna().all()
