"""Addresses of Leaflet, its plugins and their style sheets: local files or the public CDN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from folium.elements import JSCSSMixin


@dataclass(frozen=True, slots=True)
class Package:
    """Script and style sheet of one npm package. `{language}` in a path is replaced by one of `LANGUAGES`."""

    version: str
    script: str
    style: str


PACKAGES: Final = {
    "leaflet": Package("1.9.4", "dist/leaflet.js", "dist/leaflet.css"),
    "leaflet-draw": Package("1.0.4", "dist/leaflet.draw.js", "dist/leaflet.draw.css"),
    "leaflet-measure": Package("3.1.0", "dist/leaflet-measure.{language}.js", "dist/leaflet-measure.css"),
    "leaflet-minimap": Package("3.6.1", "dist/Control.MiniMap.min.js", "dist/Control.MiniMap.min.css"),
    "leaflet.fullscreen": Package("3.0.2", "Control.FullScreen.js", "Control.FullScreen.css"),
    "leaflet.markercluster": Package("1.5.3", "dist/leaflet.markercluster.js", "dist/MarkerCluster.css"),
}
"""Packages by name; `package.json` pins the same versions.

Folium would also load jQuery, Bootstrap and Font Awesome for its own pop-ups and icons, which the map does not use.
"""
LANGUAGES: Final = ("en", "fr")
"""Languages of the measuring tool."""


@dataclass(frozen=True, slots=True)
class LeafletSource:
    """Address of a package's file for the browser.

    Attributes:
        pattern: Address with the placeholders `{package}`, `{version}` and `{path}`.
    """

    pattern: str

    def equip(self, element: JSCSSMixin, package: str, language: str) -> None:
        """Make one Folium element load a package from this source; its class, shared by all maps, is unchanged."""
        files = PACKAGES[package]
        script = files.script.format(language=language if language in LANGUAGES else "en")
        element.default_js = [(package, self.url(package, script))]
        element.default_css = [(f"{package}.css", self.url(package, files.style))]

    def url(self, package: str, path: str) -> str:
        """Address of a file of a package."""
        return self.pattern.format(package=package, version=PACKAGES[package].version, path=path)


PUBLIC_CDN: Final = LeafletSource("https://cdn.jsdelivr.net/npm/{package}@{version}/{path}")
"""For maps that somebody makes in Python and opens on their own; the page never uses it."""


def missing_files(node_modules: Path) -> list[str]:
    """Files that the map loads and the folder lacks, as `package/path`.

    One missing script leaves the whole map blank, so a folder is used only if it is complete.
    """
    paths = [
        f"{name}/{path}".format(language=language)
        for name, package in PACKAGES.items()
        for path in (package.script, package.style)
        for language in LANGUAGES
    ]
    return sorted({path for path in paths if not (node_modules / path).is_file()})
