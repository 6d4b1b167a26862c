import pytest
from playwright.sync_api import expect

from triovision.inference import EMBEDDED_MODEL

from .conftest import ROOT


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_models_can_be_looked_at_and_checked_on_a_phone(open_page, serve, scheme):
    window = {"width": 390, "height": 900}
    page = open_page(serve(ROOT / "app.py") + "/models", viewport=window, locale="en-GB", color_scheme=scheme)
    expect(page.get_by_role("radio", name=EMBEDDED_MODEL)).to_be_checked()
    expect(page.get_by_role("columnheader", name="Median distance (km)").first).to_be_visible()
    check = page.get_by_role("button", name="Check the files").first
    check.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stAlert")).to_contain_text("All files match the card.")
    assert page.evaluate("document.querySelector('.stMain').scrollWidth <= innerWidth")
    # Below an address of a page, Streamlit first requests its server at a wrong path.
    assert [line for line in page.problems if "_stcore" not in line] == []
