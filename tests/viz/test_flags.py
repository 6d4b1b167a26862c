from base64 import b64decode

import pytest

from triovision.geo.countries import country_name
from triovision.inference import read_card
from triovision.inference.registry import EMBEDDED_MODEL, found_models
from triovision.viz import flags

needs_package = pytest.mark.skipif(not flags.FLAGS.is_dir(), reason="needs the npm packages: make assets")


@needs_package
def test_every_country_of_a_model_has_a_drawing():
    labels = read_card(found_models()[EMBEDDED_MODEL]).labels
    assert [country_name(label) for label in labels if flags.flag_file(label) is None] == []


@pytest.mark.parametrize("code", ["", "..", "../../package", "fr", "EU", "XX", "FR/../DE", "<b>"])
def test_what_is_no_country_code_never_becomes_a_path(code):
    assert flags.flag_file(code) is None
    assert flags.flag_data_uri(code) is None


@needs_package
def test_a_data_address_holds_the_drawing_aligned_to_the_right():
    head, _, data = flags.flag_data_uri("FR").partition(",")
    svg = b64decode(data).decode()
    assert head == "data:image/svg+xml;base64"
    assert svg.startswith('<svg preserveAspectRatio="xMaxYMid" ')
    assert "#000091" in svg  # the blue of the French flag


@needs_package
def test_no_drawing_runs_scripts_or_loads_anything():
    files = list(flags.FLAGS.glob("*.svg"))
    assert len(files) > 240
    for file in files:
        text = file.read_text(encoding="utf-8").lower()
        assert not any(word in text for word in ("<script", "foreignobject", "javascript:", 'href="http')), file.name


def test_without_the_package_there_is_no_drawing(monkeypatch, tmp_path):
    monkeypatch.setattr(flags, "FLAGS", tmp_path)
    assert flags.flag_file("FR") is None
