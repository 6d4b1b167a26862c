"""The tab "Why": contrasts, slow methods, settings, faithfulness and activations."""

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from triovision import explain
from triovision.errors import ExplanationError
from triovision.ui.explanation_downloads import array_file
from triovision.ui.faithfulness import curves_csv

GRAD_CAM = "Grad-CAM"


@pytest.fixture
def calls(monkeypatch):
    """What was computed, by name, and the arguments of the last explanation."""
    counts = Counter()

    def counted(name):
        original = getattr(explain, name)

        def call(*args, **options):
            counts[name] += 1
            counts.last = options
            return original(*args, **options)

        monkeypatch.setattr(explain, name, call)

    for name in ("explain_country", "measure_faithfulness", "network_activations"):
        counted(name)
    return counts


@pytest.fixture
def slow(monkeypatch):
    """Every method in many steps, and faithfulness, is expected to take twelve seconds."""
    for name in ("estimate_ms", "estimate_faithfulness_ms"):
        monkeypatch.setattr(explain, name, lambda *_: 12_300.0)


@pytest.fixture
def why(app, china, calls):
    """The page with the tab open and its first explanation drawn."""
    app.run()
    app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
    app.session_state["tab"] = "Why"
    app.run()
    assert not app.exception
    assert calls["explain_country"] == 1
    return app


def select(app, start, value):
    box = next(box for box in app.selectbox if str(box.key).startswith(start))
    box.set_value(value).run()
    assert not app.exception


def captions(app):
    return "\n".join(str(caption.value) for caption in app.caption)


def alts(app):
    return [image.proto.imgs[0].alt for image in app.get("image")]


def labels(app, kind):
    return {element.label for element in app.get(kind)}


def test_a_contrast_is_a_map_of_two_colours(why, calls):
    select(why, "against-", "IT")
    assert calls.last["against"] == "IT"
    assert "Heat map for Peru and not Italy" in alts(why)
    assert "Orange speaks for Peru, blue for Italy." in captions(why)
    select(why, "against-", None)
    assert "Heat map for Peru" in alts(why)
    assert calls["explain_country"] == 2  # the first one was still there


def test_a_country_is_not_contrasted_with_itself(why, calls):
    select(why, "against-", "IT")
    select(why, "country-", "IT")
    assert "Heat map for Italy" in alts(why)
    assert calls.last["against"] is None
    against = next(box for box in why.selectbox if str(box.key).startswith("against-"))
    assert "Italy" not in against.options


@pytest.mark.parametrize("method", explain.METHODS, ids=lambda method: method.name)
def test_each_method_says_what_it_reads_and_how_to_read_it(why, method):
    option = next(box for box in why.selectbox if box.key == "method").options
    if method.kind == "attention":  # of transformers only
        assert not any(label.startswith(method.name) for label in option)
        return
    assert any(label.startswith(f"{method.name} · ") for label in option)
    before = captions(why)
    select(why, "method", method.name)
    assert method.name == GRAD_CAM or captions(why) != before


@pytest.mark.usefixtures("slow")
def test_a_slow_method_says_its_time_and_waits_for_a_button(why, calls):
    select(why, "method", "Integrated gradients")
    assert calls["explain_country"] == 1
    button = why.button(key="why-compute")
    assert button.label == "Compute (about 12 s)"
    assert not any("Heat map" in alt for alt in alts(why))
    why.slider(key="opacity").set_value(20).run()
    assert calls["explain_country"] == 1
    why.button(key="why-compute").click().run()
    assert not why.exception
    assert calls["explain_country"] == 2
    assert "Orange speaks for Peru, blue against it." in captions(why)
    select(why, "method", GRAD_CAM)
    select(why, "method", "Integrated gradients")
    assert calls["explain_country"] == 2
    assert "why-compute" not in {button.key for button in why.button}


def test_an_explanation_that_would_exceed_the_longest_time_says_so_before(why, monkeypatch):
    monkeypatch.setattr(explain, "estimate_ms", lambda *_: 179_000.0)
    select(why, "method", "Score-CAM")
    assert not why.warning
    monkeypatch.setattr(explain, "estimate_ms", lambda *_: 181_000.0)
    why.run()
    assert "one explanation may take 3 minutes at most" in why.warning[0].value
    assert why.button(key="why-compute").label == "Compute (about 3 minutes)"


@pytest.mark.usefixtures("slow")
def test_a_slow_explanation_that_fails_leaves_no_progress(why, monkeypatch):
    def fail(*_, on_step, **__):
        on_step(0.5)
        raise ExplanationError("tiny", "takes longer than 180 s", "Try again")

    select(why, "method", "Score-CAM")
    monkeypatch.setattr(explain, "explain_country", fail)
    why.button(key="why-compute").click().run()
    assert "takes longer" in why.error[0].value
    assert "why-stop" not in {button.key for button in why.button}
    why.button(key="why-again").click().run()
    assert not why.error
    assert why.button(key="why-compute")


def test_a_measurement_that_fails_leaves_no_progress(why, monkeypatch):
    def fail(*_, on_step, **__):
        on_step(0.5)
        raise ExplanationError("tiny", "waits for others", "Try again")

    monkeypatch.setattr(explain, "measure_faithfulness", fail)
    why.session_state["why-faithfulness"] = True
    why.run()
    why.button(key="why-measure").click().run()
    assert "waits for others" in why.error[0].value
    assert "why-measure-stop" not in {button.key for button in why.button}
    why.button(key="why-measure-again").click().run()
    assert why.button(key="why-measure")


def test_an_empty_map_is_called_empty_and_not_measured(why, monkeypatch):
    original = explain.explain_country
    monkeypatch.setattr(
        explain,
        "explain_country",
        lambda *args, **options: (one := original(*args, **options)) and replace(one, heatmap_hw=0 * one.heatmap_hw),
    )
    select(why, "method", "LayerCAM")
    assert "The map is empty" in why.info[0].value
    assert "Bright areas" not in captions(why)
    assert "Is this map faithful to the model?" not in {one.label for one in why.expander}
    select(why, "method", GRAD_CAM)
    assert "Is this map faithful to the model?" in {one.label for one in why.expander}


def test_a_long_time_is_given_in_seconds(why, monkeypatch):
    original = explain.explain_country
    monkeypatch.setattr(
        explain, "explain_country", lambda *args, **options: replace(original(*args, **options), elapsed_ms=89_079.0)
    )
    select(why, "method", "LayerCAM")
    assert "· 89 s" in captions(why)


def test_a_method_that_is_fast_here_starts_by_itself(why, calls, monkeypatch):
    monkeypatch.setattr(explain, "estimate_ms", lambda *_: 1500.0)
    select(why, "method", "Integrated gradients")
    assert calls["explain_country"] == 2


def test_a_setting_of_a_method_makes_another_explanation(why, calls, monkeypatch):
    monkeypatch.setattr(explain, "estimate_ms", lambda *_: 10.0)
    select(why, "method", "Integrated gradients")
    why.slider(key="why-steps").set_value(8).run()
    assert not why.exception
    assert calls.last["settings"].steps == 8
    why.slider(key="why-steps").set_value(32).run()
    assert calls["explain_country"] == 3


@pytest.mark.usefixtures("slow")
def test_settings_that_contradict_each_other_cannot_be_chosen(why):
    select(why, "method", "Occlusion")
    why.slider(key="why-window").set_value(50).run()
    why.slider(key="why-stride").set_value(40).run()
    why.slider(key="why-window").set_value(20).run()
    assert not why.exception
    assert why.slider(key="why-stride").value == 20
    select(why, "method", "LIME")
    why.slider(key="why-segments").set_value(150).run()
    assert not why.exception
    assert why.slider(key="why-samples").min == 200


@pytest.mark.usefixtures("slow")
def test_faithfulness_is_measured_when_asked_for(why, calls):
    why.session_state["why-faithfulness"] = True
    why.run()
    assert not why.exception
    assert calls["measure_faithfulness"] == 0
    button = why.button(key="why-measure")
    assert button.label == "Measure (about 12 s)"
    button.click().run()
    assert not why.exception
    assert "Curves (CSV)" in labels(why, "download_button")
    assert any("Area under the insertion curve" in text.value for text in why.markdown)
    select(why, "country-", "IT")
    assert "Curves (CSV)" not in labels(why, "download_button")
    select(why, "country-", "PE")
    assert "Curves (CSV)" in labels(why, "download_button")
    assert calls["measure_faithfulness"] == 1


def test_activations_are_computed_when_their_expander_opens(why, calls):
    (result,) = why.session_state["triovision"].results.values()
    assert calls["network_activations"] == 0
    why.session_state[f"inside-{result.id}"] = True
    why.run()
    assert not why.exception
    stages = why.session_state["triovision"].activations[result.id]
    assert any(alt.startswith(f"Layer {stages[0].layer}".replace(".", r"\.")) for alt in alts(why))
    select(why, "inside-stage", len(stages) - 1)
    assert any(f"of {stages[-1].total_channels} channels" in alt for alt in alts(why))
    assert calls["network_activations"] == 1


def test_an_explanation_that_fails_leaves_the_rest_of_the_tab(why, monkeypatch):
    def fail(*_, **__):
        raise ExplanationError("tiny", "waits for others", "Try again")

    with monkeypatch.context() as patched:
        patched.setattr(explain, "explain_country", fail)
        select(why, "method", "LayerCAM")
        assert "waits for others" in why.error[0].value
    why.button(key="why-again").click().run()
    assert not why.error
    assert "Heat map for Peru" in alts(why)
    assert "Inside the network" in {one.label for one in why.expander}


def test_every_file_of_an_explanation_is_offered(why):
    assert {"Overlay (PNG)", "Raw map (PNG)", "Array (NPZ)"} <= labels(why, "download_button")
    (explanation,) = why.session_state["triovision"].explanations.values()
    with np.load(io.BytesIO(array_file(explanation)), allow_pickle=False) as file:
        assert np.array_equal(file["heatmap_hw"], explanation.heatmap_hw)
        assert tuple(file["box"]) == explanation.box
        texts = {name: str(file[name]) for name in ("model", "method", "layer", "country", "against")}
    assert texts["country"] == "PE"
    assert texts["against"] == ""
    assert texts["method"] == GRAD_CAM
    assert texts["model"] == explanation.model


def test_curves_are_a_table_with_a_row_per_fraction():
    curve = np.array([1.0, 0.5, 0.25])
    measured = explain.Faithfulness(
        fraction=np.array([0.0, 0.15000000000000002, 1.0]),
        deletion=curve,
        insertion=curve[::-1],
        random_deletion=curve / 2,
        random_insertion=curve / 4,
    )
    assert curves_csv(measured).decode().splitlines() == [
        "fraction,deletion,insertion,random_deletion,random_insertion",
        "0,1,0.25,0.5,0.25",
        "0.15,0.5,0.5,0.25,0.125",
        "1,0.25,1,0.125,0.0625",
    ]


@pytest.mark.usefixtures("slow")
def test_the_tab_speaks_french(why):
    why.session_state["language"] = "fr"
    why.run()
    select(why, "method", "Occlusion")
    assert why.button(key="why-compute").label == "Calculer (environ 12\u202fs)"
