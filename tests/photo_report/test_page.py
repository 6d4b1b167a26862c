import base64
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from triovision.languages import ENGLISH
from triovision.prediction_texts import area_title
from triovision.results import Photo

HOSTILE = "<img src=x onerror=alert(1)>\"'{{ 7*7 }}</title></style><script>alert(1)</script>.jpg"
VOID = {"meta", "img", "br", "rect", "circle", "path"}


class Parsed(HTMLParser):
    """Tags with their attributes, and all text; fails on tags that do not match."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def images(self):
        return [attrs for tag, attrs in self.tags if tag == "img"]


def decoded(uri):
    head, _, content = uri.partition(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_a_report_has_the_words_of_the_page(page, explanation):
    parsed = Parsed(page(explanation=explanation, evidence="Restricted to what you know: Europe."))
    for words in (
        "Around Paris, France (within 100 km)",
        "Half of the probability lies within 100 km of Paris.",
        "It could also be: Canada.",
        "85%",
        "Paris (48.857°, 2.352°)",
        "Restricted to what you know: Europe.",
        "Bright areas contributed most to France",
        "made.by_hand",
        "Calibrated on: 12 photos <b>",
        "May 6, 2026",
        "not a proof",
    ):
        assert words in parsed.text
    assert "Fairly sure · 85%" in parsed.text
    assert len(parsed.images()) == 2


def test_a_report_says_what_the_colours_of_a_contrast_mean(page, explanation):
    contrast = replace(explanation, against="CA", signed=True, heatmap_hw=explanation.heatmap_hw * 2 - 1)
    parsed = Parsed(page(explanation=contrast))
    assert "Orange speaks for France, blue for Canada." in parsed.text
    assert "Heat map for France and not Canada" in [image["alt"] for image in parsed.images()]


def test_a_report_speaks_french(page):
    parsed = Parsed(page("fr"))
    assert dict(parsed.tags)["html"] == {"lang": "fr"}
    assert "Assez sûr" in parsed.text
    assert "85\u202f%" in parsed.text
    assert "6 mai 2026" in parsed.text


def test_everything_is_in_the_file(page, explanation):
    parsed = Parsed(page(explanation=explanation))
    policy = next(attrs["content"] for tag, attrs in parsed.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    for tag, attrs in parsed.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attrs)
        assert all(attrs[name].startswith("data:") for name in ("src", "href", "srcset", "xlink:href") if name in attrs)
    style = page(explanation=explanation).partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_photos_are_new_files_without_metadata_of_at_most_1600_px(page, explanation):
    written = page(explanation=explanation)
    photo, heat = (decoded(image["src"]) for image in Parsed(written).images())
    assert max(photo.size) <= 1600
    assert photo.size[0] == 2 * photo.size[1]
    for image in (photo, heat):
        assert not image.getexif()
        assert not {"comment", "icc_profile", "exif", "xmp"} & image.info.keys()
    assert "SECRET" not in written


def test_what_the_camera_wrote_is_shown_only_on_demand(page):
    private = page()
    assert "38.72" not in private
    assert "Pinhole" not in private
    assert 'class="camera"' not in private
    camera_only = page(facts=frozenset({"camera"}))
    assert "Acme Pinhole 7" in camera_only
    assert "38.72" not in camera_only
    everything = page(facts=frozenset({"camera", "position", "taken"}))
    assert "38.72000°, -9.14000°" in everything
    assert 'class="camera"' in everything
    assert "not in the file" in everything  # the time


@pytest.mark.parametrize("language", ["en", "fr"])
def test_names_from_outside_stay_text(page, language):
    sound = page(language)
    pixels = _photo(HOSTILE)
    hostile = page(
        language, photo=pixels, evidence=HOSTILE, credit=f"[{HOSTILE}](javascript:alert(1))", fitted_on=HOSTILE
    )
    parsed = Parsed(hostile)
    assert HOSTILE in parsed.text
    tags = [tag for tag, _ in parsed.tags]
    assert "script" not in tags
    assert tags.count("img") == 1
    assert sound.count("<style>") == hostile.count("<style>")


def test_an_uncalibrated_model_gets_no_percentages(page, prediction_of):
    text = Parsed(page(prediction=prediction_of(calibrated=False), fitted_on="")).text
    assert "Uncalibrated" in text
    assert "85%" not in text


def test_title_is_the_one_of_the_library(page, prediction_of):
    prediction = prediction_of()
    assert area_title(prediction.area, ENGLISH) in Parsed(page(prediction=prediction)).text


def _photo(name):
    return Photo(
        name=name,
        image_hwc=np.zeros((20, 30, 3), np.uint8),
        original_width_px=30,
        original_height_px=20,
        format="JPEG",
    )
