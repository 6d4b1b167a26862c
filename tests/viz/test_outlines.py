import json

import numpy as np
import pytest

from triovision.bundle import NODE_MODULES
from triovision.viz import outlines
from triovision.viz.outlines import outlines_file, read_outlines

WORLD_ATLAS = NODE_MODULES / "world-atlas" / "countries-50m.json"


def topology(arcs, geometries):
    """Quantised to whole degrees, so that the numbers in a test can be read."""
    return {
        "type": "Topology",
        "transform": {"scale": [1.0, 1.0], "translate": [0.0, 0.0]},
        "arcs": arcs,
        "objects": {"countries": {"type": "GeometryCollection", "geometries": geometries}},
    }


@pytest.fixture
def decode(tmp_path):
    def decode_(arcs, geometries, name="countries.json"):
        path = tmp_path / name
        path.write_text(json.dumps(topology(arcs, geometries)))
        return json.loads(read_outlines(path))["coordinates"]

    return decode_


def test_neighbours_share_an_arc_that_one_of_them_reads_backwards(decode):
    arcs = [
        [[5, 0], [0, 5]],  # the border, northwards
        [[5, 5], [-5, 0], [0, -5], [5, 0]],  # west of it
        [[5, 5], [5, 0], [0, -5], [-5, 0]],  # east of it
    ]
    west, east = decode(arcs, [{"type": "Polygon", "arcs": [[0, 1]]}, {"type": "MultiPolygon", "arcs": [[[2, 0]]]}])
    assert west == [[[5, 0], [5, 5], [0, 5], [0, 0], [5, 0]]]
    assert east == [[[5, 5], [10, 5], [10, 0], [5, 0], [5, 5]]]
    assert decode(arcs, [{"type": "Polygon", "arcs": [[~1, ~0]]}], "backwards.json") == [[west[0][::-1]]]


def test_a_country_across_the_date_line_runs_on_beyond_it(decode):
    arcs = [[[170, 60], [8, -1], [-350, 1], [0, 10], [342, 0], [0, -10]]]  # 178° E to 172° W in one step
    assert decode(arcs, [{"type": "Polygon", "arcs": [[0]]}]) == [
        [[[170, 60], [178, 59], [188, 60], [188, 70], [170, 70], [170, 60]]]
    ]


def test_a_coast_round_the_pole_is_closed_over_it(decode):
    arcs = [[[-180, -70], [90, -5], [90, 5], [90, -5], [90, 5]]]
    assert decode(arcs, [{"type": "Polygon", "arcs": [[0]]}]) == [
        [[[-180, -70], [-90, -75], [0, -70], [90, -75], [180, -70], [180, -90], [-180, -90], [-180, -70]]]
    ]


def test_points_on_a_straight_line_are_dropped_and_corners_kept(decode):
    arcs = [[[0, 0], [2, 0], [2, 0], [0, 4], [-4, 0], [0, -4]]]
    assert decode(arcs, [{"type": "Polygon", "arcs": [[0]]}]) == [[[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]]


def test_an_islet_smaller_than_the_tolerance_stays(tmp_path):
    tiny = topology([[[0, 0], [2, 0], [0, 2], [-2, 0], [0, -2]]], [{"type": "Polygon", "arcs": [[0]]}])
    tiny["transform"]["scale"] = [0.01, 0.01]
    path = tmp_path / "islet.json"
    path.write_text(json.dumps(tiny))
    assert json.loads(read_outlines(path))["coordinates"] == [[[[0, 0], [0.02, 0], [0.02, 0.02], [0, 0.02], [0, 0]]]]


@pytest.mark.parametrize("text", ["not JSON", "{}", '{"transform": {"scale": [1], "translate": [0]}, "arcs": 3}'])
def test_a_file_that_is_no_topology_is_refused(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"broken\.json|Expecting value"):
        read_outlines(path)


@pytest.fixture
def atlas(monkeypatch, tmp_path):
    """A file of one country in place of the npm package, and an empty cache."""
    path = tmp_path / "atlas.json"
    arcs = [[[0, 0], [4, 0], [0, 4], [-4, 0], [0, -4]]]
    path.write_text(json.dumps(topology(arcs, [{"type": "Polygon", "arcs": [[0]]}])))
    monkeypatch.setattr(outlines, "_FILE", path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    outlines._file_name.cache_clear()
    yield path
    outlines._file_name.cache_clear()


def test_the_file_of_the_outlines_is_written_once_and_named_by_its_content(atlas, monkeypatch):
    first = outlines_file()
    assert json.loads(first.read_text())["coordinates"] == [[[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]]
    with monkeypatch.context() as later:
        later.setattr(outlines, "read_outlines", lambda _: pytest.fail("decoded a second time"))
        assert outlines_file() == first
    atlas.write_text(atlas.read_text().replace("4", "5"))
    read_outlines.cache_clear()
    outlines._file_name.cache_clear()
    second = outlines_file()
    assert second.name != first.name
    assert json.loads(second.read_text())["coordinates"][0][0][1] == [5, 0]


def test_without_a_cache_or_without_the_package_there_is_no_file(atlas, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no folder
    assert outlines_file() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    atlas.unlink()
    assert outlines_file() is None


@pytest.mark.skipif(not WORLD_ATLAS.exists(), reason="needs the npm packages: make assets")
def test_no_line_of_the_real_world_runs_across_the_map():
    polygons = json.loads(read_outlines(WORLD_ATLAS))["coordinates"]
    rings = [np.array(ring) for polygon in polygons for ring in polygon]
    assert len(polygons) > 1000
    for ring in rings:
        steps = np.abs(np.diff(ring[:, 0]))
        assert steps[ring[1:, 1] > -84].max(initial=0) < 30  # the 49th parallel is the longest straight border
        assert ring[0].tolist() == ring[-1].tolist()
        assert np.abs(ring[:, 1]).max() <= 90
    east = max(ring[:, 0].max() for ring in rings)
    assert 188 < east < 200  # the east of Russia, in one piece with the rest
