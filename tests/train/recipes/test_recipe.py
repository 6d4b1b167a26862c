from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from triovision.cli import main
from triovision.errors import RecipeError
from triovision.inference.preprocessing import Preprocessing
from triovision.train.models.build import build_country_network
from triovision.train.recipes.country_recipe import Recipe, read_recipe, recipe_names
from triovision.train.recipes.reader import RecipeReader
from triovision.train.recipes.sections import CountryDataSection


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_names_a_network_that_can_be_built(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    with torch.device("meta"):  # shapes alone: the largest has 86 million weights
        network = build_country_network(recipe, 2)
        assert network(torch.zeros(1, 3, *[recipe.augmentation.train_size] * 2)).shape == (1, 2)


def test_the_comparison_differs_in_the_network_alone() -> None:
    names = [name for name in recipe_names() if name.startswith("comparison_")]
    assert len(names) >= 6
    alike = {"name", "description", "architecture", "architecture_args", "starting_weights"}
    of_pictures = {"normalisation", "preprocessing"}
    dumps = [read_recipe(name).model_dump(exclude=alike | of_pictures) for name in names]
    assert all(dump == dumps[0] for dump in dumps)
    assert {read_recipe(name).preprocessing.input_size for name in names} == {224}


def test_the_imbalance_recipe_is_that_of_the_report() -> None:
    recipe = read_recipe("imbalance")
    o, s = recipe.optimisation, recipe.schedule
    assert (recipe.architecture, recipe.loss.class_weights, recipe.data.sampler) == (
        "resnet50",
        "balanced",
        "oversample",
    )
    assert (o.epochs, o.min_epochs, o.patience, o.clip_norm) == (50, 15, 5, 1)
    assert (s.name, s.factor, s.patience, s.floor) == ("plateau", 0.5, 3, 1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name =", "TOML"),
        ('name = "x"', "architecture"),
        ("surprise = 1", "surprise"),
        ("[data]\nmin_photos = 1", "data.min_photos"),
        ("[optimisation]\nlearning_rate = -1", "optimisation.learning_rate"),
        ("[optimisation]\nepochs = 3\nmin_epochs = 4", "`optimisation`.*`min_epochs` is 4"),
        ('[loss]\nname = "logit_adjustment"\nclass_weights = "balanced"', "`loss`.*class_weights"),
        ("preprocessing = 3", "`preprocessing`"),
        ('normalisation = "z_score"\npreprocessing = 3', "`preprocessing`"),
        ("[preprocessing]\ninput_size = 64", "preprocessing.mean"),
        ("base = 3", "`base` is not text"),
        ('base = "recipe_of_nobody"', "recipe_of_nobody"),
    ],
)
def test_a_wrong_recipe_names_the_field(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_recipe(str(path))


def test_a_missing_recipe_names_those_there_are() -> None:
    with pytest.raises(RecipeError, match="tf_efficientnet_lite0"):
        read_recipe("efficientnet_b99")


def test_recipes_may_come_with_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "their_study" / "their_recipes"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    text = 'name = "first"\ndescription = ""\narchitecture = "resnet18"\nnormalisation = "imagenet"\n'
    (folder / "first.toml").write_text(text + "[preprocessing]\ninput_size = 64\n")
    (folder / "second.toml").write_text('base = "first"\nname = "second"\n')
    monkeypatch.syspath_prepend(tmp_path)
    reader = RecipeReader(Recipe, "their_recipes", package="their_study")
    assert reader.names() == ["first", "second"]
    assert reader.read("second").architecture == "resnet18"
    with pytest.raises(RecipeError, match="first, second"):
        reader.read("imbalance")


def test_a_recipe_says_only_how_it_differs_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'base = "imbalance"\nname = "mine"\n[optimisation]\nepochs = 20\n[schedule]\npatience = 7\n'
    )
    mine, base = read_recipe(str(tmp_path / "mine.toml")), read_recipe("imbalance")
    assert mine == base.model_copy(
        update={
            "name": "mine",
            "optimisation": base.optimisation.model_copy(update={"epochs": 20}),
            "schedule": base.schedule.model_copy(update={"patience": 7}),
        }
    )


def test_bases_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(f"base = '{two}'")
    two.write_text(f"base = '{one}'")
    with pytest.raises(RecipeError, match="circle"):
        read_recipe(str(one))


def test_fields_can_be_replaced_one_by_one() -> None:
    recipe = read_recipe(
        "tf_efficientnet_lite0",
        [
            "optimisation.epochs=3",
            "optimisation.learning_rate = 1e-3",
            "schedule.name=step",
            'loss.name="focal"',
            "data.oversampling=[[10, 4]]",
            "architecture_args.drop_path_rate=0.1",
            "last_layer.at_end=false",
        ],
    )
    assert (recipe.optimisation.epochs, recipe.optimisation.learning_rate) == (3, 1e-3)
    assert recipe.optimisation.layer_decay == 0.87  # the file's
    assert (recipe.schedule.name, recipe.loss.name) == ("step", "focal")
    assert recipe.data == CountryDataSection(oversampling=((10, 4),))
    assert recipe.architecture_args == {"drop_path_rate": 0.1}
    assert not recipe.last_layer.at_end


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimisation.epochs", "is not a field and its value"),
        ("=3", "is not a field and its value"),
        ("optimisation..epochs=3", "is not a field and its value"),
        ("optimisation.epoch=3", "`optimisation.epoch`: Extra"),
        ("optimisation.epochs=many", "`optimisation.epochs`.*integer"),
        ("optimisation.epochs=3\nseed = 4", "`optimisation.epochs`.*integer"),
        ("schedule.name=linear", "`schedule.name`.*'cosine', 'step' or 'plateau'"),
        ("drop_rate.head=1", "`drop_rate`.*number"),
        ("optimisation=3", "`optimisation`"),
        ("preprocessing.input_size=16", "`preprocessing.input_size`.*32"),
    ],
)
def test_a_wrong_replacement_names_the_field(override: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        read_recipe("tf_efficientnet_lite0", [override])


def test_the_command_line_replaces_fields(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "file,country,place,split_new_places,split_known_places\na.jpg,FR,x,train,train\n"
    )
    arguments = ["train", "run", "tf_efficientnet_lite0", "--manifest", str(tmp_path / "manifest.csv")]
    arguments += ["--out", str(tmp_path / "run")]
    wrong = CliRunner().invoke(main, [*arguments, "--set", "optimisation.lr=1"])
    assert wrong.exit_code != 0
    assert "`optimisation.lr`" in wrong.output + str(wrong.exception)
    # One photo is too few for the smallest number that a recipe may ask for: the field has reached the run.
    right = CliRunner().invoke(main, [*arguments, "--set", "data.min_photos=2", "--set", "name=mine"])
    assert "mine: 0 countries" in right.output + str(right.exception)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("given", 0.5, 0.25),
        ("imagenet", 0.485, 0.229),
        ("divide_by_255", 0.0, 1.0),
        ("z_score", 0.5, 0.25),  # until it is measured
    ],
)
def test_a_named_normalisation_sets_what_the_network_sees(name: str, mean: float, std: float) -> None:
    seen = {"input_size": 64, "mean": [0.5] * 3, "std": [0.25] * 3}
    for preprocessing in (seen, Preprocessing.model_validate(seen)):
        recipe = Recipe.model_validate(
            {"name": "x", "description": "", "architecture": "test_resnet", "normalisation": name}
            | {"preprocessing": preprocessing}
        )
        assert (recipe.preprocessing.mean[0], recipe.preprocessing.std[0]) == (mean, std)
        assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_a_base_is_found_beside_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text('base = "own_photos"\nname = "first"\nseed = 7\n')
    (tmp_path / "second.toml").write_text('base = "first.toml"\nname = "second"\n')
    read = read_recipe(str(tmp_path / "second.toml"))
    assert (read.name, read.seed, read.optimisation.epochs) == ("second", 7, 3)
    (tmp_path / "first.toml").write_text('base = "second.toml"\n')
    with pytest.raises(RecipeError, match="circle"):
        read_recipe(str(tmp_path / "second.toml"))
