import io
import json
import zipfile

import pytest
from PIL import Image

from triovision.collections.entries import CorrectedPosition
from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.progress import Progress, RunOptions
from triovision.collections.organiser.run import organise
from triovision.inference import load_model
from triovision.ui import collection_state


def jpeg(colour, taken_at=None):
    image, exif = Image.new("RGB", (80, 60), colour), Image.Exif()
    if taken_at:
        exif.get_ifd(0x8769)[0x9003] = taken_at
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(f"trip/{name}.jpg", data)
    return buffer.getvalue()


@pytest.fixture
def page(app):
    return app.run().switch_page("pages/collection.py").run()


def drop(page, *files):
    page.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files])
    page.run()
    assert not page.exception
    return page


def found(page):
    return page.session_state["collection"]


def downloads(page):
    return [element.proto.label for element in page.get("download_button")]


def test_photos_and_archives_become_one_table(page):
    drop(
        page,
        ("red.jpg", jpeg("red")),
        ("more.zip", archive(green=jpeg("green"), again=jpeg("red"), broken=b"\xff\xd8\xff\xe0")),
    )
    assert [entry.name for entry in found(page).entries.values()] == ["red.jpg", "trip/green.jpg"]
    table = page.dataframe[0].value
    assert table["name"].tolist() == ["red.jpg", "trip/green.jpg"]
    assert set(table["country"]) == {"Peru"}
    assert "1 file could not be used" in [expander.label for expander in page.expander]
    assert "trip/broken\\.jpg" in "".join(element.value for element in page.markdown)
    assert downloads(page)[:5] == ["CSV", "GeoJSON", "KMZ", "GPX", "GeoParquet"]


def test_a_broken_archive_is_named_and_the_rest_goes_on(page):
    drop(page, ("cut.zip", archive(a=jpeg("red"))[:60]), ("blue.jpg", jpeg("blue")))
    assert [entry.name for entry in found(page).entries.values()] == ["blue.jpg"]
    assert found(page).faults[0].subject == "cut.zip"


def test_the_collection_is_bounded(page, monkeypatch):
    monkeypatch.setattr("triovision.ui.collection_intake.MAX_PHOTOS", 1)
    drop(page, ("a.jpg", jpeg("red")), ("b.jpg", jpeg("blue")))
    assert len(found(page).entries) == 1
    assert "already holds 1 photos" in str(found(page).faults[0])


def test_filters_choose_what_is_shown(page):
    drop(page, ("a.jpg", jpeg("red")), ("b.jpg", jpeg("blue")))
    page.selectbox(key="collection-kind").select("unsure").run()
    assert "0 of 2 photos" in [caption.value for caption in page.caption]
    page.selectbox(key="collection-kind").select("sure").run()
    assert "2 of 2 photos" in [caption.value for caption in page.caption]


def test_a_track_corrects_positions_and_undo_takes_it_back(page):
    drop(page, ("a.jpg", jpeg("red", "2024:05:06 12:05:00")), ("b.jpg", jpeg("blue")))
    points = "".join(
        f'<trkpt lat="{lat}" lon="2.0"><time>2024-05-06T12:{minute:02d}:00Z</time></trkpt>'
        for lat, minute in ((48.0, 0), (49.0, 10))
    )
    gpx = f'<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    page.file_uploader(key="collection-track").set_value(("t.gpx", gpx.encode(), "application/gpx+xml")).run()
    page.button(key="collection-use-track").click().run()
    assert not page.exception
    first, second = found(page).entries.values()
    assert first.position == pytest.approx((48.5, 2.0))
    assert first.position_origin == "track"
    assert second.corrected is None
    page.button(key="collection-undo").click().run()
    assert next(iter(found(page).entries.values())).corrected is None


def test_photos_of_one_hour_are_fused_and_separated_again(page):
    drop(page, ("a.jpg", jpeg("red", "2024:05:06 12:00:00")), ("b.jpg", jpeg("blue", "2024:05:06 12:30:00")))
    page.toggle(key="collection-fusion").set_value(True).run()
    assert all(entry.fused for entry in found(page).entries.values())
    page.toggle(key="collection-fusion").set_value(False).run()
    assert not any(entry.fused for entry in found(page).entries.values())


def test_fusion_is_repeated_for_another_position_only(page):
    drop(page, ("a.jpg", jpeg("red", "2024:05:06 12:00:00")), ("b.jpg", jpeg("blue", "2024:05:06 12:30:00")))
    page.toggle(key="collection-fusion").set_value(True).run()
    fused = next(iter(found(page).entries.values())).fused
    page.slider(key="collection-least").set_value(5).run()
    assert next(iter(found(page).entries.values())).fused is fused
    corrected = list(found(page).entries)[1]
    found(page).correct({corrected: CorrectedPosition(48.0, 2.0, "hand")})
    page.run()
    assert next(iter(found(page).entries.values())).fused is not fused


def test_clear_empties_everything(page):
    drop(page, ("a.jpg", jpeg("red")))
    page.button(key="collection-clear").click().run()
    assert found(page).entries == {}
    assert found(page).files == {}


def test_files_beyond_the_budget_are_not_kept(page, monkeypatch):
    monkeypatch.setattr(collection_state, "MAX_FILE_BYTES", 10)
    drop(page, ("a.jpg", jpeg("red")))
    assert found(page).files == {}
    texts = [caption.value for caption in page.caption]
    assert "The file of 1 photo was not kept, so that archives and copies leave it out." in texts


def test_the_dry_run_says_why_nothing_is_written(page):
    drop(page, ("a.jpg", jpeg("red")))
    page.slider(key="collection-write-min").set_value(100).run()
    plan = page.dataframe[1].value
    assert plan["File"].tolist() == ["a.jpg"]
    assert plan["What would be written"].tolist() == [""]
    assert "is below 1.00" in json.dumps(plan["Why not"].tolist())


@pytest.fixture
def stored(app, tmp_path, monkeypatch):  # noqa: ARG001 - it writes the model
    """A stored collection of three photos, of which the page shows two."""
    photos = tmp_path / "holiday"
    (photos / "day 2").mkdir(parents=True)
    for name, colour in (("day 2/green.jpg", "green"), ("red.jpg", "red"), ("white.jpg", "white")):
        (photos / name).write_bytes(jpeg(colour))
    with CollectionDatabase(tmp_path / "answers") as database:
        organise(database, load_model(device="cpu"), [photos], RunOptions(), Progress())
    monkeypatch.setattr(collection_state, "MAX_PHOTOS", 2)
    monkeypatch.setenv(collection_state.COLLECTION_VARIABLE, str(tmp_path / "answers"))
    return photos


def test_a_stored_collection_is_there_from_the_start(stored, page):
    assert [entry.name for entry in found(page).entries.values()] == ["day 2/green.jpg", "red.jpg"]
    assert page.dataframe[0].value["name"].tolist() == ["day 2/green.jpg", "red.jpg"]
    assert "The collection holds 3 photos; this page shows the first ones." in [one.value for one in page.caption]
    entry = list(found(page).entries.values())[1]
    assert found(page).read_file(entry) == (stored / "red.jpg").read_bytes()
    assert entry.prediction.posterior.weight.size > 5
    assert "Sorted by country (ZIP)" in downloads(page)
    drop(page, ("blue.jpg", jpeg("blue")))
    assert [entry.name for entry in found(page).entries.values()] == ["day 2/green.jpg", "red.jpg", "blue.jpg"]
    page.button(key="collection-clear").click().run()
    assert not found(page).entries
    assert (stored / "red.jpg").exists()


def test_a_collection_that_cannot_be_opened_says_why(app, tmp_path, monkeypatch):
    monkeypatch.setenv(collection_state.COLLECTION_VARIABLE, str(tmp_path / "nothing"))
    page = app.run().switch_page("pages/collection.py").run()
    assert not page.exception
    assert "the folder holds no collection" in "".join(element.value for element in page.markdown)
