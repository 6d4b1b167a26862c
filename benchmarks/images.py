"""Images of known content and size for the benchmarks."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image


def china() -> Image.Image:
    """Return the photo of the Summer Palace that scikit-learn ships."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise SystemExit("scikit-learn is missing: pip install -r requirements.txt")
    return Image.open(Path(spec.origin).parent / "datasets" / "images" / "china.jpg").convert("RGB")


def jpeg(width_px: int, height_px: int, seed: int = 0) -> bytes:
    """Return a JPEG like that of a camera: a magnified photo, with grain so that it compresses like one."""
    large = np.asarray(china().resize((width_px, height_px), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = np.random.default_rng(seed).normal(0, 4, size=(height_px, width_px, 1)).astype(np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()
