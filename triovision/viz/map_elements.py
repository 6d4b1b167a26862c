"""Folium elements of our own: outlines, overview map, density cells, controls, notices, pop-ups, style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from branca.element import MacroElement
from folium import TileLayer
from folium.plugins import MiniMap
from folium.template import Template


class MapElement(MacroElement):
    """Base of the elements. Their name becomes part of the names of their variables in the script."""

    def __init__(self, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Branca leaves this one untyped
        self._name = name


class Outlines(MapElement):
    """Countries drawn below the tiles, visible where no tile is available.

    Args:
        geojson: GeoJSON text, as from `read_outlines`.
        url: Address of a file of such text, which the browser fetches once, instead of `geojson`.
        line_colour: CSS colour of coasts and borders.
        fill_colour: CSS colour of land.
    """

    # A canvas, because an SVG of tens of thousands of points is slow; three worlds side by side, because the map
    # continues across the date line.
    _template = Template("""
        {% macro script(this, kwargs) %}
            {%- if this.url %}
            // Cached for good: the name of the file changes with its content.
            var {{ this.get_name() }}_shapes = fetch({{ this.url|tojson }}, {cache: "force-cache"}).then(
                function (answer) { return answer.ok ? answer.json() : []; }
            ).catch(function () { return []; });  // the map works without them
            {%- else %}
            var {{ this.get_name() }}_shapes = Promise.resolve({{ this.geojson }});
            {%- endif %}
            var {{ this.get_name() }} = function (pane) {
                var renderer = L.canvas({pane: pane, padding: 0.5});
                return L.layerGroup([-360, 0, 360].map(function (turn) {
                    var copy = L.geoJSON(null, {
                        pane: pane, renderer: renderer, interactive: false, weight: 1, fillOpacity: 1,
                        color: {{ this.line_colour|tojson }}, fillColor: {{ this.fill_colour|tojson }},
                        coordsToLatLng: function (lonLat) { return L.latLng(lonLat[1], lonLat[0] + turn); },
                    });
                    {{ this.get_name() }}_shapes.then(function (shapes) { copy.addData(shapes); });
                    return copy;
                }));
            };
            {{ this._parent.get_name() }}.createPane("outlines").style.zIndex = 150;
            {{ this.get_name() }}("outlines").addTo({{ this._parent.get_name() }});
        {% endmacro %}
    """)

    def __init__(self, geojson: str, url: str, line_colour: str, fill_colour: str) -> None:
        super().__init__("Outlines")
        self.geojson = geojson
        self.url = url
        self.line_colour = line_colour
        self.fill_colour = fill_colour


class OutlineMiniMap(MiniMap):
    """Overview map of outlines instead of tiles: it needs no server, and is left out on a phone."""

    _template = Template("""
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = new L.Control.MiniMap(
                {{ this.outlines.get_name() }}("overlayPane"),
                {{ this.options|tojavascript }}
            );
            if (screen.width >= 600) {{ this._parent.get_name() }}.addControl({{ this.get_name() }});
        {% endmacro %}
    """)

    def __init__(self, outlines: Outlines, **options: object) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # Folium leaves this one untyped
        self.outlines = outlines


class ShadedCells(MapElement):
    """Rectangles between parallels and meridians with individual opacities, on one canvas.

    Args:
        rows: South, west, north and east edge in degrees and opacity, one row per cell.
        colour: CSS colour of all cells.
    """

    # A canvas without strokes: an SVG of thousands of shapes is slow, and strokes would draw a grid.
    _template = Template("""
        {% macro script(this, kwargs) %}
            (function (group, renderer) {
                {{ this.rows|tojson }}.forEach(function (row) {
                    L.rectangle([[row[0], row[1]], [row[2], row[3]]], {
                        renderer: renderer, interactive: false, stroke: false,
                        fillColor: {{ this.colour|tojson }}, fillOpacity: row[4],
                    }).addTo(group);
                });
            })({{ this._parent.get_name() }}, L.canvas({padding: 0.5}));
        {% endmacro %}
    """)

    def __init__(self, rows: Sequence[Sequence[float]], colour: str) -> None:
        super().__init__("ShadedCells")
        self.rows = rows
        self.colour = colour


class TileNotice(MapElement):
    """A notice that is shown while tiles are missing.

    Args:
        tiles: Layers to watch.
        text: Text of the notice.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = L.DomUtil.create("div", "tile-notice");
            {{ this.get_name() }}.setAttribute("role", "status");
            {{ this.get_name() }}_control = L.control({position: "bottomleft"});
            {{ this.get_name() }}_control.onAdd = function () { return {{ this.get_name() }}; };
            {{ this.get_name() }}_control.addTo({{ this._parent.get_name() }});
            [{% for layer in this.tiles %}{{ layer.get_name() }},{% endfor %}].forEach(function (layer) {
                layer.on("tileerror", function () {
                    {{ this.get_name() }}.textContent = {{ this.text|tojson }};
                }).on("tileload remove", function () {
                    {{ this.get_name() }}.textContent = "";
                });
            });
        {% endmacro %}
    """)

    def __init__(self, tiles: Sequence[TileLayer], text: str) -> None:
        super().__init__("TileNotice")
        self.tiles = tiles
        self.text = text


class DefaultIcons(MapElement):
    """Address of Leaflet's own marker icons, which a marker asks for before it gets another icon.

    Leaflet guesses it from its style sheet, and wrongly while that is being loaded.

    Args:
        folder: Address of the folder.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            L.Icon.Default.imagePath = {{ this.folder|tojson }};
        {% endmacro %}
    """)

    def __init__(self, folder: str) -> None:
        super().__init__("DefaultIcons")
        self.folder = folder


class SafePopup(MapElement):
    """A pop-up whose text is passed to the script as JSON.

    Folium's own pop-up needs jQuery and writes the text into a JavaScript template, which a backtick or `${` in a name
    would break.

    Args:
        html: Content, in which untrusted text is already escaped.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            {{ this._parent.get_name() }}.bindPopup({{ this.html|tojson }});
        {% endmacro %}
    """)

    def __init__(self, html: str) -> None:
        super().__init__("SafePopup")
        self.html = html


class ClusterPhotos(MapElement):
    """Pop-up of a cluster with the photos in it, up to a number.

    Args:
        more: Text for photos that are left out, with `{count}`.
        most: Largest number of photos shown.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            {{ this._parent.get_name() }}.on("clusterclick", function (event) {
                var photos = event.layer.getAllChildMarkers().map(function (marker) { return marker.options.photo; });
                var more = photos.length - {{ this.most }};
                var note = more > 0 ? "<p>" + {{ this.more|tojson }}.replace("{count}", more) + "</p>" : "";
                var html = '<div class="photos">' + photos.slice(0, {{ this.most }}).join("") + "</div>" + note;
                L.popup({maxWidth: 320}).setLatLng(event.layer.getLatLng()).setContent(html)
                    .openOn(event.layer._map);
            });
        {% endmacro %}
    """)

    def __init__(self, more: str, most: int = 24) -> None:
        super().__init__("ClusterPhotos")
        self.more = more
        self.most = most


class ZoomButtons(MapElement):
    """Leaflet's zoom buttons with titles in the reader's language."""

    _template = Template("""
        {% macro script(this, kwargs) %}
            L.control.zoom({zoomInTitle: {{ this.zoom_in|tojson }}, zoomOutTitle: {{ this.zoom_out|tojson }}})
                .addTo({{ this._parent.get_name() }});
        {% endmacro %}
    """)

    def __init__(self, zoom_in: str, zoom_out: str) -> None:
        super().__init__("ZoomButtons")
        self.zoom_in = zoom_in
        self.zoom_out = zoom_out


class ScaleBar(MapElement):
    """Leaflet's scale in kilometres and, on request, in miles."""

    _template = Template("""
        {% macro script(this, kwargs) %}
            L.control.scale({imperial: {{ this.imperial|tojson }}}).addTo({{ this._parent.get_name() }});
        {% endmacro %}
    """)

    def __init__(self, *, imperial: bool) -> None:
        super().__init__("ScaleBar")
        self.imperial = imperial


class DrawingTexts(MapElement):
    """The texts of the drawing tools, which Leaflet.draw reads from one global object.

    Args:
        texts: Text by its dotted path in `L.drawLocal`.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            {%- for path, text in this.texts.items() %}
            L.drawLocal.{{ path }} = {{ text|tojson }};
            {%- endfor %}
        {% endmacro %}
    """)

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__("DrawingTexts")
        self.texts = texts


class Legend(MapElement):
    """A box with the name and the colour of each mark.

    Args:
        rows: Colour, sign and name of each mark; names may be untrusted.
    """

    _template = Template("""
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = L.control({position: "topright"});
            {{ this.get_name() }}.onAdd = function () {
                var box = L.DomUtil.create("div", "legend");
                {{ this.rows|tojson }}.forEach(function (row) {
                    var line = L.DomUtil.create("div", "", box), sign = L.DomUtil.create("b", "", line);
                    sign.textContent = row[1];
                    sign.style.background = row[0];
                    line.appendChild(document.createTextNode(row[2]));
                });
                return box;
            };
            {{ this.get_name() }}.addTo({{ this._parent.get_name() }});
        {% endmacro %}
    """)

    def __init__(self, rows: Sequence[tuple[str, str, str]]) -> None:
        super().__init__("Legend")
        self.rows = rows


class StyleSheet(MapElement):
    """Style rules in the head of the map's page.

    Args:
        css: Rules that use the variables as `var(--name)`.
        variables: CSS values by the name of the variable.
    """

    _template = Template("{% macro header(this, kwargs) %}<style>{{ this.css }}</style>{% endmacro %}")

    def __init__(self, css: str, variables: Mapping[str, str]) -> None:
        super().__init__("StyleSheet")
        root = "".join(f"--{name}: {value};" for name, value in variables.items())
        self.css = f":root {{{root}}}{css}"
