"""Texts from outside in a real browser: they are shown as they are, and never become links, scripts or requests."""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.hostile_texts import HOSTILE

from .conftest import ROOT

LINKS = "[...document.querySelectorAll('a')].map(a => a.href).filter(h => /example|b[.]c|mailto/.test(h))"
SCRIPTS = "[...document.querySelectorAll('script')].filter(s => /alert/.test(s.textContent)).length"
IMAGES = "[...document.querySelectorAll('img')].filter(i => /example/.test(i.src)).length"


def check_harmless(page):
    assert page.evaluate(LINKS) == []
    assert page.evaluate(SCRIPTS) == page.evaluate(IMAGES) == 0
    assert page.blocked == []
    assert not [problem for problem in page.problems if problem.startswith(("dialog", "exception"))]


def test_texts_from_outside_are_only_texts(open_page, serve):
    page = open_page(serve(Path(__file__).with_name("text_page.py")))
    expect(page.get_by_text("The page is complete.")).to_be_visible()
    check_harmless(page)
    assert page.locator("[data-testid=stMarkdownContainer] a").count() == 0
    text = page.inner_text("body").replace("\u2060", "")
    for visible in ("www.example.org", "a@b.c", "[x](https://example.org)", "<script>alert(1)</script>", "# heading"):
        assert visible in text
    assert "\u202e" not in text


def test_names_and_camera_data_of_photos_are_only_texts(open_page, serve):
    page = open_page(serve(ROOT / "app.py"), locale="en-GB")
    files = []
    for number, text in enumerate(HOSTILE[:12:3]):
        image, content = Image.new("RGB", (320, 240), (40 * number, 90, 90)), io.BytesIO()
        exif = Image.Exif()
        exif[0x010F], exif[0x0110], exif[0x0131] = text, text, text
        image.save(content, "JPEG", exif=exif)
        files.append(
            {"name": f"{text}.jpg".replace("/", "\u2215"), "mimeType": "image/jpeg", "buffer": content.getvalue()}
        )
    page.locator("input[type=file]").first.set_input_files(files)
    expect(page.get_by_role("tab", name="Details")).to_be_visible()
    check_harmless(page)
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_role("heading", name="This prediction")).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Details")).to_contain_text("example.org")
    check_harmless(page)
