import io

import numpy as np
import pytest
from PIL import Image

from triovision.inference import CountryEngine


@pytest.fixture
def play(app):
    app.run()
    app.switch_page("pages/play.py").run()
    assert not app.exception
    return app


def photo(lat=None, seed=0):
    """JPEG of noise, with a position on the meridian of Greenwich if a latitude (whole degrees) is given."""
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    exif = Image.Exif()
    if lat is not None:
        exif.get_ifd(0x8825).update({1: "N", 2: (lat, 0, 0), 3: "E", 4: (0, 0, 0)})
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def texts(app):
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.warning)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def confirm(app):
    return next(button for button in app.button if button.label == "Confirm").click().run()


def start(app, *files):
    if files:
        app.file_uploader[0].set_value([(name, data, "image/jpeg") for name, data in files]).run()
    app.button(key="play-start").click().run()
    assert not app.exception
    return app


def test_a_round_is_played_with_a_city(play):
    app = start(play)
    assert "china" not in texts(app).lower()
    assert [image.proto.imgs[0].alt for image in app.get("image")] == ["Photo of round 1"]
    app.text_input(key="play-city").input("Pékin").run()
    assert app.number_input(key="play-lat").value == pytest.approx(39.9, abs=0.1)
    confirm(app)
    assert not app.exception
    assert "This round is yours." in texts(app)  # the untrained model says Peru
    assert "china" in texts(app)
    app.button(key="play-next").click().run()
    assert "You win" in app.header[0].value
    assert {"Game (JSON)", "Game (CSV)"} <= {button.label for button in app.get("download_button")}
    app.button(key="play-new").click().run()
    assert app.button(key="play-start").label == "Start: 1 round"


def test_coordinates_are_answers_too_and_an_empty_one_is_refused(play):
    app = start(play)
    confirm(app)
    assert "Choose a point first" in texts(app)
    app.number_input(key="play-lat").set_value(39.9988)
    app.number_input(key="play-lon").set_value(116.2746)
    confirm(app)
    assert "0.0 km off, 5,000 points" in texts(app)


def test_neither_name_nor_position_reaches_the_model(play, monkeypatch):
    seen = []
    predict = CountryEngine.predict
    monkeypatch.setattr(
        CountryEngine,
        "predict",
        lambda self, photos, top_k=5: seen.extend(photos) or predict(self, photos, top_k),
    )
    app = start(play, ("secret.jpg", photo(lat=51)))
    app.number_input(key="play-lat").set_value(51.0)
    app.number_input(key="play-lon").set_value(0.0)
    confirm(app)
    (shot,) = seen
    assert (shot.name, shot.camera.position) == ("", None)


def test_photos_without_a_position_are_named_and_left_out(play):
    files = [("a*b.jpg", photo(seed=1)), ("broken.jpg", b"no photo"), ("ok.jpg", photo(lat=10, seed=2))]
    play.file_uploader[0].set_value([(name, data, "image/jpeg") for name, data in files]).run()
    warnings = [warning.value for warning in play.warning]
    assert len(warnings) == 2
    assert r"a\*b\.jpg" in warnings[0]
    assert play.button(key="play-start").label == "Start: 2 rounds"


def test_a_game_has_at_most_five_rounds_and_survives_another_page(play):
    files = [(f"{number}.jpg", photo(lat=number + 1, seed=number)) for number in range(6)]
    app = start(play, *files)
    assert app.metric[0].value == "1 / 5"
    app.text_input(key="play-city").input("London").run()
    confirm(app)
    score = app.metric[1].value
    assert score != "0"
    app.switch_page("pages/about.py").run()
    app.switch_page("pages/play.py").run()
    assert app.metric[0].value == "1 / 5"
    assert app.metric[1].value == score
    app.button(key="play-next").click().run()
    assert app.metric[0].value == "2 / 5"
    assert app.number_input(key="play-lat").value is None


def test_an_unknown_city_is_reported(play):
    app = start(play)
    app.text_input(key="play-city").input("<b>Xqzzy</b>").run()
    assert "No city of 15,000 inhabitants or more is called" in texts(app)
    assert app.number_input(key="play-lat").value is None
