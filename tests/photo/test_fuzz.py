"""Real files with bytes flipped, cut, moved and mixed: a photo or a refusal comes out, and nothing else."""

import io

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from benchmarks.mutation import seeds as whole_photos
from benchmarks.mutation import structural_mutant
from triovision.errors import PhotoError
from triovision.photo import PhotoLimits, read_photo


def seeds():
    rng = np.random.default_rng(5)
    image = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    more = {"exif": exif.tobytes(), "icc_profile": profile}
    frames = {"save_all": True, "append_images": [image.rotate(180)]}
    deep = Image.fromarray(rng.integers(0, 65536, (24, 32), dtype=np.uint16))
    for picture, container, options in (
        (image, "JPEG", more),
        (image, "JPEG", {"progressive": True}),
        (image.convert("CMYK"), "JPEG", {}),
        (image, "MPO", frames),
        (image, "PNG", more),
        (image.quantize(8), "PNG", {"transparency": 1}),
        (image, "PNG", frames),
        (deep, "PNG", {}),
        (image, "WEBP", more),
        (image, "WEBP", {"lossless": True, **frames}),
        (image, "GIF", frames),
        (image, "BMP", {}),
        (image.quantize(4), "BMP", {}),
        (image, "TIFF", {"exif": exif, "icc_profile": profile}),
        (image, "TIFF", {"compression": "tiff_lzw"}),
        (image, "TIFF", {"compression": "jpeg"}),
        (deep, "TIFF", {"big_tiff": True}),
        (image, "AVIF", more),
        (image, "HEIF", more),
    ):
        buffer = io.BytesIO()
        picture.save(buffer, container, **options)
        yield buffer.getvalue()


SEEDS = tuple(seeds())
# Places are fractions of the file, so that they mean something in every seed; the header deserves most of them.
PLACE = st.one_of(st.floats(0, 1), st.floats(0, 0.1), st.floats(0, 0.02))
CHANGE = st.one_of(
    st.tuples(st.just("flip"), PLACE, st.integers(1, 255)),
    st.tuples(st.just("write"), PLACE, st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0"])),
    st.tuples(st.just("delete"), PLACE, st.integers(1, 64)),
    st.tuples(st.just("double"), PLACE, st.integers(1, 64)),
    st.tuples(st.just("cut"), st.floats(0, 1), st.none()),
    st.tuples(st.just("splice"), PLACE, st.integers(0, len(SEEDS) - 1)),
)
LIMITS = PhotoLimits(max_pixels=4_000_000)  # a changed size may be genuine: keep the test's own memory small


def changed(data, change):
    kind, place, how = change
    at = int(place * len(data))
    if kind == "flip":
        return data[:at] + bytes(byte ^ how for byte in data[at : at + 1]) + data[at + 1 :]
    if kind == "write":
        return data[:at] + how + data[at + len(how) :]
    if kind == "delete":
        return data[:at] + data[at + how :]
    if kind == "double":
        return data[:at] + data[at : at + how] * 2 + data[at + how :]
    if kind == "cut":
        return data[:at]
    other = SEEDS[how]
    return data[:at] + other[int(place * len(other)) :]


def photo_or_refusal(data):
    try:
        return read_photo(data, "fuzzed.jpg", LIMITS)
    except PhotoError as refusal:
        return refusal


def test_seeds_are_sound():
    assert {read_photo(seed, "seed").format for seed in SEEDS} == {
        "JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF",
    }  # fmt: skip


@settings(
    max_examples=4000,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.sampled_from(SEEDS), st.lists(CHANGE, min_size=1, max_size=6))
def test_changed_files_are_photos_or_refusals(data, changes):
    for change in changes:
        data = changed(data, change)
    outcome = photo_or_refusal(data)
    if isinstance(outcome, PhotoError):
        assert outcome.subject == "fuzzed.jpg"
        assert outcome.reason
        assert outcome.remedy
    else:
        assert outcome.original_width_px * outcome.original_height_px <= LIMITS.max_pixels
        assert min(outcome.image_hwc.shape[:2]) >= 1


def test_files_of_changed_structure_are_photos_or_refusals():
    outcomes = [photo_or_refusal(structural_mutant(number)[1]) for number in range(1500)]
    assert len({type(outcome) for outcome in outcomes}) == 2  # both occur: the mutants are no mere noise
    assert all(outcome.reason and outcome.remedy for outcome in outcomes if isinstance(outcome, PhotoError))


def test_structural_mutants_are_made_of_photos_and_of_their_number_alone():
    assert all(read_photo(data, name) for name, data in whole_photos().items())
    assert structural_mutant(77) == structural_mutant(77)
