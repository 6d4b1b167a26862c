import json
import re

from streamlit_folium import _get_map_string

from triovision.viz.collection_map import MapPhoto, collection_map

HOSTILE = "</script><script>alert(1)</script>`${alert(2)}`<img src=x onerror=alert(3)>\"'"


def photo(lat_deg=48.86, lon_deg=2.35, name="a.jpg", sure=True):
    return MapPhoto(lat_deg, lon_deg, name, "Paris; Very sure", b"\xff\xd8", sure)


def script(*photos):
    plot = collection_map(photos)
    plot.render()
    return _get_map_string(plot)


def rows(text):
    return json.loads(re.search(r"var data = (\[.*?\]);\n", text, re.DOTALL)[1])


def test_each_photo_is_a_marker_with_its_thumbnail():
    (first, second) = rows(script(photo(), photo(-12.05, -77.04, "b.jpg", sure=False)))
    assert first[:2] == [48.86, 2.35]
    assert 'src="data:image/jpeg;base64,/9g="' in first[2]
    assert "<strong>a.jpg</strong><br>Paris; Very sure" in first[2]
    assert first[3:] == ["a.jpg: Paris; Very sure", ""]
    assert second[4] == "unsure"


def test_the_first_view_holds_all_photos():
    text = script(photo(), photo(-12.05, -77.04))
    assert re.search(r"fitBounds\(\s*\[\[-12\.05, -77\.04\], \[48\.86, 2\.35\]\]", text)


def test_a_hostile_name_stays_text():
    row = rows(script(photo(name=HOSTILE)))[0]
    assert "<script>" not in row[2]
    assert row[2].count("<img") == 1
    assert "&lt;/script&gt;" in row[2]


def test_the_same_photos_give_the_same_script():
    def without_ids(text):
        return re.sub(r"[0-9a-f]{32}", "", text)

    assert without_ids(script(photo(), photo(1, 2))) == without_ids(script(photo(), photo(1, 2)))
