import json
import shutil
import threading
import time

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from triovision.errors import ModelError
from triovision.inference import EMBEDDED_MODEL, CountryEngine, registry
from triovision.inference.geoclip import release
from triovision.ui import installation
from triovision.ui.installation import Installation, Step, shared_installation

NOISE, WORLDWIDE = "test_efficientnet.noise", "geoclip.mp16"
SOON_S = 60


@pytest.fixture
def two(app, tmp_path, write_tiny_model):
    """The page with two models: one that predicts Peru, and one with random weights that does not know Peru."""
    write_tiny_model(tmp_path)
    return app


@pytest.fixture
def predicted(monkeypatch):
    """Model and photo of each prediction, in order."""
    pairs, predict = [], CountryEngine.predict

    def noted(self, photos, top_k=5):
        pairs.extend((self.card.id, photo.name) for photo in photos)
        return predict(self, photos, top_k)

    monkeypatch.setattr(CountryEngine, "predict", noted)
    return pairs


@pytest.fixture
def world(two, hub, small_package, tiny_card, monkeypatch):  # noqa: ARG001 - the package must be there
    """The page where the worldwide model can be installed from a hub on this machine."""
    monkeypatch.setattr(release, "released_card", lambda: tiny_card)
    monkeypatch.setattr(installation, "_SHARED", Installation())
    yield two
    shared_installation().cancel()
    hub.release.set()
    settle()


def go(app, page):
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    return app


def choose(app, model_id):
    go(app, "models").radio(key="model").set_value(model_id).run()
    assert not app.exception
    return app


def drop(app, *files):
    app.file_uploader[0].set_value([(name, data, "image/jpeg") for name, data in files])
    app.run()
    assert not app.exception


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def labels(app):
    return {button.label for button in (*app.button, *app.get("download_button"))}


def shown(app):
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(str(one.value) for kind in (*kinds, app.success) for one in kind).replace("\\", "")


def bars(app):
    return [bar.proto.text.replace("\\", "") for bar in app.get("progress")]


def settle():
    deadline = time.monotonic() + SOON_S
    while shared_installation().progress.running and time.monotonic() < deadline:
        time.sleep(0.01)


def ended(app):
    settle()
    assert not app.run().exception
    return app


def test_every_model_is_there_with_its_metrics_its_size_and_its_card(two, tmp_path, monkeypatch):
    written = {}
    download = "triovision.ui.models.st.download_button"
    monkeypatch.setattr(download, lambda _, data, file_name, **__: written.update({file_name: data}))
    app = go(two.run(), "models")
    assert app.radio(key="model").value == EMBEDDED_MODEL
    text = shown(app)
    assert text.count("in use") == 1
    assert "18 countries" in text
    assert "4 countries" in text
    megabytes = sum(path.stat().st_size for path in (tmp_path / EMBEDDED_MODEL).iterdir()) / 1e6
    assert f"{megabytes:.1f} MB on disk" in text
    (table,) = [one.value for one in app.table if "Median distance (km)" in one.value.columns]
    assert table.to_numpy().tolist() == [["known places", "25%", r"\-", r"\-"]]
    assert "Its card has no metrics for new or known places." in text  # the other one
    assert json.loads(written[f"{NOISE}.json"])["summary"] == "Random weights"


def test_studies_are_drawn_on_demand_and_only_where_they_are_recorded(two, tmp_path):
    go(two.run(), "models")
    title = "Training: curves, comparisons, tuning"
    assert title not in [one.label for one in two.expander]
    folder, common = tmp_path / NOISE, {"measured_on": "9 photos", "command": "c"}
    digest = json.loads((folder / "card.json").read_text())["weights_sha256"]
    run = common | {
        "name": "my *recipe*",
        "training_photos": 9,
        "splits": [{"name": "new_places", "photos": 10, "top1_low": 0.3, "top1_high": 0.8}],
        "best_epoch": 1,
        "epochs": [{"epoch": 1, "values": {"train/loss": 1.5, "new_places/top1": 0.6}}],
    }
    study = common | {"name": "tuned", "metric": "new_places/top1", "direction": "maximize", "photos": 400, "count": 20}
    study |= {"pruned": None, "first": 0.308, "best": 0.325, "worst": None, "chosen": {"optimisation.batch_size": 64}}
    content = {"model": NOISE, "weights_sha256": digest, "curves": [run], "searches": [study]}
    content["searches"][0] |= {"trials": [], "importances": {}}
    (folder / "studies.json").write_text(json.dumps(content))
    go(two.run(), "models")
    assert "Training of" not in shown(two)
    two.session_state[f"studies-{NOISE}"] = True
    text = shown(two.run())
    assert not two.exception
    assert "Training of my *recipe*" in text
    assert "the weights of epoch 1 of 1 were kept" in text
    assert "new places: 60.0% of 10 photos (95% interval 30% to 80%)" in text
    assert "20 trials: 30.8% in the first, 32.5% in the best; measured on 400 photos." in text
    assert len(two.get("plotly_chart")) == 2
    tables = [frame.value.to_numpy().tolist() for frame in two.dataframe]
    assert [["1", "1.500"]] in tables
    assert [["batch size", "64"]] in tables
    (folder / "studies.json").write_text(json.dumps(content | {"weights_sha256": "b" * 64}))
    assert "was measured with other weights" in shown(two.run())


def test_the_chosen_model_predicts_and_cached_results_are_kept(two, china, predicted):
    drop(two.run(), ("china.jpg", china))
    assert two.header[0].value.startswith("🇵🇪 Peru · ")
    choose(two, NOISE)
    assert len(predicted) == 1  # the reader has not returned to the photo yet
    go(two, "about")
    assert go(two, "models").radio(key="model").value == NOISE
    go(two, "locate")
    assert "Peru" not in shown(two)
    assert f"Model: {NOISE}" in shown(two)
    choose(two, EMBEDDED_MODEL)
    go(two, "locate")
    assert two.header[0].value.startswith("🇵🇪 Peru · ")
    assert predicted == [(EMBEDDED_MODEL, "china.jpg"), (NOISE, "china.jpg")]
    two.button(key="clear").click().run()
    drop(choose(two, NOISE) and go(two, "locate"), ("again.jpg", china))
    assert predicted[2:] == [(NOISE, "again.jpg")]
    two.button(key="clear").click().run()
    assert go(two, "models").radio(key="model").value == NOISE


def test_explanations_and_evidence_belong_to_the_model_of_the_prediction(two, china, open_form):
    two.run().session_state["tab"] = "Why"
    drop(two, ("china.jpg", china))
    open_form(two)
    country = next(box for box in two.selectbox if str(box.key).endswith(f"{EMBEDDED_MODEL}-country"))
    country.set_value("IT")
    press(two, "Apply")
    choose(two, NOISE)
    go(two, "locate")
    assert not two.info  # this model has no evidence
    memory = two.session_state["triovision"]
    assert {explanation.model for explanation in memory.explanations.values()} == {EMBEDDED_MODEL, NOISE}
    choose(two, EMBEDDED_MODEL)
    go(two, "locate")
    assert "Restricted to what you know: Italy" in shown(two)


def test_other_photos_keep_their_predictions_until_the_reader_asks(two, china, predicted):
    drop(two.run(), ("china.jpg", china), ("copy.jpg", china + b"\0"))
    choose(two, NOISE)
    go(two, "locate")
    assert predicted[2:] == [(NOISE, "china.jpg")]
    press(two, "Predict 1 other photo with this model")
    assert predicted[3:] == [(NOISE, "copy.jpg")]
    assert not {label for label in labels(two) if label.startswith("Predict ")}


def test_sessions_choose_for_themselves_and_share_what_is_loaded(two, china, monkeypatch):
    loaded, load = [], registry.load_model
    monkeypatch.setattr(registry, "load_model", lambda model_id: loaded.append(model_id) or load(model_id))
    other = AppTest.from_file(two._script_path, default_timeout=60)
    drop(two.run(), ("china.jpg", china))
    go(choose(other.run(), NOISE), "locate")
    drop(other, ("china.jpg", china))
    two.run()
    assert "Peru" in two.header[0].value
    assert f"Model: {NOISE}" in shown(other)
    choose(two, NOISE)
    go(two, "locate")
    choose(two, EMBEDDED_MODEL)
    go(two, "locate")
    assert loaded == [EMBEDDED_MODEL, NOISE]


def test_the_default_may_be_named(two, monkeypatch):
    monkeypatch.setenv("TRIOVISION_MODEL", NOISE)
    assert go(two.run(), "models").radio(key="model").value == NOISE
    assert "4 countries" in shown(go(two, "locate"))


def test_a_damaged_model_is_named_and_another_can_be_chosen(two, tmp_path, write_tiny_model):
    write_tiny_model(tmp_path, "test_efficientnet.broken")
    (tmp_path / "test_efficientnet.broken" / "card.json").write_text("{}")
    (tmp_path / NOISE / "weights.safetensors").write_bytes(b"damaged")
    app = choose(two.run(), NOISE)
    assert "test_efficientnet.broken/card.json: is not a valid model card" in shown(app).replace("*", "")
    options = [option.replace("\\", "") for option in app.radio(key="model").options]
    assert sorted(options) == sorted([EMBEDDED_MODEL, NOISE])
    go(app, "locate")
    assert "The model cannot be used." in shown(app)
    assert [link.proto.label for link in app.get("page_link")] == ["Choose another model"]
    choose(app, EMBEDDED_MODEL)
    assert not go(app, "locate").error


def test_files_are_checked(two, tmp_path):
    app = go(two.run(), "models")
    app.button(key=f"check-{NOISE}").click().run()
    assert [one.value for one in app.success] == ["All files match the card."]
    (tmp_path / NOISE / "weights.safetensors").write_bytes(b"")
    app.button(key=f"check-{NOISE}").click().run()
    assert "has SHA-256" in shown(app)
    assert "Restore the folder" in shown(app)
    assert not app.success


def test_without_its_packages_the_remedy_comes_before_the_download(world, monkeypatch):
    def absent():
        raise ModelError("geoclip", "is needed by the worldwide model and is not installed", release.EXTRA)

    monkeypatch.setattr(release, "package_folder", absent)
    app = go(world.run(), "models")
    assert "pip install -r requirements-geoclip.txt" in shown(app)
    assert "Download and install" not in labels(app)
    app.session_state["language"] = "fr"
    assert "Installez les paquets du modèle mondial" in shown(app.run())


def test_all_sessions_see_an_installation_and_can_cancel_and_resume_it(world, hub, tmp_path, china):
    path = next(path for path in hub.files if path.endswith("model.safetensors"))
    hub.holds[path] = 300_000
    app, other = go(world.run(), "models"), AppTest.from_file(world._script_path, default_timeout=60)
    assert "geoclip.mp16 is not installed yet." in shown(app).replace("*", "")
    assert " MB from the public hub, once. Free in " in shown(app)
    press(app, "Download and install")
    assert hub.held.wait(SOON_S)
    go(other.run(), "models")
    assert "Cancel" in labels(other)
    assert "Download and install" not in labels(other)
    shared_installation().start()
    assert [thread.name for thread in threading.enumerate()].count("install") == 1
    assert " of " in bars(other)[0]
    assert "a second" in bars(other)[0] or "no data at the moment" in bars(other)[0]
    press(other, "Cancel")
    assert bars(app.run()) == ["Stopping…"]
    hub.release.set()
    ended(other)
    assert "Cancelled. Downloaded data are kept" in shown(ended(app))
    press(app, "Resume")
    assert "geoclip.mp16 is installed." in shown(ended(app)).replace("*", "")
    assert hub.ranges(path)[:2] == [None, "bytes=300000-"]
    assert len(list((tmp_path / "cache" / "triovision").glob("*.npy"))) == 2
    assert app.radio(key="model").value == EMBEDDED_MODEL  # what the reader did not touch stays
    go(choose(app, WORLDWIDE), "locate")
    drop(app, ("china.jpg", china))
    assert f"Model: {WORLDWIDE}" in shown(app)
    newcomer = AppTest.from_file(world._script_path, default_timeout=60).run()
    assert newcomer.session_state["triovision"].model == WORLDWIDE


@pytest.mark.parametrize("fault", ["network", "hash", "disk"])
def test_a_failed_installation_shows_its_reason_and_remedy(world, hub, monkeypatch, fault):
    path = next(path for path in hub.files if path.endswith("/config.json"))
    right = hub.files[path]
    if fault == "hash":
        hub.files[path] = right.replace(b"clip", b"CLIP")
    if fault == "network":
        del hub.files[path]
    app = go(world.run(), "models")
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as disk:
        if fault == "disk":
            disk.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        press(app, "Download and install")
        ended(app)
    messages = {
        "network": ("the server responded with 404", "Check the network"),
        "hash": ("does not have the SHA-256", "was deleted"),
        "disk": ("has 0.0 GB free", "Free the disk"),
    }
    assert "The installation failed." in shown(app)
    assert all(text in shown(app) for text in messages[fault])
    app.session_state["language"] = "fr"
    assert not any(text in shown(app.run()) for text in messages[fault])
    hub.files[path] = right
    press(app, "Reprendre")
    assert "est installé." in shown(ended(app))
    assert shared_installation().progress.step is Step.DONE


def test_the_embedded_model_replaces_a_broken_worldwide_model_until_it_is_repaired(
    world, hub, tmp_path, write_worldwide, china
):
    folder = write_worldwide(tmp_path)
    (folder / "config.json").write_text("{}")
    drop(world.run(), ("china.jpg", china))
    assert "🇵🇪" in world.header[0].value
    assert len([one for one in world.warning if "the embedded one is used instead" in one.value]) == 1
    assert go(world, "models").radio(key="model").value == EMBEDDED_MODEL
    press(world, "Check and repair its files")
    ended(world)
    assert [path.rpartition("/")[2] for path, _ in hub.requests] == ["config.json"]
    choose(world, WORLDWIDE)
    go(world, "locate")
    assert not world.warning
    assert f"Model: {WORLDWIDE}" in shown(world)


def test_a_page_without_models_says_so_and_offers_one(world, tmp_path):
    shutil.rmtree(tmp_path / NOISE)
    shutil.rmtree(tmp_path / EMBEDDED_MODEL)
    st.cache_resource.clear()
    app = go(world.run(), "models")
    assert "Download and install" in labels(app)


def test_only_the_owner_may_install_cancel_or_see_folders(world, hub, tmp_path, monkeypatch):
    path = next(path for path in hub.files if path.endswith("model.safetensors"))
    hub.holds[path] = 300_000
    monkeypatch.setenv("TRIOVISION_ADMIN", "0")
    app = go(world.run(), "models")
    assert "geoclip.mp16 is not installed yet." in shown(app).replace("*", "")
    assert "Only the owner of this server can install" in shown(app)
    assert "Download and install" not in labels(app)
    assert str(tmp_path) not in shown(app)
    shared_installation().start()  # by the owner
    assert hub.held.wait(SOON_S)
    app.run()
    assert bars(app)
    assert "Cancel" not in labels(app)
    monkeypatch.setenv("TRIOVISION_ADMIN", "1")
    assert "Cancel" in labels(app.run())
