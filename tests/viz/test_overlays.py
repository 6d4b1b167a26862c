import io

import numpy as np
import pytest
from PIL import Image

from triovision.results import Explanation, Photo
from triovision.viz.overlays import jpeg_bytes, overlay, png_bytes, raw_map, shown_photo

COLD, HOT = (0, 0, 4), (252, 255, 164)  # the two ends of Inferno
ORANGE, BLUE, NEUTRAL = (230, 145, 30), (40, 130, 235), (240, 240, 240)


def photo(height, width, color=(200, 100, 50)):
    image_hwc = np.broadcast_to(np.array(color, np.uint8), (height, width, 3)).copy()
    return Photo(name="a.png", image_hwc=image_hwc, original_width_px=width, original_height_px=height, format="PNG")


def explanation(heatmap_hw, box=(0, 0, 1, 1), signed=False):
    return Explanation(
        photo="a.png",
        model="tiny.test",
        country="FR",
        method="LayerCAM",
        layer="blocks",
        heatmap_hw=np.array(heatmap_hw, np.float32),
        box=box,
        elapsed_ms=1.0,
        signed=signed,
    )


def test_opacity_goes_from_the_photo_to_the_map():
    hot = explanation([[1.0]])
    assert overlay(photo(4, 4), hot, 0).getpixel((1, 1)) == (200, 100, 50)
    assert overlay(photo(4, 4), hot, 1).getpixel((1, 1)) == HOT
    assert overlay(photo(4, 4), hot, 0.5).getpixel((1, 1)) == pytest.approx((226, 177, 107), abs=1)
    assert overlay(photo(4, 4), explanation([[0.0]]), 1).getpixel((1, 1)) == COLD


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_opacity_outside_its_range_is_refused(opacity):
    with pytest.raises(ValueError, match="opacity"):
        overlay(photo(4, 4), explanation([[1.0]]), opacity)


def test_what_the_model_did_not_see_is_dim_and_grey():
    image = overlay(photo(10, 20), explanation([[1.0]], box=(0.25, 0, 0.75, 1)), 1)
    grey = int(round(0.299 * 200 + 0.587 * 100 + 0.114 * 50) * 0.55)
    assert [image.getpixel((x, 5)) for x in (0, 4, 15, 19)] == [(grey,) * 3] * 4
    assert [image.getpixel((x, 5)) for x in (5, 14)] == [HOT] * 2


def test_the_raw_map_keeps_its_cells():
    image = raw_map(photo(8, 8), explanation([[0, 1], [1, 0]]))
    corners = [image.getpixel(at) for at in ((0, 0), (3, 3), (4, 0), (7, 3), (0, 4), (7, 7))]
    assert corners == [COLD, COLD, HOT, HOT, HOT, COLD]
    outside = raw_map(photo(8, 8), explanation([[1.0]], box=(0, 0, 1, 0.5))).getpixel((0, 7))
    assert outside == (127, 127, 127)


def test_a_signed_map_tints_the_photo_in_grey():
    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    signed = explanation([[1.0, 0.0, -1.0]], signed=True)
    opaque, half = overlay(photo(9, 27), signed, 1), overlay(photo(9, 27), signed, 0.5)
    assert [opaque.getpixel((x, 4)) for x in (0, 26)] == [ORANGE, BLUE]
    assert opaque.getpixel((13, 4)) == pytest.approx((grey,) * 3, abs=1)
    assert half.getpixel((0, 4)) == pytest.approx([(grey + ink) / 2 for ink in ORANGE], abs=1)
    assert set(np.asarray(overlay(photo(9, 27), signed, 0)).ravel()) == {grey}


def test_a_signed_raw_map_goes_from_blue_over_white_to_orange():
    image = raw_map(photo(1, 3), explanation([[-1.0, 0.0, 1.0]], signed=True))
    assert [image.getpixel((x, 0)) for x in range(3)] == [BLUE, pytest.approx(NEUTRAL, abs=2), ORANGE]


def test_a_few_strong_pixels_do_not_hide_a_signed_map():
    heatmap_hw = np.full((20, 20), 0.01, np.float32)
    heatmap_hw[0, 0] = 1.0
    image = raw_map(photo(20, 20), explanation(heatmap_hw, signed=True))
    assert image.getpixel((10, 10)) == ORANGE
    empty = raw_map(photo(20, 20), explanation(np.zeros((20, 20)), signed=True))
    assert empty.getpixel((10, 10)) == pytest.approx(NEUTRAL, abs=2)


def test_pixels_of_a_fine_signed_map_are_averaged_in_groups():
    checks_hw = np.where(np.indices((200, 200)).sum(axis=0) % 2, 1.0, -1.0)
    checks_hw[:, 100:] = 1.0
    image = overlay(photo(200, 200), explanation(checks_hw, signed=True), 1)
    assert image.getpixel((150, 100)) == ORANGE
    red, _, blue = image.getpixel((50, 100))
    assert red == blue  # as much for as against: grey


def test_lightness_rises_with_the_value():
    ramp = raw_map(photo(1, 256), explanation([np.linspace(0, 1, 256)]))
    red, green, blue = np.asarray(ramp)[0].astype(float).T / 255
    lightness = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    assert (np.diff(lightness) > -1e-4).all()
    assert lightness[0] < 0.01
    assert lightness[-1] > 0.9


def test_a_box_thinner_than_a_pixel_still_shows():
    image = overlay(photo(3, 3), explanation([[1.0]], box=(0.999, 0.999, 1, 1)), 1)
    assert image.getpixel((2, 2)) == HOT


@pytest.mark.parametrize(
    ("height", "width", "size"), [(30, 60, (60, 30)), (512, 2048, (1024, 256)), (2048, 2, (1, 1024))]
)
def test_images_have_the_shape_of_the_photo_and_fit_the_screen(height, width, size):
    large = photo(height, width)
    assert shown_photo(large).size == size
    assert overlay(large, explanation([[0.5]])).size == raw_map(large, explanation([[0.5]])).size == size


def test_a_png_carries_pixels_and_nothing_else():
    image = Image.new("RGB", (3, 2), (1, 2, 3))
    image.info = {"comment": "secret", "exif": b"secret", "icc_profile": b"secret"}
    data = png_bytes(image)
    back = Image.open(io.BytesIO(data))
    assert (back.format, back.size, back.getpixel((2, 1))) == ("PNG", (3, 2), (1, 2, 3))
    assert b"secret" not in data
    assert not back.info
    assert not back.getexif()


def test_a_jpeg_for_the_screen_is_close_to_the_photo_and_small():
    noise_hwc = np.random.default_rng(0).normal(128, 20, (600, 800, 3)).clip(0, 255).astype(np.uint8)
    smooth = Image.fromarray(noise_hwc).resize((200, 150)).resize((800, 600), Image.Resampling.BICUBIC)
    data = jpeg_bytes(smooth)
    best = io.BytesIO()
    smooth.save(best, "JPEG", quality=100)
    assert len(data) < len(best.getvalue()) / 3
    back_hwc = np.asarray(Image.open(io.BytesIO(data)), np.float64)
    assert np.abs(back_hwc - np.asarray(smooth)).mean() < 3
