from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from triovision.collections.organiser.content_set import ContentSet
from triovision.collections.organiser.database import DATABASE, SCHEMA_VERSION, Batch, CollectionDatabase
from triovision.collections.organiser.posteriors import MAX_PLACES, packed_posterior, unpacked_places
from triovision.errors import CollectionError
from triovision.geo import WeightedPlaces


def refusal(number: int) -> dict[str, object]:
    return {"content": f"{number:064x}", "reason": "no photo"}


def batch(*numbers: int) -> Batch:
    made = Batch()
    for number in numbers:
        made.add("refusals", refusal(number))
    return made


def test_what_is_written_is_read_in_order_by_another_opening(out: Path) -> None:
    with CollectionDatabase(out) as database:
        database.write(batch(3, 1))
        database.write(batch(2))
    with CollectionDatabase(out, read_only=True) as database:
        assert list(database.rows("SELECT * FROM refusals")) == [refusal(3), refusal(1), refusal(2)]


def test_the_database_prints_nothing_among_the_results(out: Path) -> None:
    setting = "SELECT current_setting('enable_progress_bar') AS bar"
    with CollectionDatabase(out) as database:
        assert database.first(setting) == (False,)
        assert list(database.rows(setting)) == [{"bar": False}]


def test_a_batch_that_fails_leaves_nothing(out: Path) -> None:
    with CollectionDatabase(out) as database:
        wrong = batch(1)
        wrong.add("files", {"path": 7})
        with pytest.raises(pa.ArrowTypeError):
            database.write(wrong)
        database.write(batch(2))
        assert [row["content"] for row in database.rows("SELECT * FROM refusals")] == [refusal(2)["content"]]


def test_a_second_process_is_told_to_wait(out: Path) -> None:
    with CollectionDatabase(out):
        code = (
            "import sys; from pathlib import Path; "
            "from triovision.collections.organiser.database import CollectionDatabase; "
            f"CollectionDatabase(Path({str(out)!r}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "is in use by another process. Wait until it has ended, or end it." in done.stderr


def test_a_folder_without_a_collection_says_so(out: Path) -> None:
    with pytest.raises(CollectionError, match=r"does not exist: the folder holds no collection. Run `triovision"):
        CollectionDatabase(out, read_only=True)


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "scribbled"])
def test_a_damaged_database_is_named_with_the_remedy(out: Path, damage: str) -> None:
    with CollectionDatabase(out) as database:
        database.write(batch(*range(5000)))
    path = out / DATABASE
    data = bytearray(path.read_bytes())
    data[5000:9000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes({"text": b"hello", "empty": b"", "cut": data[:100], "scribbled": data}[damage])
    with pytest.raises(CollectionError, match=r"is damaged, or no database .* Give it another name"):
        CollectionDatabase(out)


def test_tables_of_a_newer_version_are_left_alone(out: Path) -> None:
    CollectionDatabase(out).close()
    with duckdb.connect(str(out / DATABASE)) as connection:
        connection.execute("UPDATE about SET schema_version = schema_version + 1")
    with pytest.raises(CollectionError, match=rf"has version {SCHEMA_VERSION + 1} of the tables.*Update TrioVision"):
        CollectionDatabase(out)


def test_another_database_is_no_collection(out: Path) -> None:
    with duckdb.connect(str(out / DATABASE)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
    with pytest.raises(CollectionError, match="is no database of TrioVision"):
        CollectionDatabase(out)


def test_the_set_of_contents_knows_what_was_added_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triovision.collections.organiser.content_set._MERGE_AT", 10)
    hashes = [np.random.default_rng(seed).bytes(32).hex() for seed in range(105)]
    twins = [hashes[0][:16] + hashes[1][16:], hashes[0][:16] + hashes[2][16:]]  # equal in the first 64 bits
    known = ContentSet([*hashes[:95], twins[0]])
    assert all(content in known for content in [*hashes[:95], twins[0]])
    assert not any(content in known for content in [*hashes[95:], twins[1]])


def places(count: int) -> WeightedPlaces:
    random = np.random.default_rng(0)
    weight = random.random(count)
    return WeightedPlaces(
        lat_deg=random.uniform(-90, 90, count),
        lon_deg=random.uniform(-180, 180, count),
        weight=weight / weight.sum(),
        countries=np.array([("FR", "PE")[number % 2] for number in range(count)]),
        names=[f"Córdoba {number}" for number in range(count)],
        resolution_km=25.0,
    )


def test_a_posterior_comes_back_and_shares_its_places() -> None:
    posterior = places(50)
    packed = packed_posterior(posterior)
    again = unpacked_places(packed.places(), packed.weights)
    np.testing.assert_allclose(again.weight, posterior.weight, rtol=1e-6)
    np.testing.assert_array_equal(again.lat_deg, posterior.lat_deg)
    np.testing.assert_array_equal(again.countries, posterior.countries)
    assert list(again.names) == list(posterior.names)
    assert again.radius_holding_km(0, 0) == pytest.approx(posterior.radius_holding_km(0, 0))
    other = WeightedPlaces(
        lat_deg=posterior.lat_deg,
        lon_deg=posterior.lon_deg,
        weight=posterior.weight[::-1],
        countries=posterior.countries,
        names=posterior.names,
        resolution_km=25.0,
    )
    assert packed_posterior(other).place_set == packed.place_set


def test_of_a_large_posterior_the_most_probable_places_are_kept() -> None:
    posterior = places(3 * MAX_PLACES)
    packed = packed_posterior(posterior)
    again = unpacked_places(packed.places(), packed.weights)
    assert len(again.weight) == MAX_PLACES
    expected = np.sort(posterior.weight)[-MAX_PLACES:]
    np.testing.assert_allclose(np.sort(again.weight), expected / expected.sum(), rtol=1e-5)
