import struct

import numpy as np
import pytest
from PIL import Image

from triovision.photo import read_photo
from triovision.photo.cost import is_cheap_profile

D50 = (0.9642, 1.0, 0.8249)
# Primaries in XYZ, adapted to D50 (IEC 61966-2-1 and SMPTE EG 432-1 as ICC profiles hold them).
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def fixed(value):
    return struct.pack(">l", round(value * 65536))


def xyz(values):
    return b"XYZ " + bytes(4) + b"".join(fixed(value) for value in values)


SRGB_CURVE = b"para" + bytes(4) + struct.pack(">HH", 3, 0)
SRGB_CURVE += b"".join(fixed(value) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
LINEAR_CURVE = b"curv" + bytes(4) + struct.pack(">L", 0)


def profile(space, connection, tags):
    """ICC profile, version 4.2, of `space` (`RGB `, `GRAY`, `CMYK`) with the tags given."""
    table, values = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">LL", start + len(values), len(value))
        values += value.ljust(-len(value) % 4 + len(value), b"\0")
    size = start + len(values)
    device = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(">L4sL4s4s4s12s4s", size, b"none", 0x04200000, device, space, connection, bytes(12), b"acsp")
    header += bytes(28) + b"".join(fixed(value) for value in D50)
    return header.ljust(128, b"\0") + struct.pack(">L", len(tags)) + table + values


def matrix_profile(primaries, curve=SRGB_CURVE):
    tags = {b"wtpt": xyz(D50)}
    for letter, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags[letter + b"XYZ"] = xyz(primary)
        tags[letter + b"TRC"] = curve
    return profile(b"RGB ", b"XYZ ", tags)


def cmyk_profile():
    """A press on which the first ink alone prints sRGB red, and everything else prints white."""
    ramp = bytes(range(256))
    white = bytes((255, 128, 128))
    red = bytes((138, 209, 198))  # Lab (54.3, 80.8, 69.9) of sRGB red under D50
    corners = b"".join(red if corner == 0b1000 else white for corner in range(16))  # first ink varies slowest
    matrix = b"".join(fixed(value) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + corners + ramp * 3
    return profile(b"CMYK", b"Lab ", {b"wtpt": xyz(D50), b"A2B0": lut})


@pytest.mark.parametrize("container", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_display_p3_becomes_srgb(container, encode):
    """sRGB red is (234, 51, 35) in Display P3."""
    options = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}.get(container, {"quality": 100})
    image = Image.new("RGB", (64, 64), (234, 51, 35))
    photo = read_photo(encode(image, container, icc_profile=matrix_profile(DISPLAY_P3), **options), "x")
    np.testing.assert_allclose(photo.image_hwc[32, 32], (255, 0, 0), atol=2 if options else 8)
    assert photo.warnings == ()


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
def test_greys_are_the_same_in_display_p3(colour, encode):
    photo = read_photo(encode(Image.new("RGB", (4, 4), colour), "PNG", icc_profile=matrix_profile(DISPLAY_P3)), "x")
    np.testing.assert_allclose(photo.image_hwc[0, 0], colour, atol=1)


def test_channels_follow_the_profile(encode):
    swapped = matrix_profile((SRGB[2], SRGB[1], SRGB[0]))
    photo = read_photo(encode(Image.new("RGB", (4, 4), (250, 90, 20)), "PNG", icc_profile=swapped), "x")
    np.testing.assert_allclose(photo.image_hwc[0, 0], (20, 90, 250), atol=2)


def test_linear_light_is_encoded(encode):
    """Linear 0.2140 (55/255 = 0.2157) is sRGB 0.5: 128."""
    linear = matrix_profile(SRGB, LINEAR_CURVE)
    photo = read_photo(encode(Image.new("RGB", (4, 4), (55, 55, 55)), "PNG", icc_profile=linear), "x")
    np.testing.assert_allclose(photo.image_hwc[0, 0], 128, atol=2)


def test_srgb_profile_changes_nothing(encode, quadrants):
    data = encode(quadrants, "PNG", icc_profile=matrix_profile(SRGB))
    np.testing.assert_array_equal(read_photo(data, "x").image_hwc, np.asarray(quadrants))


def test_grey_profile(encode):
    linear = profile(b"GRAY", b"XYZ ", {b"wtpt": xyz(D50), b"kTRC": LINEAR_CURVE})
    photo = read_photo(encode(Image.new("L", (4, 4), 55), "PNG", icc_profile=linear), "x")
    np.testing.assert_allclose(photo.image_hwc[0, 0], 128, atol=2)


def test_grey_picture_with_a_colour_profile(encode):
    linear = matrix_profile(SRGB, LINEAR_CURVE)
    photo = read_photo(encode(Image.new("L", (4, 4), 55), "PNG", icc_profile=linear), "x")
    np.testing.assert_allclose(photo.image_hwc[0, 0], 128, atol=2)


def test_palette_with_a_profile(encode):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 234, 51, 35])
    photo = read_photo(encode(image, "PNG", icc_profile=matrix_profile(DISPLAY_P3)), "x")
    np.testing.assert_allclose(photo.image_hwc[0, 0], (255, 0, 0), atol=2)


@pytest.mark.parametrize("container", ["TIFF", "JPEG"])
def test_cmyk_goes_through_its_profile(container, encode):
    options = {"quality": 100} if container == "JPEG" else {}
    cyan = Image.new("CMYK", (64, 64), (255, 0, 0, 0))
    photo = read_photo(encode(cyan, container, icc_profile=cmyk_profile(), **options), "x")
    np.testing.assert_allclose(photo.image_hwc[32, 32], (255, 0, 0), atol=6)
    without = read_photo(encode(cyan, container, **options), "x")
    np.testing.assert_allclose(without.image_hwc[32, 32], (0, 255, 255), atol=6)


@pytest.mark.parametrize(
    "damaged",
    [
        b"no profile at all",
        matrix_profile(DISPLAY_P3)[:100],
        matrix_profile(DISPLAY_P3)[:-200],
        profile(b"RGB ", b"XYZ ", {b"wtpt": xyz(D50)}),
        profile(b"GRAY", b"XYZ ", {b"wtpt": xyz(D50), b"kTRC": LINEAR_CURVE}),
        profile(b"Lab ", b"XYZ ", {b"wtpt": xyz(D50)}),
        cmyk_profile(),
    ],
)
def test_damaged_or_foreign_profile_is_ignored_with_a_warning(damaged, encode):
    photo = read_photo(encode(Image.new("RGB", (4, 4), (234, 51, 35)), "PNG", icc_profile=damaged), "x")
    assert photo.image_hwc[0, 0].tolist() == [234, 51, 35]
    assert photo.warnings == ("The colour profile cannot be used and was ignored: colours may be off.",)


def test_profiles_whose_cost_has_no_bound_are_refused():
    plain = {b"wtpt": xyz(D50), b"rTRC": LINEAR_CURVE}
    assert is_cheap_profile(profile(b"RGB ", b"XYZ ", plain))
    assert is_cheap_profile(cmyk_profile())
    for tag in (b"A2B0", b"D2B1", b"B2A0", b"gTRC"):
        assert not is_cheap_profile(profile(b"RGB ", b"XYZ ", plain | {tag: b"mpet" + bytes(8)}))
    assert not is_cheap_profile(profile(b"RGB ", b"XYZ ", {b"x%03d" % i: xyz(D50) for i in range(101)}))
    assert not is_cheap_profile(matrix_profile(DISPLAY_P3) + bytes(4_000_000))


def test_a_costly_profile_is_ignored_with_a_warning(encode):
    costly = matrix_profile(DISPLAY_P3) + bytes(4_000_000)  # as it is, it would turn this red into another one
    photo = read_photo(encode(Image.new("RGB", (4, 4), (234, 51, 35)), "TIFF", icc_profile=costly), "x")
    assert photo.image_hwc[0, 0].tolist() == [234, 51, 35]
    assert photo.warnings == ("The colour profile cannot be used and was ignored: colours may be off.",)
