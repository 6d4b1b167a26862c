import json

import pytest

from triovision.bundle import ASSETS
from triovision.ui import animations

DRAWINGS = sorted((ASSETS / "animations").glob("*.json"))


def test_there_is_a_drawing_for_each_step():
    assert [path.stem for path in DRAWINGS] == ["analysing", "loading", "success"]


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_is_small_and_loads_nothing(path):
    text = path.read_text(encoding="utf-8")
    drawing = json.loads(text)
    assert len(text) < 5000
    assert drawing["assets"] == []  # no images, no fonts
    assert "http" not in text
    assert 0.5 <= (drawing["op"] - drawing["ip"]) / drawing["fr"] <= 3  # seconds
    assert all(layer["ty"] == 4 and layer["shapes"] for layer in drawing["layers"])  # shapes only: no expressions


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_has_a_still_of_the_same_size_and_colours(path):
    drawing = json.loads(path.read_text(encoding="utf-8"))
    still = path.with_suffix(".svg").read_text(encoding="utf-8")
    assert f'viewBox="0 0 {drawing["w"]} {drawing["h"]}"' in still
    fills = {tuple(item["c"]["k"]) for layer in drawing["layers"] for item in layer["shapes"][0]["it"] if "c" in item}
    names = {"#" + "".join(f"{round(part * 255):02x}" for part in fill[:3]) for fill in fills}
    assert all(name in still or name == "#ffffff" for name in names)


def test_no_player_is_asked_for_where_it_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(animations, "PLAYER", tmp_path / "lottie_light.min.js")
    assert animations._player() is None
