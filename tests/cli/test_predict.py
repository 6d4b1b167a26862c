from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from triovision.geo import country_name
from triovision.inference.card import Calibration

Run = Callable[..., Result]


def predict(run: Run, *arguments: object) -> Result:
    return run("predict", *arguments, "--model", "test_efficientnet.noise", "--format", "json", "--device", "cpu")


def test_json_lines_hold_one_object_a_photo(run: Run, photo_folder: Path) -> None:
    result = predict(run, photo_folder / "1.jpg", photo_folder / "0.jpg", "--top-k", 2)
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["photo"] for line in lines] == [str(photo_folder / "1.jpg"), str(photo_folder / "0.jpg")]
    for line in lines:
        assert line["model"] == "test_efficientnet.noise"
        assert len(line["countries"]) == 2
        assert {"lat_deg", "lon_deg", "radius_km"} <= set(line["place"])
        assert line["abstained"] is False
        assert line["calibrated"] is True
        assert line["landmark"] is None
        assert line["area"]["kind"] == "country"
        assert line["area"]["country"] == line["countries"][0]["country"]
        assert line["elapsed_ms"] > 0


def test_a_folder_is_searched_and_a_refusal_is_reported(run: Run, photo_folder: Path) -> None:
    result = predict(run, photo_folder)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert len(lines) == 7
    refused = [line for line in lines if "error" in line]
    assert [Path(line["photo"]).name for line in refused] == ["note.jpg"]
    assert refused[0]["error"]["type"] == "PhotoError"
    assert "note.jpg" in refused[0]["error"]["message"]


def test_globs_are_opened(run: Run, photo_folder: Path) -> None:
    result = predict(run, photo_folder / "[0-2].jpg")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 3


def test_a_file_name_that_looks_like_a_glob_is_a_file(run: Run, photo_folder: Path) -> None:
    odd = photo_folder / "what[1].jpg"
    (photo_folder / "0.jpg").rename(odd)
    assert json.loads(predict(run, odd).stdout)["photo"] == str(odd)


@pytest.mark.parametrize(
    "arguments",
    [("predict",), ("predict", "x.jpg", "--format", "xml"), ("predict", "x.jpg", "--top-k", "0"), ("nonsense",)],
)
def test_wrong_usage_exits_with_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_an_empty_folder_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert predict(run, tmp_path / "empty").exit_code == 2


def test_a_missing_model_is_one_line_and_2(run: Run, photo_folder: Path) -> None:
    result = run("predict", photo_folder / "0.jpg", "--model", "nope.nothing")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: nope.nothing: is not installed")


def test_the_table_says_the_same_in_words(run: Run, photo_folder: Path) -> None:
    result = run("predict", photo_folder / "0.jpg", photo_folder / "note.jpg", "--model", "test_efficientnet.noise")
    first, second = result.stdout.splitlines()
    (line,) = [json.loads(line) for line in predict(run, photo_folder / "0.jpg").stdout.splitlines()]
    country = country_name(line["area"]["country"])
    assert first.startswith(f"{photo_folder / '0.jpg'}: {country} (Not sure, 2")
    assert "No place in this country is certain enough to be named." in first
    assert f"{line['countries'][3]['country']} {line['countries'][3]['probability']:.0%}" in first
    assert f"{line['place']['lat_deg']:.2f}, {line['place']['lon_deg']:.2f}" in first
    assert "refused" in second


def test_an_uncalibrated_model_says_so_without_percentages(
    run: Run, photo_folder: Path, tmp_path: Path, write_tiny_model: Callable[..., Path]
) -> None:
    calibration = Calibration(
        temperature=1, conformal_threshold=1, conformal_coverage=0, abstention_threshold=0, fitted_on=""
    )
    write_tiny_model(tmp_path / "models", "test_efficientnet.raw", calibration=calibration)
    model = ("--model", "test_efficientnet.raw")
    text = run("predict", photo_folder / "0.jpg", *model).stdout
    assert "(Uncalibrated)" in text
    assert "%" not in text
    assert json.loads(run("predict", photo_folder / "0.jpg", *model, "--format", "json").stdout)["calibrated"] is False


def test_paths_come_from_standard_input(run: Run, photo_folder: Path) -> None:
    names = f"{photo_folder / '2.jpg'}\n\n{photo_folder / 'gone.jpg'}\r\n".encode()
    result = run("predict", "-", "--model", "test_efficientnet.noise", "--format", "json", input=names)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["photo"]).name for line in lines] == ["2.jpg", "gone.jpg"]
    assert ["error" in line for line in lines] == [False, True]
    assert result.exit_code == 1


def test_a_name_on_standard_input_is_no_glob(run: Run, photo_folder: Path) -> None:
    result = run(
        "predict", "-", "--model", "test_efficientnet.noise", "--format", "json", input=f"{photo_folder}/*.jpg".encode()
    )
    assert "*.jpg: cannot be opened" in json.loads(result.stdout)["error"]["message"]


def test_an_empty_standard_input_is_wrong_usage(run: Run) -> None:
    result = run("predict", "-", input=b"")
    assert result.exit_code == 2
    assert "No file found under standard input" in result.stderr


def test_a_folder_comes_one_folder_after_the_other(run: Run, photo_folder: Path) -> None:
    for folder in ("b", "a"):
        (photo_folder / folder).mkdir()
    (photo_folder / "0.jpg").rename(photo_folder / "b" / "0.jpg")
    (photo_folder / "1.jpg").rename(photo_folder / "a" / "1.jpg")
    answered = [Path(json.loads(line)["photo"]) for line in predict(run, photo_folder).stdout.splitlines()]
    names = ["2.jpg", "3.jpg", "4.jpg", "5.jpg", "note.jpg", "a/1.jpg", "b/0.jpg"]
    assert [path.relative_to(photo_folder).as_posix() for path in answered] == names


def test_csv_has_a_row_for_each_photo_that_no_spreadsheet_runs(
    run: Run, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo_folder)
    (photo_folder / "0.jpg").rename(photo_folder / "=1+1.jpg")
    result = run("predict", "=1+1.jpg", "note.jpg", "--model", "test_efficientnet.noise", "--format", "csv")
    answered, refused = csv.DictReader(io.StringIO(result.stdout))
    (line,) = [json.loads(line) for line in predict(run, "=1+1.jpg").stdout.splitlines()]
    assert answered["photo"] == "'=1+1.jpg"
    assert answered["country"] == line["countries"][0]["country"]
    assert float(answered["probability"]) == line["countries"][0]["probability"]
    assert float(answered["lat_deg"]) == line["place"]["lat_deg"]
    assert answered["error"] == ""
    assert "note.jpg" in refused["error"]
    assert refused["country"] == ""


def test_ctrl_c_says_how_many_answers_there_are(run: Run, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triovision.inference import batch  # noqa: PLC0415 - with torch

    whole = batch.predict_files

    def interrupted(*arguments: object) -> Iterator[object]:
        yield next(whole(*arguments))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "predict_files", interrupted)
    result = predict(run, photo_folder)
    assert result.exit_code == 130
    assert len(result.stdout.splitlines()) == 1
    assert "Cancelled after 1 photos" in result.stderr


HOSTILE = (
    b"\xff\xfe.jpg",
    b"\x1b]0;owned\x07.jpg",
    b"\x1b[31mred.jpg",
    "a\u202egpj.jpg".encode(),
    "\x9b2J.jpg".encode(),
)


@pytest.fixture
def hostile_folder(photo_folder: Path) -> Path:
    """Six photos and one file that is none, of which five have names that are no UTF-8 or direct a terminal."""
    for number, name in enumerate(HOSTILE):
        os.rename(photo_folder / f"{number}.jpg", os.fsencode(photo_folder) + b"/" + name)
    os.rename(photo_folder / "note.jpg", os.fsencode(photo_folder) + b"/note\xff.jpg")
    return photo_folder


def test_a_name_that_is_no_utf8_is_answered_and_kept_to_the_byte(run: Run, hostile_folder: Path) -> None:
    result = predict(run, hostile_folder)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {os.fsencode(line["photo"]) for line in lines} == {os.fsencode(path) for path in hostile_folder.iterdir()}
    assert len([line for line in lines if "error" not in line]) == 6
    assert result.exit_code == 1  # for the one that is no photo
    assert not set(result.stdout) & set("\x1b\x07\x9b\u202e")


def test_a_name_cannot_direct_the_terminal(run: Run, hostile_folder: Path) -> None:
    result = run("predict", hostile_folder, "--model", "test_efficientnet.noise", "--device", "cpu")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 7
    assert "]0;owned.jpg: " in result.stdout
    assert "note.jpg: refused: " in result.stdout
    assert not set(result.output) & set("\x1b\x07\x9b\u202e")


def test_an_error_cannot_direct_the_terminal(run: Run) -> None:
    result = run("predict", "x.jpg", "--model", "\x1b]0;owned\x07")
    assert result.exit_code == 2
    assert "Error: ]0;owned: is not installed" in result.stderr
    assert "\x1b" not in result.output
