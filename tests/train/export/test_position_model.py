"""Export of a country classifier and a position regressor as one model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from triovision.cli import main
from triovision.inference.registry import open_model
from triovision.inference.resnetgps import ResNetGpsEngine
from triovision.metrics.model_studies import read_studies
from triovision.photo import read_photo
from triovision.train.engine.run_folder import read_country_run, read_position_run

Train = Callable[..., Result]

_COUNTRIES = f"""
base = "{Path(__file__).parents[1] / "tiny.toml"}"
architecture = "test_resnet"

[preprocessing]
interpolation = "bicubic"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[data]
min_photos = 5
validation_splits = ["split_new_places"]

[optimisation]
epochs = 1
"""
_WORDS = "\n".join(f'{name} = "…"' for name in ("summary", "data", "limits", "licence"))


@pytest.fixture(scope="module")
def train(towns: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Gives a command of `train` the manifest of the towns."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*words: object) -> Result:
        caching = [] if "export" in words else ["--cache", str(cache)]
        arguments = [*map(str, words), "--manifest", str(towns / "manifest.csv"), "--workers", "0", *caching]
        return CliRunner().invoke(main, ["train", *arguments])

    return run


@pytest.fixture(scope="module")
def runs(towns: Path, train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of the classifier, and one of a regressor behind it, both on pictures of the towns."""
    out = tmp_path_factory.mktemp("runs")
    (out / "countries.toml").write_text(_COUNTRIES)
    (out / "words.toml").write_text(_WORDS)
    done = train("run", out / "countries.toml", "--out", out / "countries")
    assert done.exit_code == 0, done.output
    done = train(
        "gps", "run", towns / "tiny.toml", "--set", "trains=nothing", "--out", out / "positions",
        "--weights", out / "countries" / "finished.safetensors", "--countries", out / "countries",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return out


def test_one_model_answers_as_both_runs_do(runs: Path, towns: Path, train: Train, tmp_path: Path) -> None:
    done = train(
        "export", runs / "countries", "--positions", runs / "positions", "--id", "resnetgps_v1.towns",
        "--describe", runs / "words.toml", "--models", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    engine = open_model(tmp_path / "resnetgps_v1.towns", torch.device("cpu"))
    assert isinstance(engine, ResNetGpsEngine)
    assert engine.card.provenance.recipe["position"]["version"] == "v1"
    assert "all 16 photos with a position" in engine.card.calibration.fitted_on
    studies = read_studies(tmp_path / engine.card.id, engine.card.id, engine.card.weights_sha256)
    assert studies is not None
    countries, positions = studies.curves
    assert "new_places/top1" in countries.epochs[0].values
    medians = [epoch.values["val/median_km"] or 0 for epoch in positions.epochs]
    assert positions.best_epoch == medians.index(min(medians)) + 1
    assert [(split.name, split.photos, split.top1_low) for split in positions.splits] == [("new_places", 16, None)]
    photo = read_photo((towns / "JP20.png").read_bytes(), "JP20.png")
    batch_nchw, city_nm = engine.preprocess([photo]), torch.zeros(1, 4)
    with torch.inference_mode():
        np.testing.assert_allclose(
            engine.logits([photo]),
            read_country_run(runs / "countries").network(batch_nchw).numpy(),
            atol=0.05,
            rtol=0.05,
        )
        expected = read_position_run(runs / "positions").network(batch_nchw, city_nm)
        found = engine.network.get_submodule("regressor")(batch_nchw, city_nm)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=0.05)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--set", "trains=layer4"], "has another backbone"),
        (["--set", "trains=nothing", "--set", "preprocessing.input_size=48"], "has another preprocessing"),
    ],
)
def test_a_regressor_with_other_eyes_is_refused(
    runs: Path, towns: Path, train: Train, tmp_path: Path, overrides: list[str], words: str
) -> None:
    weights = ["--weights", runs / "countries" / "finished.safetensors"]
    trained = train("gps", "run", towns / "tiny.toml", *overrides, *weights, "--out", tmp_path / "other")
    assert trained.exit_code == 0, trained.output
    done = train(
        "export", runs / "countries", "--positions", tmp_path / "other", "--id", "resnetgps_v1.towns",
        "--describe", runs / "words.toml", "--models", tmp_path / "models",
    )  # fmt: skip
    assert done.exit_code != 0
    assert words in done.output
    assert "--weights" in done.output
    assert not (tmp_path / "models").exists()
