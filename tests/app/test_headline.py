import re
from dataclasses import replace

import pytest

from triovision.guesses import PlaceGuess
from triovision.inference import EMBEDDED_MODEL
from triovision.inference.area import choose_area


def drop(app, photo):
    app.run().file_uploader[0].set_value([("china.jpg", photo, "image/jpeg")])
    app.run()
    assert not app.exception


def shown(app):
    """All texts in the main part of the page."""
    return "\n".join(str(element.value) for kind in (app.header, app.markdown, app.caption) for element in kind)


def open_tab(app, name):
    app.session_state["tab"] = name
    app.run()
    assert not app.exception


def test_a_model_below_its_threshold_says_so_and_keeps_its_candidates(app, china, write_model):
    write_model(abstention_threshold=1.0)
    drop(app, china)
    assert app.header[0].value == "Not sure where this is"
    assert ":gray-badge[Not sure]" in shown(app)
    texts = [bar.proto.text.replace("\\", "") for bar in app.get("progress")]
    assert texts[0] == "🇵🇪 Peru (90%)"
    assert len(texts) == 5
    assert "Do you know the continent or the country? Add it under “What do you know about this photo?”" in shown(app)


def test_a_model_that_is_sure_of_a_part_of_the_world_names_it(app, china, write_model):
    write_model(abstention_threshold=1.0, part_of_world_threshold=0.9)
    drop(app, china)
    assert app.header[0].value == "Somewhere in South America"
    assert "Very sure · 91%" in shown(app)  # Peru and Brazil
    assert len(app.get("progress")) == 5
    app.session_state["language"] = "fr"
    assert app.run().header[0].value == "Quelque part\u00a0\\: Amérique du Sud"


def help_of_the_badge(app):
    (badge,) = [markdown for markdown in app.markdown if "-badge[" in markdown.value]
    return badge.proto.help.replace("\\", "")


def test_the_badge_says_on_which_photos_its_percentage_holds(app, china):
    drop(app, china)
    assert "This holds for photos like these: 12 photos of *nothing*." in help_of_the_badge(app)
    open_tab(app, "Details")
    assert r"**Calibrated on**. 12 photos of \*nothing\*" in shown(app)


@pytest.mark.parametrize("abstention_threshold", [0.5, 1.0])
def test_an_uncalibrated_model_says_so_and_gives_no_percentages(app, china, write_model, abstention_threshold):
    write_model(fitted_on="", abstention_threshold=abstention_threshold)
    drop(app, china)
    assert ":gray-badge[Uncalibrated]" in shown(app)
    assert f"triovision models calibrate {EMBEDDED_MODEL} --manifest M" in help_of_the_badge(app)
    words = shown(app) + "".join(bar.proto.text for bar in app.get("progress"))
    assert not re.search(r"\d\s?%", words)
    open_tab(app, "Why")
    country = next(box for box in app.selectbox if str(box.key).startswith("country-"))
    assert "Peru" in country.options
    open_tab(app, "Probabilities")
    assert "Uncalibrated: the percentages are scores" in shown(app)


def test_a_recognised_landmark_is_the_headline(app, china):
    drop(app, china)
    memory = app.session_state["triovision"]
    ((key, result),) = memory.results.items()
    landmark = PlaceGuess("Sagrada *Família*", "ES", 41.4036, 2.1744, 0.86)
    area = choose_area(result.prediction.countries, result.prediction.place, 10, landmark, None)
    memory.results[key] = replace(result, prediction=replace(result.prediction, landmark=landmark, area=area))
    app.run()
    assert not app.exception
    assert app.header[0].value == r"🇪🇸 Sagrada \*Família\*, Barcelona"
    assert "Fairly sure · 86%" in shown(app)
    assert "within about 1 km of it" in shown(app)
    assert "It could also be" not in shown(app)
