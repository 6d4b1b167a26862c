"""Automatic accessibility check (axe-core) of every page of the menu, in both themes."""

import json

import pytest
from playwright.sync_api import expect

from triovision.bundle import NODE_MODULES

from .conftest import ROOT

AXE = NODE_MODULES / "axe-core" / "axe.min.js"
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
    "iframes": False,  # axe would wait for an answer of each frame
}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not AXE.is_file(), reason="needs the npm packages of development: npm ci"),
]


def violations(page):
    """Serious and critical violations as `rule: element`."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(f"axe.run({json.dumps(RULES)})")["violations"]
    return [
        f"{violation['id']}: {node['html'][:300]} {node['failureSummary'][:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_the_menu_has_a_barrier(open_page, serve, settle, scheme):
    page = open_page(serve(ROOT / "app.py"), viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    settle(page)
    names = page.get_by_test_id("stTopNavLink").all_inner_texts()
    assert len(names) >= 3
    found = {}
    for name in names:
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_test_id("stTopNavLink").filter(has_text=name)).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        settle(page)
        found[name] = violations(page)
    assert found == {name: [] for name in names}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_result_has_no_barrier(open_page, serve, settle, scheme):
    page = open_page(serve(ROOT / "app.py"), viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page.get_by_role("button", name="Try an example").click()
    expect(page.get_by_role("heading", level=2).first).to_be_visible()
    found = {}
    for tab in ("Map", "Probabilities", "Why", "Details"):
        page.get_by_role("tab", name=tab).click()
        settle(page)
        found[tab] = violations(page)
    assert found == {tab: [] for tab in found}
