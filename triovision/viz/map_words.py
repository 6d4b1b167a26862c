"""The English texts of the map's tools, which Leaflet.draw takes from one object for all its maps."""

from __future__ import annotations

from typing import Final

DRAWING_WORDS: Final = {
    "draw.toolbar.actions.title": "Cancel drawing",
    "draw.toolbar.actions.text": "Cancel",
    "draw.toolbar.finish.title": "Finish drawing",
    "draw.toolbar.finish.text": "Finish",
    "draw.toolbar.undo.title": "Delete the last point",
    "draw.toolbar.undo.text": "Delete the last point",
    "draw.toolbar.buttons.polyline": "Draw a line",
    "draw.toolbar.buttons.polygon": "Draw a polygon",
    "draw.toolbar.buttons.rectangle": "Draw a rectangle",
    "draw.toolbar.buttons.circle": "Draw a circle",
    "draw.toolbar.buttons.marker": "Draw a marker",
    "draw.handlers.circle.tooltip.start": "Drag to draw a circle.",
    "draw.handlers.circle.radius": "Radius",
    "draw.handlers.marker.tooltip.start": "Click the map to place a marker.",
    "draw.handlers.polygon.tooltip.start": "Click to start the shape.",
    "draw.handlers.polygon.tooltip.cont": "Click to go on with the shape.",
    "draw.handlers.polygon.tooltip.end": "Click the first point to close the shape.",
    "draw.handlers.polyline.tooltip.start": "Click to start the line.",
    "draw.handlers.polyline.tooltip.cont": "Click to go on with the line.",
    "draw.handlers.polyline.tooltip.end": "Click the last point to finish the line.",
    "draw.handlers.rectangle.tooltip.start": "Drag to draw a rectangle.",
    "draw.handlers.simpleshape.tooltip.end": "Release the mouse to finish.",
    "edit.toolbar.actions.save.title": "Save changes",
    "edit.toolbar.actions.save.text": "Save",
    "edit.toolbar.actions.cancel.title": "Cancel and undo changes",
    "edit.toolbar.actions.cancel.text": "Cancel",
    "edit.toolbar.actions.clearAll.title": "Delete all drawings",
    "edit.toolbar.actions.clearAll.text": "Delete all",
    "edit.toolbar.buttons.edit": "Edit drawings",
    "edit.toolbar.buttons.editDisabled": "No drawings to edit",
    "edit.toolbar.buttons.remove": "Delete drawings",
    "edit.toolbar.buttons.removeDisabled": "No drawings to delete",
    "edit.handlers.edit.tooltip.text": "Drag the handles to change a drawing.",
    "edit.handlers.edit.tooltip.subtext": "Click Cancel to undo changes.",
    "edit.handlers.remove.tooltip.text": "Click a drawing to delete it.",
}
"""By dotted path in `L.drawLocal`."""
