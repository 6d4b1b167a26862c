from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from examples.animals.__main__ import main


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Result]:
    """Folders of the data and of a finished study of the miniature, and what its command printed."""
    folder = tmp_path_factory.mktemp("animals")
    assert call("generate", "--out", folder / "data", "--photos", 15).exit_code == 0
    return folder / "data", folder / "out", run(folder / "data", folder / "out")


def run(data: Path, out: Path) -> Result:
    variants = ("--variant", "baseline", "--variant", "searched", "--random", 1, "--folds", 2)
    options = ("--set", "optimisation.epochs=1", "--workers", 0)
    return call("run", "--data", data, "--positive", "fox", "--out", out, *variants, *options)


def test_one_command_goes_from_folders_to_a_report(study: tuple[Path, Path, Result]) -> None:
    _, out, result = study
    assert result.exit_code == 0, result.output
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics) == ["baseline", "searched"]
    assert metrics["baseline"]["held_out"]["photos"] == 6
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<h1>Is it a fox?</h1>" in page
    assert "conv: the 32 strongest of 32 channels." in page
    assert "act_layer</th>" in page  # a setting of the trials
    assert "t-SNE of the photos" in page
    assert (out / "search" / "best.toml").exists()


def test_the_same_command_reads_what_is_finished(study: tuple[Path, Path, Result]) -> None:
    data, out, first = study
    weights = out / "baseline" / "fold-1" / "finished.safetensors"
    before = weights.stat().st_mtime_ns
    again = run(data, out)
    assert again.output.splitlines()[-3:] == first.output.splitlines()[-3:]
    assert weights.stat().st_mtime_ns == before


def test_bad_input_is_one_line(tmp_path: Path, study: tuple[Path, Path, Result]) -> None:
    data, out, _ = study
    unknown = call("run", "--data", data, "--positive", "wolf", "--variant", "baseline", "--out", tmp_path / "out")
    assert unknown.exit_code == 2
    assert "has no photo of wolf, but of fox, other" in unknown.stderr
    variant = call("run", "--data", data, "--positive", "fox", "--variant", "vgg", "--out", out)
    assert variant.exit_code == 2
    assert "No variant vgg; give one of baseline, filters_128" in variant.stderr


@pytest.mark.parametrize(
    ("options", "differ"),
    [
        (("--positive", "other"), "name and values"),
        (("--positive", "fox", "--name", "red fox"), "name"),
        (("--positive", "fox", "--random", 2), "random_trials"),
    ],
)
def test_another_study_needs_another_folder(
    study: tuple[Path, Path, Result], options: tuple[object, ...], differ: str
) -> None:
    data, out, _ = study
    page = (out / "report.html").read_bytes()
    fixed = ("--variant", "searched", "--folds", 2, "--workers", 0, "--set", "optimisation.epochs=1")
    result = call("run", "--data", data, "--out", out, *fixed, *options)
    assert result.exit_code == 2
    assert f"({differ} differ). Give another --out folder" in result.stderr
    assert (out / "report.html").read_bytes() == page


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--set", "optimisation.epoch=3"), "`optimisation.epoch`"),
        (("--set", "architecture_args.act_layer=foo"), "`architecture` baseline_cnn cannot be built ('foo')"),
        (("--weights", __file__), "test_main.py"),
    ],
)
def test_what_cannot_be_trained_is_found_before_photos_are_read(
    study: tuple[Path, Path, Result], tmp_path: Path, options: tuple[str, ...], error: str
) -> None:
    result = call("run", "--data", study[0], "--positive", "fox", "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert error in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_gan_is_a_command_of_the_study() -> None:
    assert "sample" in call("gan", "--help").output
