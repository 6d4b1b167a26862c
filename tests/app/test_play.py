import io
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from triovision.inference import CountryEngine
from triovision.photo.web import WebLimits, fetch_photo
from triovision.ui import photo_sources


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


@pytest.fixture
def commons(monkeypatch, china):
    """Stand-in for Wikimedia Commons on this machine: answers `served` requests with a photo, later ones with 503."""

    class Commons(BaseHTTPRequestHandler):
        served, paths = 4, []

        def do_GET(self):
            self.paths.append(self.path)
            found = len(self.paths) <= self.served
            self.send_response(200 if found else 503)
            self.end_headers()
            self.wfile.write(china if found else b"")

        def log_message(self, *_):
            pass

    def fetch(url):
        path = url.removeprefix("https://commons.wikimedia.org")
        limits = WebLimits(ports=frozenset({server.server_port}), allowed=lambda _: True)
        return fetch_photo(f"http://127.0.0.1:{server.server_port}{path}", limits)

    monkeypatch.setattr(photo_sources, "fetch_photo", fetch)
    with ThreadingHTTPServer(("127.0.0.1", 0), Commons) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Commons
        server.shutdown()
        thread.join()


def test_photos_of_the_gallery_join_the_game_when_asked(play, commons):
    assert not commons.paths
    app = play.button(key="play-commons").click().run()
    assert not app.exception
    assert commons.paths[0] == "/wiki/Special:FilePath/Colosseo_2020.jpg?width=1280"
    assert app.button(key="play-start").label == "Start: 5 rounds"
    assert "4 photos from Wikimedia Commons are in the game." in texts(app)
    assert not [button for button in app.button if button.key == "play-commons"]
    app.checkbox(key="play-example").uncheck().run()
    assert app.button(key="play-start").label == "Start: 4 rounds"
    app.button(key="play-start").click().run()
    assert not {"FeaturedPics", "Colosseo", "Agra"} & set(texts(app).replace(",", " ").split())
    app.text_input(key="play-city").input("Rome").run()
    confirm(app)
    assert any(word in texts(app) for word in ("FeaturedPics", "Martin St-Amant", "Yann", "Gorgo"))
    assert len(commons.paths) == 4


def test_what_could_be_fetched_is_kept_and_the_game_goes_on(play, commons):
    commons.served = 1
    app = play.button(key="play-commons").click().run()
    (warning,) = app.warning
    assert "the server responded with 503" in warning.value.replace("\\", "")
    assert "You can play without these photos." in warning.value
    assert len(commons.paths) == 2
    app.run()
    assert app.button(key="play-start").label == "Start: 2 rounds"
    assert app.button(key="play-commons").label == "Add 3 photos from Wikimedia Commons"


def test_another_model_selected_during_the_game_does_not_play(play, write_model):
    folder = write_model()
    other = shutil.copytree(folder, folder.with_name("other.test"))
    card = json.loads((other / "card.json").read_text())
    card |= {"id": other.name, "labels": card["labels"][1:] + card["labels"][:1]}  # predicts France, not Peru
    (other / "card.json").write_text(json.dumps(card))
    app = start(play, ("a.jpg", photo(lat=45)))
    app.session_state["triovision"].choose(other.name)
    app.number_input(key="play-lat").set_value(45.0)
    app.number_input(key="play-lon").set_value(0.0)
    confirm(app)
    assert not app.exception
    duel = app.session_state["play-duel"]
    assert duel.model == folder.name
    assert duel.rounds[0].model.position[0] < 0  # in Peru
