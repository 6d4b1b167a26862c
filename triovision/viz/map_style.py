"""Options, colours and style rules of the map, light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from triovision.languages import ENGLISH, Translator
from triovision.viz.leaflet import PUBLIC_CDN, LeafletSource
from triovision.viz.outlines import NO_OUTLINES
from triovision.viz.palette import DARK, FONT_FAMILY, LIGHT, Palette

Theme = Literal["light", "dark"]

_GROUND: Final[dict[Theme, dict[str, str]]] = {
    "light": {
        "sea": "#d3e3ea",
        "land": "#f4f1e9",
        "border": "#a3adb1",
        "panel": "#ffffff",
        "streets": "none",
        "icons": "none",
    },
    "dark": {
        "sea": "#172229",
        "land": "#2b373c",
        "border": "#55656c",
        "panel": "#1d262a",
        "icons": "invert(.88)",  # the icons of the plugins are drawn for white buttons
        "streets": "invert(1) hue-rotate(180deg) brightness(.85) contrast(.9)",  # the street map has no dark version
    },
}
CAMERA_COLOUR: Final = "#bd5519"
"""Colour of the camera's position and of the line to it: distinct from the accent in both themes and for colour-blind
readers."""
SHADOW_COLOUR: Final = "#c99700"
"""Colour of the places where a shadow fits, that of sunlight."""
LANDMARK_COLOUR: Final = "#7a3f9d"
"""Colour of the pin of a recognised landmark: its white star is readable in both themes."""


@dataclass(frozen=True, slots=True)
class MapOptions:
    """Language and appearance of a map, the same for all predictions of one reader.

    Attributes:
        translate: Language of texts, country names and numbers.
        theme: Colours of the page around the map.
        source: Addresses that the browser loads Leaflet from.
        outlines: Countries as GeoJSON text, from `read_outlines`, written into the script of the map.
        outlines_url: Address of a file of the same, which the browser fetches once for all maps, instead of `outlines`.
        font_faces: `@font-face` rules with addresses relative to the map's frame; without them, the face of the system.
    """

    translate: Translator = ENGLISH
    theme: Theme = "light"
    source: LeafletSource = PUBLIC_CDN
    outlines: str = NO_OUTLINES
    outlines_url: str = ""
    font_faces: str = ""

    @property
    def language(self) -> str:
        """ISO 639-1 code of the language."""
        return self.translate.language


def colours(theme: Theme) -> dict[str, str]:
    """Colours by their variable name in the style rules."""
    palette: Palette = DARK if theme == "dark" else LIGHT
    return {
        **_GROUND[theme],
        "text": palette.text,
        "accent": palette.accent,
        "camera": CAMERA_COLOUR,
        "font": FONT_FAMILY,
    }


RULES: Final = """
.leaflet-container { background: var(--sea); font-family: var(--font); color: var(--text); }
.leaflet-container .leaflet-control-attribution a { color: var(--accent); }
.streets { filter: var(--streets); }
.pin { filter: drop-shadow(0 1px 2px rgb(0 0 0 / .5)); }
.unsure .pin { opacity: .7; }
.dot { border-radius: 50%; background: var(--accent); border: 2px solid #fff; box-sizing: border-box;
  box-shadow: 0 1px 3px rgb(0 0 0 / .5); }
.cluster { border-radius: 50%; background: var(--panel); color: var(--text); border: 3px solid var(--accent);
  box-sizing: border-box; display: grid; place-items: center; font-weight: 600; font-size: 12px;
  box-shadow: 0 1px 3px rgb(0 0 0 / .4); }
.leaflet-marker-icon:focus-visible, .leaflet-interactive:focus-visible { outline: 3px solid var(--camera); }
.distance span { position: absolute; transform: translate(-50%, -50%); white-space: nowrap; padding: 1px 7px;
  border-radius: 10px; background: var(--camera); color: #fff; font-weight: 600; }
.legend { background: var(--panel); color: var(--text); padding: 6px 10px; border-radius: 4px; font-size: 12px;
  max-width: 60vw; overflow-wrap: anywhere; box-shadow: 0 1px 3px rgb(0 0 0 / .4); }
.legend div { margin: 2px 0; }
.legend b { display: inline-block; min-width: 18px; margin-right: 6px; border-radius: 9px; color: #fff;
  text-align: center; line-height: 18px; }
.leaflet-popup-content { margin: 12px 16px; line-height: 1.45; overflow-wrap: anywhere; }
.leaflet-popup-content-wrapper, .leaflet-popup-tip, .leaflet-container .leaflet-control-layers,
.leaflet-container .leaflet-control-measure { background: var(--panel); color: var(--text); }
.leaflet-touch .leaflet-control-layers-toggle { width: 30px; height: 30px; }
.leaflet-container .leaflet-control-layers .leaflet-control-layers-toggle { background-size: 20px 20px;
  background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 20' fill='none' \
stroke='%23333' stroke-width='1.6' stroke-linejoin='round'%3E%3Cpath fill='%23333' d='M10 2l8 4.5-8 4.5-8-4.5z'/%3E\
%3Cpath d='M2 10.5l8 4.5 8-4.5M2 14l8 4.5 8-4.5'/%3E%3C/svg%3E"); } /* Leaflet's own is pale */
.leaflet-bar a, .leaflet-control-layers-toggle, .leaflet-control-measure-toggle,
.leaflet-control-minimap a { filter: var(--icons); }
.leaflet-container .leaflet-control-attribution, .leaflet-control-scale-line { font-size: 10px; text-shadow: none;
  background: color-mix(in srgb, var(--panel) 80%, transparent); color: var(--text); }
.leaflet-control-scale-line { border-color: var(--text); }
.tile-notice:not(:empty) { background: var(--panel); padding: 4px 8px; border-radius: 4px; }
.leaflet-container .leaflet-control-minimap { border: 2px solid var(--border); background: var(--sea); }
.leaflet-container .leaflet-control-layers { border-radius: 10px; }
.leaflet-control-layers label > span { display: flex; align-items: center; gap: 6px; }
.leaflet-popup-content-wrapper { border-radius: 10px; }
.preview { display: inline-block; width: 26px; height: 18px; margin-right: 2px; border-radius: 4px;
  vertical-align: -4px; box-shadow: 0 0 0 1px var(--border); }
.preview-streets { background: linear-gradient(62deg, transparent 44%, #fff 44% 54%, transparent 54%),
  linear-gradient(-20deg, transparent 46%, #f6c667 46% 56%, transparent 56%), #e4e0d3; }
.preview-satellite { background: radial-gradient(circle at 25% 35%, #5d7a45 0 28%, transparent 30%),
  radial-gradient(circle at 75% 70%, #7b7a52 0 24%, transparent 26%), #1f3d52; }
.preview-terrain { background: linear-gradient(125deg, transparent 50%, #8a7a5c 50%) 0 100%/14px 12px no-repeat,
  linear-gradient(235deg, transparent 50%, #a89875 50%) 14px 100%/12px 12px no-repeat, #cfe0c3; }
.preview-ocean { background: linear-gradient(160deg, #bfe3ee 10%, #5fa8c9 45%, #174a74 90%); }
.preview-outlines { background: radial-gradient(ellipse at 45% 60%, var(--land) 0 45%, var(--border) 46% 52%,
  transparent 54%), var(--sea); }
.sure::after, .unsure::after, .landmark::after { content: ""; position: absolute; left: 17px; top: 45px; width: 44px;
  height: 44px; margin: -22px; border: 2px solid var(--accent); border-radius: 50%; opacity: 0; pointer-events: none; }
@media (prefers-reduced-motion: no-preference) {
  .sure .pin, .unsure .pin, .landmark .pin { animation: drop .5s cubic-bezier(.3, 1.4, .6, 1) both; }
  .sure::after, .unsure::after, .landmark::after { animation: pulse 1.4s .4s ease-out 3; }
}
@keyframes drop { from { transform: translateY(-48px); opacity: 0; } }
@keyframes pulse { from { transform: scale(.2); opacity: .9; } to { transform: scale(1.4); opacity: 0; } }
@media (max-width: 600px) { .leaflet-bottom.leaflet-left { margin-bottom: 36px; } }
"""
