"""Colours and style rules of the map, light and dark."""

from __future__ import annotations

from typing import Final, Literal

from triovision.viz.palette import DARK, LIGHT, Palette

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
        "icons": "invert(.88)",  # the plugins' icons are drawn for white buttons
        "streets": "invert(1) hue-rotate(180deg) brightness(.85) contrast(.9)",  # the street map is made for daylight
    },
}
CAMERA_COLOUR: Final = "#c2571a"
"""The camera's position and the line to it: apart from the accent in both themes and for the colour-blind."""


def colours(theme: Theme) -> dict[str, str]:
    """Colours by the name that the style rules call them."""
    palette: Palette = DARK if theme == "dark" else LIGHT
    return {**_GROUND[theme], "text": palette.text, "accent": palette.accent, "camera": CAMERA_COLOUR}


RULES: Final = """
.leaflet-container { background: var(--sea); font-family: system-ui, sans-serif; color: var(--text); }
.leaflet-container .leaflet-control-attribution a { color: var(--accent); }
.streets { filter: var(--streets); }
.pin { filter: drop-shadow(0 1px 2px rgb(0 0 0 / .5)); }
.unsure .pin { opacity: .7; }
.dot { border-radius: 50%; background: var(--accent); border: 2px solid #fff; box-sizing: border-box;
  box-shadow: 0 1px 3px rgb(0 0 0 / .5); }
.share { border-radius: 50%; background: var(--panel); color: var(--text); border: 3px solid var(--accent);
  box-sizing: border-box; display: grid; place-items: center; font-weight: 600; font-size: 12px;
  box-shadow: 0 1px 3px rgb(0 0 0 / .4); }
.leaflet-marker-icon:focus-visible, .leaflet-interactive:focus-visible { outline: 3px solid var(--camera); }
.distance span { position: absolute; transform: translate(-50%, -50%); white-space: nowrap; padding: 1px 7px;
  border-radius: 10px; background: var(--camera); color: #fff; font-weight: 600; }
.leaflet-popup-content { margin: 12px 16px; line-height: 1.45; overflow-wrap: anywhere; }
.leaflet-popup-content-wrapper, .leaflet-popup-tip, .leaflet-container .leaflet-control-layers,
.leaflet-container .leaflet-control-measure { background: var(--panel); color: var(--text); }
.leaflet-touch .leaflet-control-layers-toggle { width: 30px; height: 30px; }
.leaflet-bar a, .leaflet-control-layers-toggle, .leaflet-control-measure-toggle,
.leaflet-control-minimap a { filter: var(--icons); }
.leaflet-container .leaflet-control-attribution, .leaflet-control-scale-line { font-size: 10px; text-shadow: none;
  background: color-mix(in srgb, var(--panel) 80%, transparent); color: var(--text); }
.leaflet-control-scale-line { border-color: var(--text); }
.tile-notice:not(:empty) { background: var(--panel); padding: 4px 8px; border-radius: 4px; }
.leaflet-container .leaflet-control-minimap { border: 2px solid var(--border); background: var(--sea); }
@media (max-width: 600px) { .leaflet-bottom.leaflet-left { margin-bottom: 36px; } }
"""
