"""Speed of the worldwide engine, as a ratio to `predict` of the package geoclip on the same weights.

The weights are random, in the hub's format and of the published size; speed does not depend on them. The package
embeds its gallery for every photo, the engine once.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.images import china
from benchmarks.timing import in_turn
from triovision.inference.card import CARD, ModelCard, sha256
from triovision.inference.geoclip import release
from triovision.inference.geoclip.engine import GeoClipEngine
from triovision.photo import read_photo

LIMIT = 10
_VISION = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
_TEXT = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 4}


@click.command()
@click.option("--positions", default=100_000, show_default=True, help="Size of the gallery.")
@click.option("--layers", default=24, show_default=True, help="Layers of the image tower.")
@click.option("--rounds", default=3, show_default=True)
def main(positions: int, layers: int, rounds: int) -> None:
    """Print the medians and their ratio."""
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = temporary
        folder = Path(temporary) / "model"
        _write_model(folder, layers)
        _shorten_gallery(Path(temporary) / "package", positions)
        card = _card(folder)
        (folder / CARD).write_text(card.model_dump_json(), encoding="utf-8")
        engine = GeoClipEngine(folder, torch.device("cpu"))
        path = Path(temporary) / "photo.png"
        china().save(path)
        theirs = _package_model(folder, positions)
        calls = {
            "package": lambda: theirs.predict(str(path), 5),
            "engine": lambda: engine.predict([read_photo(path.read_bytes(), path.name)]),
        }
        medians = in_turn(calls, rounds)
        photo = read_photo(path.read_bytes(), path.name)
        first = engine.position_probability([photo])[0].argmax()
        ours_deg = float(engine.gallery.lat_deg[first]), float(engine.gallery.lon_deg[first])
        (theirs_deg,), _ = theirs.predict(str(path), 1)
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{positions} positions, {layers} layers; first answers: ours {ours_deg}, theirs {theirs_deg.tolist()}")
    for name, median in medians.items():
        print(f"{name:10} {median:10.1f} ms a photo")
    ratio = medians["package"] / medians["engine"]
    print(f"package / engine = {ratio:.1f} (target: at least {LIMIT}) {'ok' if ratio >= LIMIT else 'MISSED'}")


def _write_model(folder: Path, layers: int) -> None:
    """A random CLIP whose image tower is as large as ViT-L/14's; its text tower is not asked and small."""
    import transformers  # noqa: PLC0415 - the extra

    torch.manual_seed(0)
    vision = _VISION | {"num_hidden_layers": layers, "patch_size": 14, "image_size": 224}
    text = _TEXT | {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor().save_pretrained(folder)
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "a</w>": 3}
    transformers.CLIPTokenizer(vocab=words, merges=[]).save_pretrained(folder)


def _shorten_gallery(folder: Path, positions: int) -> None:
    """Let the engine find a package with the first positions only."""
    whole = release.package_folder()
    for name in release.release_of(release.released_card()).package_files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(whole / name)
    (folder / release.GALLERY).unlink()
    lines = (whole / release.GALLERY).read_text("utf-8").splitlines(keepends=True)
    (folder / release.GALLERY).write_text("".join(lines[: positions + 1]), encoding="utf-8")
    release.package_folder = lambda: folder


def _card(folder: Path) -> ModelCard:
    """The released card with the hashes of these files."""
    card = release.released_card()
    named, package = release.release_of(card), release.package_folder()
    files = [
        file.model_copy(
            update={"size_bytes": (folder / file.name).stat().st_size, "sha256": sha256(folder / file.name)}
        )
        for file in named.files
    ]
    hashes = {name: sha256(package / name) for name in named.package_files}
    changed = named.model_copy(update={"files": tuple(files), "package_files": hashes})
    return card.model_copy(update={"architecture_args": changed.model_dump(mode="json")})


def _package_model(folder: Path, positions: int) -> Any:  # noqa: ANN401 - the package's
    from geoclip import GeoCLIP  # noqa: PLC0415 - the extra

    model = GeoCLIP(clip_path=str(folder)).eval()
    model.gps_gallery = model.gps_gallery[:positions]
    return model


if __name__ == "__main__":
    main()
