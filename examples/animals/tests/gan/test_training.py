from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from examples.animals.gan import training
from examples.animals.gan.networks import Generator
from examples.animals.gan.photos import SmallPhotos, decode, divide, read_photos
from examples.animals.gan.recipe import GanRecipe
from examples.animals.gan.training import GanModule, make_pictures, picture_grid, train_gan
from triovision.errors import RecipeError
from triovision.train.data.unreadable import UnreadablePhotos


def changed(recipe: GanRecipe, section: str, **fields: object) -> GanRecipe:
    return recipe.model_copy(update={section: getattr(recipe, section).model_copy(update=fields)})


@pytest.fixture
def photos(folder: Path, recipe: GanRecipe, tmp_path: Path) -> SmallPhotos:
    """12 photos: 3 batches an epoch."""
    found = read_photos(folder, "class")
    return decode(found, divide(found, recipe)["training"], tmp_path, 0, UnreadablePhotos(tmp_path / "u.csv", 0))


def train(recipe: GanRecipe, photos: SmallPhotos, out: Path) -> dict[str, Tensor]:
    out.mkdir(exist_ok=True)
    (out / "run.json").write_text("{}")
    return load_file(train_gan(recipe, photos, out, UnreadablePhotos(out / "unreadable.csv", 0), save_every=2))


def stop_at(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int, error: BaseException) -> None:
    step = GanModule.training_step

    def step_or_stop(self: GanModule, photos: tuple[Tensor, Tensor], number: int) -> None:
        if (self.current_epoch, number) == (epoch, batch):
            raise error
        step(self, photos, number)

    monkeypatch.setattr(GanModule, "training_step", step_or_stop)


FULL = {"regularisation": "spectral_norm"}, {"augmentation": ("colour", "translation", "cutout")}


@pytest.mark.parametrize(("epoch", "batch"), [(0, 0), (0, 2), (1, 0), (1, 1)])
def test_a_stopped_run_ends_with_the_same_weights(
    recipe: GanRecipe, photos: SmallPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int
) -> None:
    recipe = changed(changed(recipe, "networks", **FULL[0]), "loss", **FULL[1])
    whole = train(recipe, photos, tmp_path / "whole")
    with monkeypatch.context() as patched:
        stop_at(patched, epoch, batch, RuntimeError("stopped"))
        with pytest.raises(RuntimeError, match="stopped"):
            train(recipe, photos, tmp_path / "stopped")
    resumed = train(recipe, photos, tmp_path / "stopped")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    last = [
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "stopped")
    ]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])
    grids = [(tmp_path / run / "samples" / "epoch-002.png").read_bytes() for run in ("whole", "stopped")]
    assert grids[0] == grids[1]


def test_a_finished_run_goes_on_for_more_epochs(recipe: GanRecipe, photos: SmallPhotos, tmp_path: Path) -> None:
    longer = changed(recipe, "optimisation", epochs=3)
    whole = train(longer, photos, tmp_path / "whole")
    two = train(recipe, photos, tmp_path / "extended")
    three = train(longer, photos, tmp_path / "extended")
    assert not torch.equal(two["layers.0.weight"], three["layers.0.weight"])
    assert all(torch.equal(whole[name], three[name]) for name in whole)
    with pytest.raises(RecipeError, match=r"has had 3 epochs\. Set `optimisation.epochs` to 3 or more"):
        train(recipe, photos, tmp_path / "extended")


def test_the_folder_of_a_run(recipe: GanRecipe, photos: SmallPhotos, tmp_path: Path) -> None:
    state = train(recipe, photos, tmp_path / "run")
    assert [path.name for path in sorted((tmp_path / "run" / "samples").iterdir())] == [
        "epoch-001.png",
        "epoch-002.png",
    ]
    generator = Generator(4, 2)
    generator.load_state_dict(state)
    expected = picture_grid(make_pictures(generator, 64, recipe.seed))
    with Image.open(tmp_path / "run" / "samples" / "epoch-002.png") as grid:
        assert grid.size == (8 * 64, 8 * 64)
        assert grid.tobytes() == expected.tobytes()
    kept = load_file(tmp_path / "run" / "generators" / "epoch-002.safetensors")
    assert all(torch.equal(kept[name], state[name]) for name in state)


def test_pictures_depend_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    generator = Generator(5, 2)
    for weight in generator.parameters():
        nn.init.normal_(weight)
    first = make_pictures(generator, 70, seed=1)
    assert first.shape == (70, 3, 64, 64)
    assert torch.equal(make_pictures(generator, 70, seed=1), first)
    assert (
        len({picture.numpy().tobytes() for picture in torch.cat([first, make_pictures(generator, 70, seed=2)])}) == 140
    )
    expected = (generator(torch.randn(70, 5, generator=torch.Generator().manual_seed(1))) + 1) / 2
    torch.testing.assert_close(first.float() / 255, expected.detach(), atol=0.5 / 255 + 1e-6, rtol=0)


def test_a_grid_reads_by_rows() -> None:
    pictures = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 2, 2)
    grid = picture_grid(pictures, columns=4)
    assert grid.size == (8, 4)
    assert [grid.getpixel((2 * column, 0))[0] for column in range(4)] == [0, 1, 2, 3]
    assert [grid.getpixel((2 * column, 2))[0] for column in range(4)] == [4, 5, 0, 0]


def test_fewer_photos_than_a_batch(recipe: GanRecipe, photos: SmallPhotos, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="The class fox: has 12 readable training photos, fewer than a batch of 13"):
        train(changed(recipe, "optimisation", batch_size=13), photos, tmp_path / "run")


def test_a_full_disk(recipe: GanRecipe, photos: SmallPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(training, "atomic_path", full)
    with pytest.raises(RecipeError, match=r"epoch-001\.png: cannot be written \(No space left on device\)"):
        train(recipe, photos, tmp_path / "run")


def test_a_diverging_run_is_stopped(recipe: GanRecipe, photos: SmallPhotos, tmp_path: Path) -> None:
    broken = changed(changed(recipe, "networks", regularisation="r1"), "loss", r1_weight=float("nan"))
    with pytest.raises(RecipeError, match="the loss is nan"):
        train(broken, photos, tmp_path / "run")


class Sum(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.flatten(1).sum(dim=1)


def loss_of(recipe: GanRecipe, real: Tensor, made: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Loss of a discriminator whose logit is the sum of a picture."""
    module = GanModule(recipe)
    module.discriminator = Sum()
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    return module._discriminator_loss(real, made)


def test_only_real_pictures_have_a_smoothed_target(recipe: GanRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    real[:, 0, 0, 0], made[:, 0, 0, 0] = 2.0, -1.0
    p_real, p_made = torch.tensor([2.0, -1.0]).sigmoid()
    expected = -(0.9 * p_real.log() + 0.1 * (1 - p_real).log()) - (1 - p_made).log()
    torch.testing.assert_close(loss_of(recipe, real, made, monkeypatch), expected)


def test_gradient_penalty_of_real_pictures(recipe: GanRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    # The gradient of the sum is 1 in each of the 48 values: a squared norm of 48, times half the weight.
    real, made = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    plain = loss_of(recipe, real, made, monkeypatch)
    penalised = changed(changed(recipe, "networks", regularisation="r1"), "loss", r1_weight=0.5)
    torch.testing.assert_close(loss_of(penalised, real, made, monkeypatch) - plain, torch.tensor(0.25 * 48))


def test_each_network_has_its_own_step(recipe: GanRecipe, photos: SmallPhotos, tmp_path: Path) -> None:
    torch.manual_seed(recipe.seed)
    before = {name: value.clone() for name, value in GanModule(recipe).named_parameters()}
    still = changed(recipe, "optimisation", learning_rate=1e-30)
    train(still, photos, tmp_path / "run")
    after = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    moved = {name.split(".")[0] for name, value in before.items() if not torch.allclose(value, after[name], atol=1e-12)}
    assert moved == {"discriminator"}
