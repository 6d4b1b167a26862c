"""Controls of the map: zoom, full screen, drawing, measuring, overview and layers, with their texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import folium
from folium.elements import JSCSSMixin
from folium.plugins import Draw, Fullscreen, MeasureControl

from triovision.viz.map_elements import DrawingTexts, OutlineMiniMap, Outlines, TileNotice, ZoomButtons
from triovision.viz.map_style import CAMERA_COLOUR, MapOptions

_UNITS: Final = {
    "km": {"factor": 1e-3, "display": "km", "decimals": 1},
    "km2": {"factor": 1e-6, "display": "km²", "decimals": 1},
}


def add_controls(
    plot: folium.Map,
    outlines: Outlines,
    tiles: list[folium.TileLayer],
    options: MapOptions,
    *,
    overview: bool = True,
) -> None:
    """Add buttons, tools for drawing and measuring, overview map, layer switch and the notice about missing tiles.

    Args:
        plot: The map.
        outlines: Outlines of the overview map.
        tiles: Layers whose missing tiles the notice reports.
        options: Language, colours and addresses of the scripts.
        overview: Whether to add the overview map.
    """
    tools: dict[str, JSCSSMixin] = {
        "leaflet.fullscreen": Fullscreen(
            title=options.translate("Full screen"), title_cancel=options.translate("Leave full screen")
        ),
        "leaflet-draw": Draw(show_geometry_on_click=False, draw_options={"circlemarker": False}),
        "leaflet-measure": MeasureControl(
            units=_UNITS,
            primary_length_unit="km",
            secondary_length_unit="",  # an empty name hides it
            primary_area_unit="km2",
            secondary_area_unit="",
            active_color=CAMERA_COLOUR,
            completed_color=CAMERA_COLOUR,
        ),
        "leaflet-minimap": OutlineMiniMap(
            outlines,
            tile_layer=tiles[0],  # not drawn; without it Folium makes another one
            width=120,
            height=90,
            toggle_display=True,
            strings={
                "hideText": options.translate("Hide the overview"),
                "showText": options.translate("Show the overview"),
            },
            aiming_rect_options={"color": CAMERA_COLOUR, "weight": 1, "interactive": False},
        ),
    }
    if not overview:
        del tools["leaflet-minimap"]
    options.source.equip(plot, "leaflet", options.language)
    ZoomButtons(options.translate("Zoom in"), options.translate("Zoom out")).add_to(plot)
    DrawingTexts(_drawing_texts(options.translate)).add_to(plot)
    for package, tool in tools.items():
        options.source.equip(tool, package, options.language)
        tool.add_to(plot)
    folium.LayerControl().add_to(plot)
    TileNotice(tiles, options.translate("Map tiles are not available: only country outlines are shown")).add_to(plot)


def _drawing_texts(translate: Callable[..., str]) -> dict[str, str]:
    """Texts of the drawing tools by their dotted path in `L.drawLocal`."""
    return {
        "draw.toolbar.actions.title": translate("Cancel drawing"),
        "draw.toolbar.actions.text": translate("Cancel"),
        "draw.toolbar.finish.title": translate("Finish drawing"),
        "draw.toolbar.finish.text": translate("Finish"),
        "draw.toolbar.undo.title": translate("Delete the last point"),
        "draw.toolbar.undo.text": translate("Delete the last point"),
        "draw.toolbar.buttons.polyline": translate("Draw a line"),
        "draw.toolbar.buttons.polygon": translate("Draw a polygon"),
        "draw.toolbar.buttons.rectangle": translate("Draw a rectangle"),
        "draw.toolbar.buttons.circle": translate("Draw a circle"),
        "draw.toolbar.buttons.marker": translate("Draw a marker"),
        "draw.handlers.circle.tooltip.start": translate("Drag to draw a circle."),
        "draw.handlers.circle.radius": translate("Radius"),
        "draw.handlers.marker.tooltip.start": translate("Click the map to place a marker."),
        "draw.handlers.polygon.tooltip.start": translate("Click to start the shape."),
        "draw.handlers.polygon.tooltip.cont": translate("Click to go on with the shape."),
        "draw.handlers.polygon.tooltip.end": translate("Click the first point to close the shape."),
        "draw.handlers.polyline.tooltip.start": translate("Click to start the line."),
        "draw.handlers.polyline.tooltip.cont": translate("Click to go on with the line."),
        "draw.handlers.polyline.tooltip.end": translate("Click the last point to finish the line."),
        "draw.handlers.rectangle.tooltip.start": translate("Drag to draw a rectangle."),
        "draw.handlers.simpleshape.tooltip.end": translate("Release the mouse to finish."),
        "edit.toolbar.actions.save.title": translate("Save changes"),
        "edit.toolbar.actions.save.text": translate("Save"),
        "edit.toolbar.actions.cancel.title": translate("Cancel and undo changes"),
        "edit.toolbar.actions.cancel.text": translate("Cancel"),
        "edit.toolbar.actions.clearAll.title": translate("Delete all drawings"),
        "edit.toolbar.actions.clearAll.text": translate("Delete all"),
        "edit.toolbar.buttons.edit": translate("Edit drawings"),
        "edit.toolbar.buttons.editDisabled": translate("No drawings to edit"),
        "edit.toolbar.buttons.remove": translate("Delete drawings"),
        "edit.toolbar.buttons.removeDisabled": translate("No drawings to delete"),
        "edit.handlers.edit.tooltip.text": translate("Drag the handles to change a drawing."),
        "edit.handlers.edit.tooltip.subtext": translate("Click Cancel to undo changes."),
        "edit.handlers.remove.tooltip.text": translate("Click a drawing to delete it."),
    }
