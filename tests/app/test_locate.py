import io
import json
from collections import Counter

import pytest
from PIL import Image

import triovision
from triovision import explain
from triovision.geo import country_name
from triovision.inference import CountryEngine
from triovision.ui import session


@pytest.fixture
def calls(monkeypatch):
    """Number of predicted photos and of explanations."""
    counts = Counter()
    predict, explain_country = CountryEngine.predict, explain.explain_country

    def counted_predict(self, photos, top_k=5):
        counts["predict"] += len(photos)
        return predict(self, photos, top_k)

    def counted_explain(*args, **options):
        counts["explain"] += 1
        return explain_country(*args, **options)

    monkeypatch.setattr(CountryEngine, "predict", counted_predict)
    monkeypatch.setattr(explain, "explain_country", counted_explain)
    return counts


def jpeg(color, **options):
    buffer = io.BytesIO()
    Image.new("RGB", (80, 60), color).save(buffer, format="JPEG", **options)
    return buffer.getvalue()


def drop(app, *files):
    app.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files])
    app.run()
    assert not app.exception
    return app


def shown(app):
    """All texts in the main part of the page."""
    return "\n".join(
        str(element.value) for kind in (app.title, app.header, app.markdown, app.caption) for element in kind
    )


def open_tab(app, name):
    app.session_state["tab"] = name
    app.run()
    assert not app.exception


def test_a_visitor_finds_a_drop_zone_and_no_prediction(app):
    app.run()
    assert not app.exception
    assert app.title[0].value == "Where was this photo taken?"
    assert app.file_uploader[0].accept_multiple_files
    assert not app.header
    assert "never written to disk" in shown(app)


def test_a_real_photo_is_predicted(app, china, calls):
    drop(app.run(), ("china.jpg", china))
    assert app.header[0].value.startswith("🇵🇪 Peru · ")
    assert "Fairly sure · 90%" in shown(app) or "Very sure · 90%" in shown(app)
    assert calls["predict"] == 1


def test_the_embedded_model_predicts_a_real_photo(app, china, monkeypatch):
    monkeypatch.delenv("TRIOVISION_MODELS")
    drop(app.run(), ("china.jpg", china))
    (prediction,) = triovision.load_model().predict([triovision.read_photo(china, "china.jpg")])
    first = country_name(prediction.countries[0].country)
    bars = "".join(bar.proto.text for bar in app.get("progress"))
    assert first in (bars if prediction.abstained else app.header[0].value)
    for name in ("Probabilities", "Why", "Details"):
        open_tab(app, name)


@pytest.mark.parametrize("complete", [True, False])
def test_without_its_scripts_there_is_no_map_and_no_request_for_them(app, china, monkeypatch, complete):
    drawn = []

    def draw(plot, **_):
        drawn.append(plot.get_root().render())
        return {}

    monkeypatch.setattr("triovision.ui.leaflet.st_folium", draw)
    monkeypatch.setattr("triovision.ui.leaflet._packages_are_complete", lambda: complete)
    drop(app.run(), ("china.jpg", china))
    assert any("make assets" in one.value for one in app.info) is not complete
    assert len(drawn) == complete
    assert not any("cdn." in page for page in drawn)


def test_no_widget_of_a_tab_runs_the_model_again(app, china, calls):
    drop(app.run(), ("china.jpg", china))
    open_tab(app, "Probabilities")
    app.slider(key="k").set_value(15).run()
    assert len(app.get("plotly_chart")) == 4 + 15
    assert calls == {"predict": 1}

    open_tab(app, "Why")
    assert calls == {"predict": 1, "explain": 1}
    app.slider(key="opacity").set_value(90).run()
    method, country = (
        app.selectbox(key="method"),
        next(box for box in app.selectbox if str(box.key).startswith("country-")),
    )
    (result,) = app.session_state["triovision"].results.values()
    assert len(country.options) == len(result.prediction.countries) > 15  # whatever the charts show
    country.select_index(2).run()
    assert calls["explain"] == 2
    method.select("LayerCAM").run()
    assert calls["explain"] == 3
    method.select("Grad-CAM").run()
    open_tab(app, "Details")
    open_tab(app, "Map")
    open_tab(app, "Why")
    assert calls == {"predict": 1, "explain": 3}


def test_choices_survive_another_tab_or_page(app, china):
    drop(app.run(), ("china.jpg", china))
    open_tab(app, "Probabilities")
    app.slider(key="k").set_value(7).run()
    open_tab(app, "Why")
    next(box for box in app.selectbox if str(box.key).startswith("country-")).select_index(3).run()
    chosen = next(box for box in app.selectbox if str(box.key).startswith("country-")).value
    app.slider(key="opacity").set_value(20).run()
    app.switch_page("pages/about.py").run()
    assert not app.exception
    app.switch_page("pages/locate.py").run()
    assert app.session_state["tab"] == "Why"
    assert next(box for box in app.selectbox if str(box.key).startswith("country-")).value == chosen
    assert app.slider(key="opacity").value == 20
    open_tab(app, "Probabilities")
    assert app.slider(key="k").value == 7


def test_an_explanation_shows_its_images_method_and_layer(app, china):
    drop(app.run(), ("china.jpg", china))
    open_tab(app, "Why")
    text = shown(app)
    alts = [image.proto.imgs[0].alt for image in app.get("image")]
    assert alts == ["china.jpg", "Heat map for Peru", "Photo", "Raw map"]
    assert "Method Grad-CAM" in text
    assert "layer bn2" in text
    assert {"Overlay (PNG)", "Raw map (PNG)"} <= {button.label for button in app.get("download_button")}


def test_refused_files_are_named_and_the_others_go_on(app, china, calls):
    drop(app.run(), ("a*b*.pdf", b"%PDF-1.7 ..."), ("china.jpg", china), ("empty.png", b""))
    warnings = [warning.value for warning in app.warning]
    assert len(warnings) == 2
    assert r"a\*b\*\.pdf" in warnings[0]
    assert "a PDF document" in warnings[0]
    assert "the file is empty" in warnings[1]
    assert app.header[0].value.startswith("🇵🇪")
    assert calls["predict"] == 1
    drop(app, ("green.jpg", jpeg("green")))
    assert not app.warning  # those were of the batch before


def test_several_photos_are_shown_one_at_a_time(app, china, calls):
    drop(app.run(), ("red.jpg", jpeg("red")), ("china.jpg", china), ("red again.jpg", jpeg("red")))
    picker = next(group for group in app.button_group if group.key == "shown")
    assert picker.label == "2 photos"  # the same bytes are the same photo
    for option, name in zip(picker.proto.options, (r"red\.jpg", r"china\.jpg"), strict=True):
        assert option.content.startswith(f"![{name}](data:image/jpeg;base64,")
        assert option.content.endswith(") 🇵🇪 Peru 90%")
    assert calls["predict"] == 2
    keys = list(app.session_state["triovision"].results)
    for key, name in zip(keys, ("red.jpg", "china.jpg"), strict=True):
        app.session_state["shown"] = key
        open_tab(app, "Details")
        assert name in str(app.table[0].value).replace("\\", "")
    assert calls["predict"] == 2
    lines = next(b for b in app.get("download_button") if b.label == "All predictions (JSON Lines)")
    assert lines


def test_there_is_room_for_so_many_photos(app, monkeypatch):
    monkeypatch.setattr("triovision.ui.upload.MAX_PHOTOS", 2)
    drop(app.run(), *((f"{color}.jpg", jpeg(color)) for color in ("red", "green", "blue")))
    (warning,) = app.warning
    assert r"blue\.jpg" in warning.value
    assert "Press Clear to make room" in warning.value
    assert len(app.session_state["triovision"].results) == 2


def test_clear_forgets_everything(app, china):
    drop(app.run(), ("china.jpg", china), ("bad.jpg", b"nonsense"))
    open_tab(app, "Why")
    batch = app.session_state["triovision"].batch
    country = next(box.key for box in app.selectbox if str(box.key).startswith("country-"))
    app.button(key="clear").click().run()
    assert not app.exception
    memory = app.session_state["triovision"]
    assert (memory.results, memory.rejected, memory.explanations) == ({}, {}, {})
    assert memory.batch > batch
    assert not app.header
    assert not app.warning
    assert not any(name in app.session_state for name in ("shown", country, "tab-number"))


def test_uploads_leave_the_server_once_they_are_read(app, china, monkeypatch):
    removed = []
    manager = session.MemoryUploadedFileManager
    remove_file = manager.remove_file

    def counted(self, session_id, file_id):
        removed.append(file_id)
        remove_file(self, session_id, file_id)

    monkeypatch.setattr(manager, "remove_file", counted)
    drop(app.run(), ("china.jpg", china), ("red.jpg", jpeg("red")))
    assert len(set(removed)) == 2
    assert not app.file_uploader[0].value


def test_the_example_needs_one_click_and_names_its_photographer(app, calls):
    app.run().button(key="example").click().run()
    assert not app.exception
    assert app.header[0].value.startswith("🇵🇪")
    assert "danielbuechele" in shown(app)
    assert "True place: Summer Palace, Beijing. The best point is " in shown(app)
    assert calls["predict"] == 1


def test_the_page_speaks_french(app, china):
    app.run()
    next(group for group in app.button_group if group.key == "language").set_value("fr").run()
    assert app.title[0].value == "Où cette photo a-t-elle été prise\u202f?"
    drop(app, ("rien.jpg", b"nonsense"), ("china.jpg", china))
    assert app.header[0].value.startswith("🇵🇪 Pérou")
    assert "son contenu n\u2019est pas d\u2019un format" in app.warning[0].value
    open_tab(app, "Détails")
    app.session_state["language"] = "en"
    app.run()
    assert app.session_state["tab"] == "Details"


def test_text_of_the_camera_and_the_card_is_never_markup(app):
    exif = Image.Exif()
    exif[0x010F] = "![x](https://example.org/x.png) <b>Camera</b>"
    drop(app.run(), ("![y](z).jpg", jpeg("red", exif=exif)))
    open_tab(app, "Details")
    table = json.dumps(app.table[0].value.to_dict())
    assert r"\\!\\[x\\]\\(" in table
    assert r"\\<b\\>" in table
    assert r"Nothing \*at all\*" in shown(app)


def test_a_damaged_model_is_an_error_with_a_remedy(app, write_model):
    (write_model() / "weights.safetensors").write_bytes(b"damaged")
    app.run()
    assert not app.exception
    (error,) = app.error
    assert "The model cannot be used." in error.value
    assert "has SHA\\-256" in error.value
    write_model()
    app.run()
    assert not app.error  # repaired: the next visit works


def test_the_page_about_the_tool_says_what_it_must_not_do(app):
    app.run().switch_page("pages/about.py").run()
    assert not app.exception
    assert "private persons" in shown(app)
    assert "CC BY 2.0" in shown(app)
