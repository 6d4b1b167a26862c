"""Folium elements that govern the view of a map: its first bounds, and the smallest zoom."""

from __future__ import annotations

from folium import FitBounds
from folium.template import Template

from triovision.viz.map_elements import MapElement


class FitUntilTouched(FitBounds):
    """Bounds that are fitted again whenever the map is resized, until the reader moves the map.

    A map in a hidden tab has no size or a wrong one: a view fitted once would stay wrong when the tab is opened.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            (function (map) {
                function fit() {
                    if (!map.getSize().x || !map.getSize().y) return;
                    map.fitBounds({{ this.bounds|tojson }}, Object.assign({animate: false}, {{ this.options|tojson }}));
                }
                fit();
                map.on("resize", fit);
                L.DomEvent.on(map.getContainer(), "pointerdown wheel keydown", function () { map.off("resize", fit); });
            })({{ this._parent.get_name() }});
        {% endmacro %}
    """)


class OneWorld(MapElement):
    """A smallest zoom at which one world fills the frame, so that no place is seen twice.

    Leaflet.markercluster looks for markers from the smallest zoom on, but sorts them only once, by whole zooms: it
    would lose those that it has sorted below a zoom that becomes the smallest later, or below a fractional one.

    Args:
        lon_deg: Longitude in the middle of the world.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            (function (map) {
                var world = L.latLngBounds([[-85.0511, {{ this.west }}], [85.0511, {{ this.west + 360 }}]]);
                var smallest = map.getMinZoom();
                if (L.MarkerCluster && !L.MarkerCluster.wholeZooms) {
                    L.MarkerCluster.wholeZooms = true;
                    var recursively = L.MarkerCluster.prototype._recursively;
                    L.MarkerCluster.include({
                        _recursively: function (bounds, from, to, atEveryLevel, atBottom) {
                            recursively.call(this, bounds, Math.floor(from), to, atEveryLevel, atBottom);
                        },
                    });
                }
                var bound = function () {
                    if (!map.getSize().x) { return; }  // in a hidden tab
                    map.options.minZoom = 0;
                    map.setMinZoom(map.getBoundsZoom(world, true));
                    if (map.getMinZoom() === smallest) { return; }
                    smallest = map.getMinZoom();
                    map.eachLayer(function (layer) {
                        if (!L.MarkerClusterGroup || !(layer instanceof L.MarkerClusterGroup)) { return; }
                        var markers = layer.getLayers();
                        layer.clearLayers();
                        layer.addLayers(markers);
                    });
                };
                map.on("resize", bound);
                bound();
            })({{ this._parent.get_name() }});
        {% endmacro %}
    """)

    def __init__(self, lon_deg: float) -> None:
        super().__init__("OneWorld")
        self.west = lon_deg - 180
