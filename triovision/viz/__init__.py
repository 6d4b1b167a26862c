"""Plotly figures, heat map overlays and Folium maps of predictions and training metrics."""

from triovision.viz.figures import (
    certainty_strip,
    figures_page,
    probability_bars,
    probability_gauge,
    probability_radar,
    similarity_heatmap,
)
from triovision.viz.leaflet import PUBLIC_CDN, LeafletSource, missing_files
from triovision.viz.map_style import MapOptions
from triovision.viz.maps import prediction_map
from triovision.viz.outlines import NO_OUTLINES, read_outlines
from triovision.viz.overlays import jpeg_bytes, overlay, png_bytes, raw_map, shown_photo
from triovision.viz.palette import DARK, LIGHT, Palette

__all__ = [
    "DARK",
    "LIGHT",
    "NO_OUTLINES",
    "PUBLIC_CDN",
    "LeafletSource",
    "MapOptions",
    "Palette",
    "certainty_strip",
    "figures_page",
    "jpeg_bytes",
    "missing_files",
    "overlay",
    "png_bytes",
    "prediction_map",
    "probability_bars",
    "probability_gauge",
    "probability_radar",
    "raw_map",
    "read_outlines",
    "shown_photo",
    "similarity_heatmap",
]
