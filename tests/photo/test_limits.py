"""Limits on the cost of a photo: they are kept, and told in words."""

import io

import pytest
from PIL import Image

from tests.photo.hostile_files import (
    AVIF,
    GIF,
    GIF_FRAME,
    HEIC,
    JPEG,
    PNG,
    PROGRESSIVE,
    TIFF,
    WEBP,
    animated_gif,
    file_of,
    many_webp_frames,
    scans,
    segment,
)
from triovision.errors import PhotoError
from triovision.photo import PhotoLimits, read_photo
from triovision.photo.cost import decoder_bytes_per_pixel, gif_blocks, jpeg_scans


def test_own_limits_are_kept_and_told():
    with pytest.raises(PhotoError, match=r"0\.1 megapixels, more than the 0\.01 allowed"):
        read_photo(JPEG, "x", PhotoLimits(max_pixels=10_000))
    with pytest.raises(PhotoError, match=r"more than the 0\.001 MB allowed"):
        read_photo(JPEG, "x", PhotoLimits(max_bytes=1000))
    with pytest.raises(PhotoError, match="more than 20 frames"):
        read_photo(many_webp_frames(), "x", PhotoLimits(max_frames=20))
    assert read_photo(many_webp_frames(), "x", PhotoLimits(max_frames=30)).format == "WEBP"


@pytest.mark.parametrize(("file", "kind", "most"), [(WEBP, "WebP", "0.0529"), (AVIF, "AVIF", "0.0692")])
def test_formats_whose_decoders_take_most_memory_have_fewer_pixels(file, kind, most):
    limits = PhotoLimits(max_decoder_bytes=900_000)
    words = rf"0\.1 megapixels, more than the {most.replace('.', chr(92) + '.')} allowed for such a {kind} file"
    with pytest.raises(PhotoError, match=words):
        read_photo(file, "x", limits)
    for other in (JPEG, PNG, GIF, TIFF, HEIC):
        assert read_photo(other, "x", limits).original_width_px == 320


@pytest.mark.parametrize(
    ("mode", "container", "options", "expected"),
    [
        ("RGB", "JPEG", {}, 6.5),
        ("CMYK", "JPEG", {}, 8.5),
        ("RGB", "WEBP", {}, 17),
        ("RGBA", "WEBP", {}, 17),
        ("RGB", "AVIF", {}, 13),
        ("RGBA", "AVIF", {}, 16),
        ("RGB", "HEIF", {}, 7),
        ("RGB", "HEIF", {"chroma": 444}, 10),
        ("RGBA", "HEIF", {}, 12),
        ("P", "PNG", {}, 7),
        ("RGBA", "PNG", {}, 8.5),
        ("RGB", "PNG", {"transparency": (1, 2, 3)}, 8.5),
        ("CMYK", "TIFF", {}, 7),
        ("LAB", "TIFF", {}, 8.5),
    ],
)
def test_memory_of_a_decoder_by_the_kind_of_file(mode, container, options, expected):
    picture = Image.new(mode, (32, 32))  # black, and transparent
    with Image.open(io.BytesIO(file_of(picture, container, **options))) as image:
        assert decoder_bytes_per_pixel(image) == expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "The unnamed file"),
        ("\0\n\t", "The unnamed file"),
        ("a\nb\x1b[31mc.jpg", "ab[31mc.jpg"),
        ("photo\u202egpj.exe", "photogpj.exe"),  # an override that would show it as photoexe.jpg
        ("café \u2028 日本 🗻.jpg", "café 日本 🗻.jpg"),
        ("broken\udcff.jpg", "broken.jpg"),
        ("a" * 5000 + ".jpg", "a" * 53 + "…" + "a" * 22 + ".jpg"),
    ],
)
def test_names_in_messages_are_clean_and_short(name, shown):
    with pytest.raises(PhotoError) as refusal:
        read_photo(b"", name)
    assert refusal.value.subject == shown


def test_lack_of_memory_is_a_refusal(monkeypatch):
    def exhausted(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr("triovision.photo.reading.to_eight_bits", exhausted)
    with pytest.raises(PhotoError, match="more memory than there is"):
        read_photo(JPEG, "x")


def test_cause_is_kept_for_the_log():
    with pytest.raises(PhotoError) as refusal:
        read_photo(PNG[: len(PNG) // 2], "x")
    assert isinstance(refusal.value.__cause__, (OSError, SyntaxError, ValueError))


def test_gif_frames_are_counted_without_decoding():
    assert gif_blocks(animated_gif(7), 1000)[0] == 7
    assert gif_blocks(animated_gif(7), 3)[0] == 4
    assert gif_blocks(animated_gif(7)[: -len(GIF_FRAME) - 1], 1000)[0] == 6
    assert gif_blocks(GIF, 1000) == (1, 0)
    assert gif_blocks(b"GIF89a", 1000) == (0, 0)


def test_jpeg_scans_are_counted_up_to_the_end_marker():
    assert jpeg_scans(JPEG, 100) == 1
    assert jpeg_scans(PROGRESSIVE, 100) == 10  # libjpeg's script for colour
    assert jpeg_scans(scans(5), 100) == 15
    assert jpeg_scans(scans(50), 20) == 21
    assert jpeg_scans(PROGRESSIVE + scans(50), 100) == 10
    assert jpeg_scans(segment(0xE5, b"\xff\xda\0\2" * 9), 100) == 1  # a thumbnail has scans of its own
    assert jpeg_scans(scans(5).replace(b"\xff\xda", b"\xff\1\xff\xff\xda"), 100) == 15
