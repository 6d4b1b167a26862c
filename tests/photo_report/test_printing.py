import re

import pytest

from triovision.errors import ReportError
from triovision.photo_report import printing, write_pdf


def test_a_report_is_printed(page, explanation, tmp_path):
    try:
        printing.find_browser()
    except ReportError as error:
        pytest.skip(str(error))
    write_pdf(page(explanation=explanation), tmp_path / "report.pdf")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]


def test_without_a_browser_the_remedy_is_named(page, tmp_path, monkeypatch):
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setattr(printing, "_PLACES", {})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReportError, match=r"none was found\. Write the report as HTML"):
        write_pdf(page(), tmp_path / "report.pdf")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "absent"))
    with pytest.raises(ReportError, match="absent: is not a browser"):
        printing.find_browser()


@pytest.mark.parametrize(
    ("script", "reason"), [("echo broken >&2; exit 3", "broken"), ("sleep 60", "took longer than")]
)
def test_a_browser_that_fails_leaves_no_file(page, tmp_path, monkeypatch, script, reason):
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\n{script}\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    monkeypatch.setattr(printing, "TIMEOUT_S", 1)
    with pytest.raises(ReportError, match=reason):
        write_pdf(page(), tmp_path / "report.pdf")
    assert not (tmp_path / "report.pdf").exists()
