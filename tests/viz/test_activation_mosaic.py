import numpy as np
import pytest

from triovision.viz.activation_mosaic import activation_mosaic
from triovision.viz.palette import DARK, LIGHT

COLD, HOT = (0, 0, 4), (252, 255, 164)  # the two ends of Inferno
SIDE, STEP = 160, 166  # of a square picture, and from one to the next


def test_each_channel_has_a_picture_on_its_own_scale():
    maps_khw = np.array([[[0, 1000], [0, 0]], [[-3, -3], [-2, -3]], [[5, 5], [5, 5]]], np.float32)
    mosaic = activation_mosaic(maps_khw, LIGHT)
    assert mosaic.size == (STEP + SIDE, STEP + SIDE)  # two by two
    quarter = SIDE // 4
    corners = [(x, y) for y in (quarter, 3 * quarter) for x in (quarter, 3 * quarter)]

    def picture(row, column):
        return [mosaic.getpixel((x + column * STEP, y + row * STEP)) for x, y in corners]

    assert picture(0, 0) == [COLD, HOT, COLD, COLD]
    assert picture(0, 1) == [COLD, COLD, HOT, COLD]
    assert picture(1, 0) == [COLD] * 4  # an even map


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_gaps_and_missing_pictures_have_the_colour_of_the_page(palette):
    mosaic = activation_mosaic(np.ones((3, 2, 2), np.float32), palette)
    background = tuple(int(palette.background[start : start + 2], 16) for start in (1, 3, 5))
    assert mosaic.getpixel((SIDE + 2, 10)) == mosaic.getpixel((STEP + 10, STEP + 10)) == background


def test_pictures_have_the_shape_of_the_maps():
    assert activation_mosaic(np.zeros((1, 7, 10), np.float32), LIGHT).size == (160, 112)
    assert activation_mosaic(np.zeros((16, 1, 1), np.float32), LIGHT).size == (3 * STEP + SIDE,) * 2


@pytest.mark.parametrize("maps_khw", [np.zeros((0, 2, 2)), np.zeros((2, 2)), np.full((1, 2, 2), np.nan)])
def test_maps_that_cannot_be_drawn_are_refused(maps_khw):
    with pytest.raises(ValueError, match="maps_khw"):
        activation_mosaic(maps_khw, LIGHT)
