"""Photos from a link and from Wikimedia Commons; no test leaves this machine."""

import pytest

from triovision.errors import Message, PhotoError
from triovision.ui import photo_sources
from triovision.ui.examples import COMMONS_PHOTOS


@pytest.fixture
def fetched(monkeypatch, china):
    """Addresses that the page fetched; each one is answered with a photo."""
    urls = []

    def fetch(url):
        urls.append(url)
        return "photo from a link.jpg", china

    monkeypatch.setattr(photo_sources, "fetch_photo", fetch)
    return urls


def texts(app):
    return "\n".join(str(element.value) for kind in (app.markdown, app.caption, app.warning) for element in kind)


def send(app, url):
    field = next(field for field in app.text_input if str(field.key).startswith("link-"))
    field.set_value(url)
    next(button for button in app.button if button.label == "Fetch the photo").click().run()
    assert not app.exception


def test_a_photo_behind_a_link_is_predicted(app, fetched):
    send(app.run(), "https://example.org/a.jpg")
    assert fetched == ["https://example.org/a.jpg"]
    (result,) = app.session_state["triovision"].results.values()
    assert result.photo.name == "photo from a link.jpg"
    assert app.header[0].value.startswith("🇵🇪")
    assert "True place" not in texts(app)
    assert not next(field for field in app.text_input if str(field.key).startswith("link-")).value


def test_an_empty_link_asks_nobody(app, fetched):
    send(app.run(), "  ")
    assert not fetched
    assert not app.warning


def test_a_link_into_a_private_network_is_refused_in_words(app):
    send(app.run(), "http://127.0.0.1/<b>a</b>.jpg")
    (warning,) = app.warning
    assert "private network" in warning.value
    assert "<b>" not in warning.value
    assert not app.header
    send(app, "http://127.0.0.1/b.jpg")
    assert len(app.warning) == 1  # the first refusal is gone


def test_an_example_of_the_gallery_tells_its_author_and_the_truth(app, fetched):
    app.run().button(key="example-0").click().run()
    assert not app.exception
    assert fetched == ["https://commons.wikimedia.org/wiki/Special:FilePath/Colosseo_2020.jpg?width=1280"]
    assert "FeaturedPics" in texts(app)
    assert "True place: Colosseum, Rome." in texts(app)


def test_an_example_without_a_network_is_an_error_with_a_remedy(app, monkeypatch):
    def offline(url):
        reason = Message("there is no server of this name, or no network")
        raise PhotoError(url, reason, Message("Check the link and the connection to the Internet"))

    monkeypatch.setattr(photo_sources, "fetch_photo", offline)
    app.run().button(key="example-1").click().run()
    (warning,) = app.warning
    assert "Check the link and the connection to the Internet" in warning.value
    assert not app.session_state["triovision"].results


@pytest.mark.parametrize("photo", COMMONS_PHOTOS, ids=lambda photo: photo.file)
def test_an_example_has_a_licence_and_a_place_on_earth(photo):
    assert photo.licence.startswith("CC BY") == bool(photo.licence_url)
    assert photo.author in photo.credit
    assert " " not in photo.url
    assert abs(photo.place.lat_deg) <= 90
    assert abs(photo.place.lon_deg) <= 180
