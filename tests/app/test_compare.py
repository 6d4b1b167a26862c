import json
import shutil
from pathlib import Path

import pytest

from triovision.inference import CountryEngine
from triovision.inference.card import CARD


@pytest.fixture
def two_models(app, write_model, tmp_path):
    """The page with two equal networks of different names, and a third whose weights are damaged."""
    folder = write_model()
    for name in ("second.test", "third.test"):
        copy = Path(shutil.copytree(folder, tmp_path / name))
        about = json.loads((copy / CARD).read_text("utf-8")) | {"id": name}
        (copy / CARD).write_text(json.dumps(about), encoding="utf-8")
    (tmp_path / "third.test" / "weights.safetensors").write_bytes(b"damaged")
    return app


def open_compare(app, china):
    app.run()
    app.switch_page("pages/compare.py").run()
    assert not app.exception
    app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
    assert not app.exception
    return app


def shown(app):
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def test_without_a_photo_the_page_asks_for_one(app):
    app.run()
    app.switch_page("pages/compare.py").run()
    assert not app.exception
    assert app.title[0].value == "Compare the models"
    assert "Drop a photo" in shown(app)
    assert not app.header


def test_models_are_compared_and_a_damaged_one_shows_its_error(two_models, china, monkeypatch):
    app = open_compare(two_models, china)
    names = []
    predict = CountryEngine.predict

    def counted(self, photos, top_k=5):
        names.append(self.card.id)
        return predict(self, photos, top_k)

    monkeypatch.setattr(CountryEngine, "predict", counted)
    app.button(key="compare-run").click().run()
    assert not app.exception
    assert names == ["second.test"]  # the first one predicted the photo when it was dropped
    assert [error.value for error in app.error if "third" in error.value]
    text = shown(app)
    assert "All models find Peru most probable." in text
    assert "0 km apart" in text
    assert "100% in common" in text
    labels = {button.label for button in app.get("download_button")}
    assert {"Comparison (JSON)", "Comparison (CSV)"} <= labels

    app.run()
    assert names == ["second.test"]
    assert app.button(key="compare-run").label == "Run 1 model on this photo"


def test_attention_is_computed_on_request_and_its_difference_is_shown(two_models, china):
    app = open_compare(two_models, china)
    app.button(key="compare-run").click().run()
    assert not app.get("image")[1:]
    app.button(key="compare-attention").click().run()
    assert not app.exception
    alts = [image.proto.imgs[0].alt for image in app.get("image")]
    assert len(alts) == 4  # the photo, two heat maps, their difference
    assert alts[-1].startswith("Orange counts more for")
    app.selectbox(key="compare-first").set_value("second.test").run()
    assert not app.exception
    assert app.selectbox(key="compare-first").value != app.selectbox(key="compare-second").value


def test_the_locate_page_keeps_its_own_prediction(two_models, china):
    app = open_compare(two_models, china)
    app.button(key="compare-run").click().run()
    app.switch_page("pages/locate.py").run()
    assert not app.exception
    assert app.header[0].value.startswith("🇵🇪 Peru")
