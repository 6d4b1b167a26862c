"""Views in the address of the page."""

import pytest

from triovision.inference.registry import EMBEDDED_MODEL


@pytest.fixture
def visit(app, china):
    """Opens the page with an address, and drops a photo."""

    def open_(**address):
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
        app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")])
        app.run()
        assert not app.exception
        assert not app.error
        return app

    return open_


def address(app):
    return {name: app.query_params[name] for name in app.query_params}


def test_a_link_opens_language_tab_number_and_model(visit):
    asked = {"language": "fr", "tab": "probabilities", "k": "9", "model": EMBEDDED_MODEL}
    app = visit(**asked)
    assert app.title[0].value == "Où cette photo a-t-elle été prise\u202f?"
    assert app.session_state["tab"] == "Probabilités"
    assert app.slider(key="k").value == 9
    assert app.session_state["triovision"].model == EMBEDDED_MODEL
    assert address(app) == asked


@pytest.mark.parametrize("k", ["0", "4", "16", "-7", "7.5", "x" * 5000, ""])
def test_unknown_values_are_ignored(visit, k):
    app = visit(language="xx", tab="<b>", k=k, model="../../etc")
    assert app.title[0].value == "Where was this photo taken?"
    assert app.session_state["tab"] == "Map"
    assert app.session_state["triovision"].model == EMBEDDED_MODEL
    app.session_state["tab"] = "Probabilities"
    app.run()
    assert app.slider(key="k").value == 5
    assert address(app) == {"tab": "probabilities"}


def test_the_address_follows_the_widgets_and_names_no_photo(visit):
    app = visit()
    assert address(app) == {}
    app.session_state["tab"] = "Probabilities"
    app.run()
    app.slider(key="k").set_value(7).run()
    app.run()
    assert address(app) == {"tab": "probabilities", "k": "7"}
    next(group for group in app.button_group if group.key == "language").set_value("fr").run()
    app.button(key="clear").click().run()
    app.run()
    assert address(app) == {"k": "7", "language": "fr"}
