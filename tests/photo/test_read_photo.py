import io
import threading

import numpy as np
import pytest
from PIL import Image, ImageFile

from triovision.errors import PhotoError
from triovision.photo import PhotoLimits, read_photo
from triovision.photo.names import file_stem

RED, LIME, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "HEIF")

# What the EXIF standard says of each orientation: the side of the picture that the first stored row and the first
# stored column show (1: top and left, 6: right and top, ...), written as index arithmetic on the upright picture.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: upright[::-1].swapaxes(0, 1),
}


def corners(photo):
    """Mean colours of the middle of the four quadrants: top left, top right, bottom left, bottom right."""
    height, width, _ = photo.image_hwc.shape
    rows = (slice(height // 8, 3 * height // 8), slice(5 * height // 8, 7 * height // 8))
    columns = (slice(width // 8, 3 * width // 8), slice(5 * width // 8, 7 * width // 8))
    return [photo.image_hwc[row, column].reshape(-1, 3).mean(axis=0) for row in rows for column in columns]


def assert_quadrants(photo):
    np.testing.assert_allclose(corners(photo), [RED, LIME, BLUE, WHITE], atol=12)


def one_colour(photo):
    """The colour of a photo of one colour."""
    flat = photo.image_hwc.reshape(-1, 3)
    assert (flat == flat[0]).all()
    return tuple(flat[0].tolist())


@pytest.mark.parametrize("container", FORMATS)
def test_every_format_keeps_its_pixels_in_place(container, encode, quadrants):
    # JPEG stores chroma at half size unless told otherwise, which moves no quadrant
    options = {"save_all": True, "append_images": [Image.new("RGB", quadrants.size)]} if container == "MPO" else {}
    photo = read_photo(encode(quadrants, container, **options), "a.bin")
    assert photo.format == container
    assert photo.image_hwc.shape == (64, 96, 3)
    assert (photo.original_width_px, photo.original_height_px) == (96, 64)
    assert photo.name == "a.bin"
    assert photo.warnings == ()
    assert_quadrants(photo)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIF"])
def test_orientation_is_applied_exactly_once(container, orientation, encode, quadrants):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(quadrants))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, container, exif=exif.tobytes())
    assert (b"irot" in data or b"imir" in data) == (container in ("AVIF", "HEIF") and orientation > 1)
    photo = read_photo(data, "turned")
    assert (photo.original_width_px, photo.original_height_px) == (96, 64)
    assert photo.image_hwc.shape == (64, 96, 3)
    assert_quadrants(photo)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientation_leaves_the_photo_as_it_is(orientation, encode, quadrants):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_quadrants(read_photo(encode(quadrants, "JPEG", exif=exif), "x"))


def test_heic_is_turned_by_its_container_and_not_by_its_exif(encode, quadrants):
    """The HEIF standard makes the container's turn the valid one; given an `Exif`, this writer leaves that out."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(quadrants, "HEIF", exif=exif)
    assert b"irot" not in data
    assert_quadrants(read_photo(data, "x.heic"))


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((4000, 3000), (1000, 750)),
        ((3996, 3000), (1998, 1500)),  # at 1/4 the longer side would be 999
        ((4096, 3072), (1024, 768)),
        ((6000, 4000), (1500, 1000)),
        ((8192, 8192), (1024, 1024)),
        ((2000, 1500), (1000, 750)),
        ((1998, 1500), (1998, 1500)),
        ((2400, 1800), (1200, 900)),
        ((2000, 500), (2000, 500)),  # at 1/2 the shorter side would be 250
        ((640, 480), (640, 480)),
    ],
)
def test_jpeg_is_decoded_at_the_smallest_scale_that_serves(size, decoded, encode):
    photo = read_photo(encode(Image.new("RGB", size, RED), "JPEG"), "x.jpg")
    assert photo.image_hwc.shape[1::-1] == decoded
    assert (photo.original_width_px, photo.original_height_px) == size


@pytest.mark.parametrize(
    ("size", "bounded"),
    [
        ((2048, 2048), (2048, 2048)),
        ((4096, 2048), (2048, 1024)),
        ((2048, 4096), (1024, 2048)),
        ((8960, 896), (4480, 448)),  # panorama: the shorter side stays at 448
        ((100, 3000), (100, 3000)),
        ((65000, 1500), (13482, 311)),  # extreme panorama: no more pixels than 2048 x 2048
        ((2, 40_000_000), (1, 2048 * 2048)),
    ],
)
def test_bounded_size(size, bounded):
    assert PhotoLimits().bounded_size(*size) == bounded


def test_large_png_does_not_stay_large(encode):
    image = Image.new("L", (5000, 2500))
    image.paste(255, (2500, 0, 5000, 2500))
    photo = read_photo(encode(image, "PNG"), "x.png")
    assert photo.image_hwc.shape == (1024, 2048, 3)
    assert (photo.original_width_px, photo.original_height_px) == (5000, 2500)
    assert photo.image_hwc[:, :1020].max() == 0
    assert photo.image_hwc[:, 1028:].min() == 255


def test_own_sizes_are_kept(encode):
    limits = PhotoLimits(min_long_side_px=100, min_short_side_px=50, max_long_side_px=200)
    assert read_photo(encode(Image.new("RGB", (800, 400)), "JPEG"), "x", limits).image_hwc.shape == (50, 100, 3)
    assert read_photo(encode(Image.new("RGB", (800, 400)), "PNG"), "x", limits).image_hwc.shape == (100, 200, 3)


@pytest.mark.parametrize("bad", [{"max_bytes": 0}, {"max_frames": -1}, {"max_pixels": 1.5}, {"max_long_side_px": 999}])
def test_senseless_limits_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        PhotoLimits(**bad)


def palette_picture():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([9, 9, 9, 250, 100, 50])
    return image


@pytest.mark.parametrize(
    ("image", "container", "options", "expected"),
    [
        (Image.new("L", (8, 8), 77), "PNG", {}, (77, 77, 77)),
        (Image.new("1", (8, 8), 1), "PNG", {}, WHITE),
        (Image.new("1", (8, 8), 0), "TIFF", {}, (0, 0, 0)),
        (palette_picture(), "PNG", {}, (250, 100, 50)),
        (palette_picture(), "GIF", {}, (250, 100, 50)),
        (palette_picture(), "PNG", {"transparency": 1}, WHITE),
        (palette_picture(), "PNG", {"transparency": b"\xff\x80"}, (252, 177, 152)),  # 128/255 over white
        (palette_picture(), "GIF", {"transparency": 1}, WHITE),
        (Image.new("RGBA", (8, 8), (200, 0, 100, 0)), "PNG", {}, WHITE),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "PNG", {}, (255, 204, 204)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "WEBP", {"lossless": True}, (255, 204, 204)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "TIFF", {}, (255, 204, 204)),
        (Image.new("LA", (8, 8), (0, 51)), "PNG", {}, (204, 204, 204)),
        (Image.new("RGB", (8, 8), RED), "PNG", {"transparency": RED}, WHITE),
        (Image.new("L", (8, 8), 10), "PNG", {"transparency": 10}, WHITE),
        (Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF", {}, (0, 255, 255)),
        (Image.new("I;16", (8, 8), 0x4D00), "PNG", {}, (77, 77, 77)),
        (Image.new("I;16", (8, 8), 0xFFFF), "TIFF", {}, WHITE),
        (Image.new("I", (8, 8), 65535), "TIFF", {}, WHITE),
        (Image.new("F", (8, 8), 0.2), "TIFF", {}, (51, 51, 51)),
    ],
)
def test_every_mode_becomes_rgb(image, container, options, expected, encode):
    assert one_colour(read_photo(encode(image, container, **options), "x")) == expected


@pytest.mark.parametrize("container", ["AVIF", "HEIF"])
def test_transparency_of_lossy_formats_is_put_on_white(container, encode):
    data = encode(Image.new("RGBA", (64, 64), (255, 0, 0, 51)), container)
    np.testing.assert_allclose(read_photo(data, "x").image_hwc[32, 32], (255, 204, 204), atol=6)


def test_deep_pixels_are_scaled_and_not_clipped(encode):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)[None].repeat(4, axis=0)
    photo = read_photo(encode(Image.fromarray(ramp), "PNG"), "x")
    np.testing.assert_array_equal(photo.image_hwc[0, :, 0], np.arange(256))


def test_floats_of_any_extent_are_stretched_and_holes_in_them_are_black(encode):
    values = np.array([[-1e38, 3e38], [np.nan, np.inf]], np.float32)
    photo = read_photo(encode(Image.fromarray(values), "TIFF"), "x.tif")
    assert photo.image_hwc[:, :, 0].tolist() == [[0, 255], [64, 64]]
    assert one_colour(read_photo(encode(Image.fromarray(np.full((4, 4), 7.5, np.float32)), "TIFF"), "x")) == (0, 0, 0)


def test_cmyk_jpeg_of_adobe_is_not_inverted(encode):
    """Pillow writes CMYK JPEGs as Adobe does, inverted and with the Adobe marker."""
    data = encode(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data
    np.testing.assert_allclose(read_photo(data, "x.jpg").image_hwc[32, 32], RED, atol=3)


def test_first_frame_of_an_animation(encode, quadrants):
    later = [Image.new("RGB", quadrants.size, (n, 0, 0)) for n in range(3)]
    for container in ("GIF", "PNG", "WEBP", "AVIF"):
        data = encode(quadrants, container, save_all=True, append_images=later)
        assert_quadrants(read_photo(data, container))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.65, 0.9])
def test_jpeg_cut_short_is_accepted_with_a_warning(progressive, share, encode, noise):
    whole = encode(noise, "JPEG", progressive=progressive)
    photo = read_photo(whole[: int(share * len(whole))], "cut.jpg")
    assert photo.image_hwc.shape == (240, 320, 3)
    assert len(photo.warnings) == 1
    assert "truncated" in photo.warnings[0]
    top, reference = photo.image_hwc[:100].astype(int), read_photo(whole, "x").image_hwc[:100].astype(int)
    assert np.abs(top - reference).mean() < 12  # a progressive file lacks its finest detail everywhere


def test_share_that_is_missing_is_told(encode, noise):
    whole = encode(noise, "JPEG", quality=90)
    photo = read_photo(whole[: int(0.75 * len(whole))], "cut.jpg")
    grey_rows = (photo.image_hwc.reshape(240, -1) == 128).all(axis=1).mean()
    assert 0.1 < grey_rows < 0.4
    assert photo.warnings == (f"The file is truncated: {grey_rows:.0%} of the image is missing.",)


def test_jpeg_without_its_end_marker_is_whole(encode, noise):
    whole = encode(noise, "JPEG")
    photo = read_photo(whole[:-2], "x.jpg")
    np.testing.assert_array_equal(photo.image_hwc, read_photo(whole, "x.jpg").image_hwc)


def test_decoding_leaves_pillow_as_it_was(encode, quadrants):
    pixels, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    whole = encode(quadrants, "JPEG")
    read_photo(whole[:-20], "x")
    assert pixels == Image.MAX_IMAGE_PIXELS
    assert truncated is ImageFile.LOAD_TRUNCATED_IMAGES


def test_pixels_cannot_be_written(encode, quadrants):
    photo = read_photo(encode(quadrants, "PNG"), "x")
    assert photo.image_hwc.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        photo.image_hwc[0, 0] = 0


def test_threads_read_at_the_same_time(encode, quadrants, noise):
    whole = encode(noise, "JPEG", quality=90)
    jobs = [encode(quadrants, name) for name in ("PNG", "WEBP", "AVIF", "HEIF", "TIFF")]
    jobs += [whole[: int(0.8 * len(whole))], b"nothing", whole[:-2]]
    alone = [outcome(data) for data in jobs]
    together: dict[int, list[object]] = {}

    def work(thread: int) -> None:
        together[thread] = [outcome(jobs[(thread + k) % len(jobs)]) for k in range(len(jobs))]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(8):
        assert together[n] == [alone[(n + k) % len(jobs)] for k in range(len(jobs))]


def outcome(data: bytes) -> object:
    try:
        photo = read_photo(data, "x")
    except PhotoError as error:
        return str(error)
    return photo.image_hwc.tobytes(), photo.warnings


def test_bytes_are_only_read(encode, quadrants):
    data = encode(quadrants, "PNG")
    read_photo(data, "x")
    assert Image.open(io.BytesIO(data)).size == (96, 64)


def test_names_of_downloads_are_safe_on_every_file_system():
    assert file_stem("../../etc/passwd") == "passwd"
    assert file_stem('a:b*"c?.jpg') == "a-b-c"
    assert file_stem("Zürich 東京.jpeg") == "Zürich-東京"
    assert file_stem("....") == "photo"
    assert len(file_stem("x" * 300 + ".jpg")) == 60
