"""Rate of abstention on outlier images, which show no place: from scikit-image and scikit-learn, or generated."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from triovision.geo import country_name
from triovision.inference import load_model
from triovision.results import Photo

#: Images of scikit-image without a landscape or a building: animals, dishes, people, text, textures, microscopes.
PACKAGED = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "microaneurysms.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "text.png",
)


def packaged() -> Iterator[tuple[str, Image.Image]]:
    """Images of installed packages."""
    for package, folder, names in (
        ("skimage", "data", PACKAGED),
        ("sklearn", "datasets/images", ["flower.jpg"]),
    ):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{package} is missing: pip install -r requirements-dev.txt")
        for name in names:
            yield name, Image.open(Path(spec.origin).parent / folder / name).convert("RGB")


def generated() -> Iterator[tuple[str, Image.Image]]:
    """Plain colours, gradients, noise, pages of text and charts, with a fixed seed."""
    random = np.random.default_rng(0)
    for i in range(10):
        colour = random.integers(0, 256, size=3, dtype=np.uint8)
        yield f"plain {i}", Image.fromarray(np.broadcast_to(colour, (480, 640, 3)).copy())
        ramp = np.linspace(random.integers(0, 128, 3), random.integers(128, 256, 3), 640).astype(np.uint8)
        yield f"gradient {i}", Image.fromarray(np.broadcast_to(ramp, (480, 640, 3)).copy())
        yield f"noise {i}", Image.fromarray(random.integers(0, 256, size=(480, 640, 3), dtype=np.uint8))
        yield f"page of text {i}", _page(random)
        yield f"chart {i}", _chart(random)


def _page(random: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (640, 480), (250, 250, 245))
    letters = np.array(list("etaoinshrdlucmfwygpbvk      "))
    lines = ["".join(random.choice(letters, size=60)) for _ in range(20)]
    ImageDraw.Draw(page).text((20, 20), "\n".join(lines), fill=(20, 20, 20), font=ImageFont.load_default(18))
    return page


def _chart(random: np.random.Generator) -> Image.Image:
    chart = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(chart)
    for bar in range(8):
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        draw.rectangle((40 + bar * 70, int(random.integers(60, 400)), 90 + bar * 70, 440), fill=colour)
    draw.line((30, 440, 620, 440), fill="black", width=3)
    return chart


def main() -> None:
    """Print each image without abstention, and the rates."""
    model = load_model(device="cpu")
    for source, images in (("packaged images", packaged()), ("generated images", generated())):
        photos = [
            Photo(
                name=name,
                image_hwc=np.array(image),
                original_width_px=image.width,
                original_height_px=image.height,
                format="PNG",
            )
            for name, image in images
        ]
        confident = [p for p in model.predict(photos, top_k=1) if not p.abstained]
        for prediction in confident:
            guess = prediction.countries[0]
            print(f"  predicted: {prediction.photo}: {country_name(guess.country)} {guess.probability:.0%}")
        print(f"{source}: abstained on {len(photos) - len(confident)} of {len(photos)}")


if __name__ == "__main__":
    main()
