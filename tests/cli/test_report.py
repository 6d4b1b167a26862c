import pytest
from click.testing import CliRunner

from triovision.cli import main
from triovision.photo_report import printing


@pytest.fixture
def run(tmp_path, write_tiny_model, monkeypatch):
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))

    def invoke(*arguments):
        command = ["report", *map(str, arguments), "--model", "test_efficientnet.noise", "--device", "cpu"]
        return CliRunner().invoke(main, command)

    return invoke


def test_a_report_is_written_in_the_chosen_language(run, photo_folder, tmp_path):
    target = tmp_path / "out" / "report.html"
    result = run(photo_folder / "0.jpg", "--to", target, "--language", "fr", "--include", "taken")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"wrote {target}\n"
    page = target.read_text("utf-8")
    assert '<html lang="fr">' in page
    assert page.count("<img") == 2  # the photo and its heat map
    assert run(photo_folder / "0.jpg", "--to", target, "--no-explanation").exit_code == 0
    assert target.read_text("utf-8").count("<img") == 1


def test_wrong_usage_names_the_remedy(run, photo_folder, tmp_path, monkeypatch):
    result = run(photo_folder / "0.jpg", "--to", tmp_path / "report.docx")
    assert result.exit_code == 2
    assert "ends with .html or .pdf" in result.stderr
    result = run(photo_folder / "note.jpg", "--to", tmp_path / "report.html")
    assert result.exit_code == 2
    assert "note.jpg" in result.stderr
    monkeypatch.setattr(printing, "_PLACES", {})
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run(photo_folder / "0.jpg", "--to", tmp_path / "report.pdf")
    assert result.exit_code == 2
    assert "Write the report as HTML" in result.stderr
    assert not list(tmp_path.glob("report.*"))
