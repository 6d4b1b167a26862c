import json

import folium
import pytest
from folium.plugins import Fullscreen

from triovision.bundle import NODE_MODULES
from triovision.viz.leaflet import PACKAGES, PUBLIC_CDN, LeafletSource, missing_files

PACKAGE_JSON = NODE_MODULES.parent / "package.json"


def test_the_same_versions_come_from_npm_and_from_the_cdn():
    pinned = json.loads(PACKAGE_JSON.read_text())["dependencies"]
    assert {name: package.version for name, package in PACKAGES.items()}.items() <= pinned.items()
    assert not any(version.startswith(("^", "~")) for version in pinned.values())


def test_the_lock_file_pins_every_package_by_hash_and_names_no_registry():
    packages = json.loads((NODE_MODULES.parent / "package-lock.json").read_text())["packages"]
    installed = [package for path, package in packages.items() if path]
    assert all(package["integrity"].startswith("sha512-") for package in installed)
    assert not any("resolved" in package for package in installed)


def test_two_maps_load_from_two_sources_and_the_class_stays_as_it_is():
    before = list(Fullscreen.default_js), list(folium.Map.default_js)
    near, far = Fullscreen(), Fullscreen()
    LeafletSource("../packages/{package}/{path}").equip(near, "leaflet.fullscreen", "en")
    PUBLIC_CDN.equip(far, "leaflet.fullscreen", "en")
    assert near.default_js == [("leaflet.fullscreen", "../packages/leaflet.fullscreen/Control.FullScreen.js")]
    assert far.default_css[0][1] == "https://cdn.jsdelivr.net/npm/leaflet.fullscreen@3.0.2/Control.FullScreen.css"
    assert (Fullscreen.default_js, folium.Map.default_js) == before


@pytest.mark.parametrize(("language", "file"), [("fr", "leaflet-measure.fr.js"), ("ja", "leaflet-measure.en.js")])
def test_the_measuring_tool_speaks_the_readers_language_or_english(language, file):
    element = Fullscreen()
    PUBLIC_CDN.equip(element, "leaflet-measure", language)
    assert element.default_js[0][1].endswith(f"/dist/{file}")


def test_missing_files_are_named(tmp_path):
    everything = missing_files(tmp_path)
    assert "leaflet/dist/leaflet.js" in everything
    assert "leaflet-measure/dist/leaflet-measure.fr.js" in everything
    for file in everything:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert missing_files(tmp_path) == []
    (tmp_path / "leaflet-draw/dist/leaflet.draw.css").unlink()
    assert missing_files(tmp_path) == ["leaflet-draw/dist/leaflet.draw.css"]


@pytest.mark.skipif(not NODE_MODULES.exists(), reason="needs the npm packages: make assets")
def test_the_installed_packages_are_whole():
    assert missing_files(NODE_MODULES) == []
