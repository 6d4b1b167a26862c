"""Pages whose photos leave memory: after a time without use, while other photos are shown, and once they are read."""

import io

import numpy as np
import pytest
from PIL import Image

from triovision.errors import Message, PhotoError
from triovision.inference import country_classifier
from triovision.photo import read_photo
from triovision.ui import session, stored_photo
from triovision.ui.memory_budget import MemoryBudget


def jpeg(color):
    buffer = io.BytesIO()
    Image.new("RGB", (80, 60), color).save(buffer, format="JPEG")
    return buffer.getvalue()


def drop(app, *files):
    app.file_uploader[0].set_value([(name, data, "image/jpeg") for name, data in files]).run()
    assert not app.exception
    return app


@pytest.fixture
def room_for_one(monkeypatch):
    monkeypatch.setattr(stored_photo, "_pixels", stored_photo._RecentPixels(1))


def test_photos_of_an_unused_page_are_gone_and_it_says_so_until_others_come(app, china):
    drop(app.run(), ("china.jpg", china))
    app.session_state["triovision"].empty()
    app.run()
    assert not app.exception
    (notice,) = app.info
    assert "was not used for 60 minutes" in notice.value
    assert not app.header
    drop(app, ("china.jpg", china))
    assert not app.info
    assert "Peru" in app.header[0].value


def test_refused_uploads_are_told_once(app):
    app.run()
    app.session_state["triovision"].refused_uploads = 3
    app.run()
    assert app.warning[0].value.startswith(
        "3 files were not taken: your photos have no more room in the server's memory."
    )
    app.run()
    assert not app.warning


@pytest.mark.usefixtures("room_for_one")
def test_all_photos_can_be_shown_while_one_of_them_has_pixels(app):
    colors = ("red", "green", "blue")
    drop(app.run(), *((f"{color}.jpg", jpeg(color)) for color in colors))
    results = app.session_state["triovision"].results
    for key, result in results.items():
        app.session_state["shown"] = key
        app.run()
        assert not app.exception
        right = read_photo(jpeg(result.stored.name[:-4]), "").image_hwc
        assert np.array_equal(result.photo.image_hwc, right)
    in_memory = [result.stored.held_bytes > 80 * 60 * 3 for result in results.values()]
    assert in_memory == [False, False, True]


@pytest.mark.usefixtures("room_for_one")
def test_a_photo_that_cannot_be_decoded_again_is_worded(app, monkeypatch):
    class Busy:
        def read(self, _data, name):
            raise PhotoError(name, Message("it waited too long for other photos that are being read"), "Try again")

    drop(app.run(), ("red.jpg", jpeg("red")), ("green.jpg", jpeg("green")))
    results = app.session_state["triovision"].results
    results[app.session_state["shown"]].stored.drop_pixels()
    with monkeypatch.context() as busy:
        busy.setattr(stored_photo, "decoder_pool", Busy)
        app.run()
        assert not app.exception
        assert "waited too long" in app.error[0].value
    app.run()
    assert not app.error
    assert "Peru" in app.header[0].value


def test_a_model_that_fails_on_the_second_photo_leaves_the_first_one_and_a_page_that_works(app, monkeypatch):
    forward, seen = country_classifier.forward, []

    def fail_second(*args):
        seen.append(1)
        if len(seen) > 1:
            raise MemoryError
        return forward(*args)

    app.run()
    with monkeypatch.context() as broken:
        broken.setattr(country_classifier, "forward", fail_second)
        drop(app, ("red.jpg", jpeg("red")), ("green.jpg", jpeg("green")))
        assert "The model cannot be used." in app.error[0].value
        assert [one.stored.name for one in app.session_state["triovision"].results.values()] == ["red.jpg"]
    app.run()
    assert not app.exception
    assert not app.error
    assert [one.stored.name for one in app.session_state["triovision"].results.values()] == ["red.jpg", "green.jpg"]


def test_an_upload_is_empty_once_its_photo_is_predicted(app, monkeypatch):
    left, release = [], session.release_uploads

    def noted(files, field):
        release(files, field)
        left.extend(len(file.getvalue()) for file in files)

    monkeypatch.setattr("triovision.ui.upload.release_uploads", noted)
    drop(app.run(), ("red.jpg", jpeg("red")), ("green.jpg", jpeg("green")))
    assert left == [0, 0]


def test_a_link_is_not_fetched_where_there_is_no_room(app, monkeypatch):
    monkeypatch.setattr("triovision.ui.photo_sources.memory_budget", lambda: MemoryBudget(1000))
    monkeypatch.setattr("triovision.ui.photo_sources.fetch_photo", lambda _: pytest.fail("fetched"))
    app.run()
    app.text_input[0].input("https://photos.example/a.jpg")
    next(button for button in app.button if button.label == "Fetch the photo").click().run()
    assert not app.exception
    assert "your photos have no more room in the server's memory" in app.warning[0].value.replace("\\", "")
