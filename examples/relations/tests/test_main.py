from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from examples.relations.__main__ import main
from examples.relations.geometry import RELATIONS
from examples.relations.study import Study
from examples.relations.training import RelationModule, predict, read_head


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_from_nothing_to_a_report(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIOVISION_DATA", raising=False)
    made = invoke("generate", "--out", tmp_path / "scenes", "--pairs", 30, "--fewest", 3)
    assert made.exit_code == 0, made.output
    assert "on 13, under 3" in made.output
    done = invoke("run", "--recipe", recipe_file, "--data", tmp_path / "scenes", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "relation | training pairs | class weight | measured pairs | recall" in done.output
    assert "61.67 %" in done.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["rules_accuracy"] == 1
    page = (tmp_path / "run" / "report.html").read_text()
    for words in ("Learning curves", "Confusion", "another data set", "usable"):
        assert words in page


def test_a_comparison_over_seeds_is_resumed_from_its_runs(scenes: Path, recipe_file: Path, tmp_path: Path) -> None:
    backbones = tmp_path / "backbones.toml"
    backbones.write_text('[test_resnet]\narchitecture = "test_efficientnet"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n')
    options = ["--data", scenes, "--out", tmp_path / "table", "--seed", 0, "--seed", 1]
    options += ["--recipe", recipe_file, "--backbones", backbones, "--set", "optimisation.epochs=1"]
    done = invoke("compare", *options)
    assert done.exit_code == 0, done.output
    head, row = (line.split(" | ") for line in done.output.splitlines() if " | " in line)
    assert (head[:3], row[:2]) == (["recipe", "seeds", "accuracy"], ["tiny", "2"])
    assert row[-1].endswith("(test_efficientnet)")
    assert "±" in row[2]
    assert (tmp_path / "table" / "tiny-1" / "report.html").exists()
    assert "2 runs of 1 recipes" in (tmp_path / "table" / "report.html").read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RelationModule, "training_step", None)
        again = invoke("compare", *options)
    assert again.output.splitlines()[-3:] == done.output.splitlines()[-3:]


def test_ten_probabilities_for_two_boxes(finished: Path, weights: Path, study: Study) -> None:
    pair, run = study.annotations.pairs[0], ["--run", finished, "--weights", weights]
    done = invoke("predict", pair.image, *pair.subject, *pair.object, *run)
    assert done.exit_code == 0, done.output
    found = {line[:9].strip(): float(line[9:].strip(" %")) / 100 for line in done.output.splitlines()}
    assert set(found) == set(RELATIONS)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    # The cached features of the same pair give the same answer, but for float16.
    parts = next(parts for _, parts in study._prepared.values())
    expected = predict(read_head(finished)[1], replace(parts["train"], rows=np.array([0])))[0]
    np.testing.assert_allclose([found[name] for name in RELATIONS], expected, atol=2e-3)


def test_another_backbone_than_that_of_the_run_is_refused(finished: Path, scenes: Path) -> None:
    done = invoke("predict", scenes / "scenes" / "00000.jpg", 1, 1, 60, 50, 100, 20, 180, 90, "--run", finished)
    assert done.exit_code == 2
    assert "Error: test_resnet: differs from the backbone of the run. Give the weights" in done.output


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((100, 20, 257, 90), "is outside of the picture. Give left, top, right and bottom within 256 x 192 pixels."),
        ((100, 20, 100, 90), "is empty: right and bottom must be greater than left and top. Give left"),
    ],
)
def test_a_wrong_box_is_a_worded_error(
    finished: Path, weights: Path, scenes: Path, box: tuple[int, ...], words: str
) -> None:
    run = ["--run", finished, "--weights", weights]
    done = invoke("predict", scenes / "scenes" / "00000.jpg", 1, 1, 60, 50, *box, *run)
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: The box of the object: {words}")


def test_what_cannot_be_used_is_printed_and_the_rest_goes_on(scenes: Path, recipe_file: Path, tmp_path: Path) -> None:
    entries = json.loads((scenes / "relations.json").read_text())
    entries[0]["relation"], entries[1]["subject"], entries[2]["relation"] = "", [0, 0, 999, 9], "behind"
    (tmp_path / "relations.json").write_text(json.dumps(entries))
    options = ["--recipe", recipe_file, "--images", scenes, "--set", "optimisation.epochs=1"]
    done = invoke("run", "--data", tmp_path, "--out", tmp_path / "run", *options)
    assert done.exit_code == 0, done.output
    assert f"{len(entries) - 3} usable pairs" in done.output
    assert "left out, none of the ten relations: behind (1)" in done.output
    assert "relations.json, entry 1: the relation is empty" in done.output
    assert "relations.json, entry 2: the box of the subject is outside of the picture" in done.output
    assert "the relation is empty" in (tmp_path / "run" / "report.html").read_text()
    assert (tmp_path / "run" / "problems.csv").read_text().splitlines() == [
        "entry,reason",
        '"relations.json, entry 1",the relation is empty',
        '"relations.json, entry 2",the box of the subject is outside of the picture',
    ]


def test_nothing_usable_is_a_worded_error(tmp_path: Path) -> None:
    done = invoke("run", "--data", tmp_path, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert "holds no annotations of relations. Give a folder with one of relations.json" in done.output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "has no usable pair of 0: it is empty."),
        ('[{"image": "a.jpg", "relation": "wear"}]', "'wear' is none of the ten relations (1 times)"),
        ('[{"image": "a.jpg", "relation": "on"}, 5]', "its picture a.jpg is missing (1 times); no picture is named (1"),
    ],
)
def test_no_usable_pair_is_an_error_that_says_why(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "relations.json").write_text(content)
    done = invoke("run", "--data", tmp_path, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert words in done.output


def test_ctrl_c_ends_with_130(scenes: Path, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RelationModule, "training_step", interrupted)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # Lightning lets the process ignore Ctrl-C from then on
    done = invoke("run", "--recipe", recipe_file, "--data", scenes, "--out", tmp_path / "run")
    assert done.exit_code == 130, done.output
    assert "Stopped. Give the same command to continue" in done.output
