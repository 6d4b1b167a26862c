import io
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from triovision.inference import CountryEngine
from triovision.ui.verify_links import place_urls

LIMA = (-12.0464, -77.0428)
TOKYO = (35.6762, 139.6503)


def photo_at(position=None, taken_at="2024:05:06 12:00:00", software="GIMP *2.10*", offset=None):
    """A JPEG with EXIF."""
    exif = Image.Exif()
    exif[Base.Software] = software
    detail = exif.get_ifd(IFD.Exif)
    detail[Base.DateTimeOriginal] = taken_at
    if offset:
        detail[Base.OffsetTimeOriginal] = offset
    if position:
        gps = exif.get_ifd(IFD.GPSInfo)
        lat_deg, lon_deg = position
        gps[GPS.GPSLatitudeRef], gps[GPS.GPSLatitude] = "S" if lat_deg < 0 else "N", (abs(lat_deg), 0.0, 0.0)
        gps[GPS.GPSLongitudeRef], gps[GPS.GPSLongitude] = "W" if lon_deg < 0 else "E", (abs(lon_deg), 0.0, 0.0)
    data = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 200)).save(data, "JPEG", exif=exif)
    return data.getvalue()


@pytest.fixture
def open_verify(app, monkeypatch):
    """Opens the page with a photo (predicted: Peru, 90 %); a second run of the model fails the test."""

    def open_(data, language="en"):
        app.run()
        app.session_state["language"] = language
        app.switch_page("pages/verify.py").run()
        app.file_uploader[0].set_value([("photo.jpg", data, "image/jpeg")])
        app.run()
        assert not app.exception

        def fail(*_):
            raise AssertionError("the model ran again")

        monkeypatch.setattr(CountryEngine, "logits", fail)
        return app

    return open_


def text(elements):
    return " ".join(element.value.replace("\\", "") for element in elements)


def button(app, label):
    return next(button for button in app.button if button.label == label)


def result(app):
    (result,) = app.session_state["triovision"].results.values()
    return result


def number(app, label, value):
    return next(box for box in app.number_input if box.label == label).set_value(value)


def test_a_file_that_agrees_with_the_picture(open_verify):
    app = open_verify(photo_at(LIMA))
    assert r"GIMP \*2\.10\*" in app.table[0].value.to_string()
    assert text(app.success).startswith("The picture agrees with the claimed place: it lies ")
    assert "The model gives Peru a probability of 90%. It is in the set" in text(app.caption)
    # In May the sun stands in the north of Lima, 90 - 12.05 - 16.6 = 61.3 degrees high at noon.
    assert "12:00 GMT-05:00, the sun stood 61." in text(app.markdown)
    assert not app.error


def test_a_file_that_contradicts_the_picture_and_the_sun(open_verify):
    app = open_verify(photo_at(TOKYO, "2024:05:06 23:30:00"))
    assert text(app.error).startswith("The picture contradicts the claimed place: it lies 15,")
    assert "Japan is not among the probable countries" in text(app.error)
    assert "It was night: a photo in daylight cannot be from this place and time." in text(app.warning)


def test_a_claim_is_entered_by_hand_and_kept_on_another_page(open_verify):
    app = open_verify(photo_at())
    assert "The file has no position." in text(app.info)
    number(app, "Latitude (°)", LIMA[0])
    number(app, "Longitude (°)", LIMA[1])
    app.run()
    assert text(app.success).startswith("The picture agrees")
    assert "12:00 GMT-05:00, the sun stood" in text(app.markdown)  # the clock of the camera, taken as Lima's
    app.switch_page("pages/about.py").run()
    app.switch_page("pages/verify.py").run()
    assert text(app.success).startswith("The picture agrees")


def test_the_clock_of_another_time_zone_is_told(open_verify):
    app = open_verify(photo_at(LIMA, offset="+09:00"))  # 12:00 in Tokyo is 22:00 the day before in Lima
    assert "5 May 2024, 22:00 GMT-05:00" in text(app.warning)
    assert "The clock of the camera was set to another time zone: 6 May 2024, 12:00 GMT+09:00" in text(app.warning)


def test_a_model_that_abstains_does_not_judge(open_verify, write_model):
    write_model(abstention_threshold=0.99)
    app = open_verify(photo_at(TOKYO))
    assert "The model is not sure enough to say" in text(app.info)
    assert not app.error


def test_a_shadow_is_evidence_and_is_taken_away_again(open_verify):
    app = open_verify(photo_at(LIMA))
    before = result(app).prediction
    number(app, "Height of the object", 1.8)
    number(app, "Length of its shadow", 1.0)
    app.run()
    assert "The sun stood 60.9° above the horizon." in text(app.markdown)  # arc tangent of 1.8
    button(app, "Use the shadow as evidence").click().run()
    assert not app.exception
    shadowed = result(app).prediction
    band = shadowed.evidence.shadow
    assert band.contains(shadowed.posterior.lat_deg, shadowed.posterior.lon_deg).all()
    assert sum(guess.probability for guess in shadowed.countries) == pytest.approx(1, abs=1e-12)
    agrees = band.contains(before.posterior.lat_deg, before.posterior.lon_deg)
    assert shadowed.evidence_probability == pytest.approx(before.posterior.weight[agrees].sum())
    assert "of the 18 countries that the model knows" in text(app.caption)
    assert "The model alone gave this a probability of" in text(app.caption)
    button(app, "Remove").click().run()
    assert result(app).prediction is before


def test_pieces_combine_and_each_is_taken_away(open_verify, open_form):
    app = open_form(open_verify(photo_at(LIMA)))
    name = f"known-{result(app).id}"
    app.multiselect(key=f"{name}-language").set_value(["es"])
    app.selectbox(key=f"{name}-driving_side").set_value("right")
    button(app, "Apply").click().run()
    countries = {guess.country for guess in result(app).prediction.countries}
    assert {"PE", "ES", "MX", "US"} <= countries
    assert not countries & {"GB", "JP", "CN", "DE"}
    assert "It leaves 13 of the 18 countries" in text(app.caption)  # all but GB, IN, JP, TH, ZA: 13
    button(app, "Remove").click().run()
    assert not app.exception
    assert [clue.kind for clue in result(app).prediction.evidence.clues] == ["driving_side"]
    assert app.multiselect(key=f"{name}-language").value == []
    assert app.selectbox(key=f"{name}-driving_side").value == "right"


def test_a_claim_outside_of_the_evidence_is_told(open_verify, open_form):
    app = open_form(open_verify(photo_at(TOKYO)))
    app.selectbox(key=f"known-{result(app).id}-driving_side").set_value("right")
    button(app, "Apply").click().run()
    assert "The claimed place does not agree with this." in text(app.markdown)


def test_a_shadow_that_no_place_agrees_with_is_an_error(open_verify, open_form):
    app = open_form(open_verify(photo_at(LIMA, "2024:05:06 12:00:00")))
    app.selectbox(key=f"known-{result(app).id}-country").set_value("JP")
    button(app, "Apply").click().run()
    number(app, "Height of the object", 1.8)
    number(app, "Length of its shadow", 1.0)
    app.run()
    button(app, "Use the shadow as evidence").click().run()  # it is night in Japan
    assert not app.exception
    assert "no place that the model considers agrees with it" in text(app.error)
    assert result(app).prediction.evidence.shadow is None


def test_a_length_of_zero_is_an_error_in_words(open_verify):
    app = open_verify(photo_at(LIMA))
    number(app, "Height of the object", 1.8)
    number(app, "Length of its shadow", 0.0)
    app.run()
    assert "must be above 0" in text(app.error)
    assert not [button for button in app.button if button.label == "Use the shadow as evidence"]


def test_it_speaks_french(open_verify):
    app = open_verify(photo_at(LIMA), "fr")
    assert "accorde avec le lieu annoncé\u00a0: il est à" in text(app.success)


def test_links_name_the_place_and_open_nothing_by_themselves():
    street, osm, satellite, overpass = place_urls(*LIMA)
    assert street == "https://www.google.com/maps/@?api=1&map_action=pano&viewpoint=-12.046400,-77.042800"
    assert osm.startswith("https://www.openstreetmap.org/?mlat=-12.046400&mlon=-77.042800#map=")
    assert "basemap=satellite" in satellite
    query = parse_qs(urlsplit(overpass).query)
    assert 'nwr(around:500,-12.046400,-77.042800)["name"];' in query["Q"][0]
    assert query["C"] == ["-12.046400;-77.042800;17"]
