import io
from datetime import date, time

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from triovision.inference import CountryEngine

LIMA = (-12.0464, -77.0428)
TOKYO = (35.6762, 139.6503)


def photo_at(position=None, taken_at="2024:05:06 12:00:00", software="GIMP *2.10*"):
    """A JPEG with EXIF."""
    exif = Image.Exif()
    exif[Base.Software] = software
    detail = exif.get_ifd(IFD.Exif)
    detail[Base.DateTimeOriginal] = taken_at
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


def test_try(open_verify):
    app = open_verify(photo_at(LIMA))
    print(text(app.success), text(app.error), text(app.info), text(app.caption), text(app.markdown), text(app.warning))
    assert 0
