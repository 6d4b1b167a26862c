import pytest
from playwright.sync_api import expect

import triovision
from triovision.errors import ModelError

from .conftest import ROOT


@pytest.fixture(scope="module", autouse=True)
def _model():
    try:
        triovision.load_model()
    except ModelError as error:
        pytest.skip(str(error))


def tab_to(page, target, presses=60):
    """Press Tab until an element has the focus."""
    expect(target).to_be_visible()
    for _ in range(presses):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail("the keyboard does not reach this element")


def test_a_round_is_played_by_keyboard_alone(open_page, serve):
    page = open_page(serve(ROOT / "app.py") + "/play", locale="en-GB", viewport={"width": 1280, "height": 900})
    tab_to(page, page.get_by_role("button", name="Start: 1 round"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("textbox", name="City"))
    page.keyboard.type("Beijing")
    page.keyboard.press("Enter")
    latitude = page.get_by_role("spinbutton", name="Latitude (°)")
    expect(latitude).to_have_value("39.9075")
    tab_to(page, page.get_by_role("button", name="Confirm"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("km off")).to_have_count(2)
    expect(page.frame_locator("iframe").locator(".legend")).to_contain_text("True place")
    tab_to(page, page.get_by_role("button", name="To the summary"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You win")).to_be_visible()
    # Streamlit looks for its own address below that of the page first.
    assert not [line for line in page.problems if "/play/_stcore/" not in line]
    assert page.blocked == []
