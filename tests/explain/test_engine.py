import io

import numpy as np
import pytest
import torch
from PIL import Image

from triovision.explain import METHODS, explain_country
from triovision.inference import CountryEngine
from triovision.results import Photo

CAMS = [method.name for method in METHODS if method.kind == "class activation"]


@pytest.mark.parametrize("method", CAMS)
def test_the_embedded_engine_can_be_explained_and_predicts_as_before(method, write_tiny_model, china, tmp_path):
    engine = CountryEngine(write_tiny_model(tmp_path), torch.device("cpu"))
    image_hwc = np.asarray(Image.open(io.BytesIO(china)).convert("RGB"))
    height, width = image_hwc.shape[:2]
    photo = Photo(
        name="china.jpg", image_hwc=image_hwc, original_width_px=width, original_height_px=height, format="JPEG"
    )
    before = engine.logits([photo])
    explanation = explain_country(engine, photo, "NA", method)
    assert explanation.layer == engine.target_layer
    assert explanation.box == engine.seen_box(photo)
    assert explanation.heatmap_hw.shape == (2, 2)  # 64 pixels at a stride of 32
    assert explanation.heatmap_hw.max() == 1
    assert np.array_equal(engine.logits([photo]), before)
