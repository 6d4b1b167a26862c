"""One way in for photos: bytes that nobody vouches for become a `Photo`, or a `PhotoError`."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pillow_heif

# Naming the plugins here registers them once, at import; Pillow would else look for them inside the first threads.
from PIL import (
    AvifImagePlugin,  # noqa: F401 - registers itself
    Image,
    ImageFile,
    MpoImagePlugin,  # noqa: F401 - registers itself
    TiffImagePlugin,  # noqa: F401 - registers itself
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401 - registers itself
)

from triovision.errors import PhotoError
from triovision.photo.camera import camera_facts, orientation
from triovision.photo.colour import to_eight_bits, to_srgb
from triovision.photo.content import READABLE, foreign_kind, gif_frames, is_camera_raw, jpeg_scans
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import clean_text
from triovision.photo.silence import decoder_warnings_silenced
from triovision.results import CameraFacts, Photo

pillow_heif.register_heif_opener()

_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF")  # JPEG brings MPO
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAX_SCANS = 32  # encoders write about ten
_BOMB_PIXELS, _BOMB_PIXELS_A_BYTE = 10_000_000, 1000  # even a blank JPEG or PNG in colour has fewer than 400 a byte
_EXIF_REACH = 4096  # AVIF lists its parts at its beginning
_MAX_MISSING = 0.5  # with more than half of its rows gone, a photo's middle, which models look at, is gone
_SMALLER = "Use a smaller copy of the photo"
_AGAIN = "Copy the file from its source again, or export the photo anew"


def read_photo(data: bytes, name: str, limits: PhotoLimits = PhotoLimits()) -> Photo:  # noqa: B008 - immutable
    """Decode an untrusted file into an upright sRGB photo.

    A JPEG is decoded at the smallest DCT scale that still serves; a picture of any format is brought to a bounded
    size. Transparency is put on white; deep, palette, grey and CMYK pixels become 8-bit RGB; colours are converted
    to sRGB through the file's ICC profile. Safe to call from several threads at once.

    Args:
        data: The whole file.
        name: File name as given by the outside; only shown, never trusted.
        limits: What a file may cost, and how large a picture is handed on.

    Returns:
        The photo; its `image_hwc` is read-only.

    Raises:
        PhotoError: The file cannot be used, for whatever reason. No other exception leaves this function.
    """
    subject = clean_text(name, 80) or "The unnamed file"
    try:
        with decoder_warnings_silenced():
            return _read(data, name, limits)
    except _RefusedError as refusal:
        raise PhotoError(subject, refusal.reason, refusal.remedy) from refusal.__cause__
    except Image.DecompressionBombError as exc:
        raise PhotoError(subject, "it has more pixels than can be read safely", _SMALLER) from exc
    except MemoryError as exc:
        raise PhotoError(subject, "it needs more memory than there is", _SMALLER) from exc
    except Exception as exc:
        # Decoders meet hostile bytes with OSError, SyntaxError, ValueError, KeyError, struct.error, zlib.error and
        # more, none of them promised. This is the one place where third-party faults become ours.
        raise PhotoError(subject, "it is damaged or cut short and cannot be decoded", _AGAIN) from exc


class _RefusedError(Exception):
    """Why a file is refused; the boundary adds its name."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy


def _read(data: bytes, name: str, limits: PhotoLimits) -> Photo:
    _check_bytes(data, limits)
    image = _opened(data)
    _check_header(image, data, limits)
    container = image.format or "unknown"
    width, height = image.size
    image, notes = _decoded(image, data, limits)
    if not _is_jpeg(image):  # a JPEG has its size in the header; the size of a HEIF is sure only now
        width, height = image.size
        _check_pixels(width, height, limits)
    camera, turn, exif_notes = _exif(image)
    size = limits.bounded_size(*image.size)
    # 32-bit pixels shrink before they are scaled, for scaling them takes most memory; others need a plain mode first.
    picture = to_eight_bits(_shrunk(image, size) if image.mode in ("F", "I") else image)
    picture = _shrunk(picture, size)
    picture, colour_notes = to_srgb(picture, image.info.get("icc_profile"))
    if turn in _TRANSPOSES:
        picture = picture.transpose(_TRANSPOSES[turn])
    if turn >= 5:
        width, height = height, width
    return Photo(
        name=name,
        image_hwc=np.asarray(picture),
        original_width_px=width,
        original_height_px=height,
        format=container,
        camera=camera,
        warnings=notes + exif_notes + colour_notes,
    )


def _shrunk(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if size == picture.size:
        return picture
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _check_bytes(data: bytes, limits: PhotoLimits) -> None:
    if not data:
        raise _RefusedError("the file is empty", _AGAIN)
    if len(data) > limits.max_bytes:
        size, most = len(data) / 1e6, limits.max_bytes / 1e6
        raise _RefusedError(f"it has {size:.1f} MB, more than the {most:g} MB allowed", _SMALLER)
    if kind := foreign_kind(data):
        raise _RefusedError(f"it is {kind}, which is not read here", f"Export the photo as {READABLE}")


def _opened(data: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Exception as exc:
        if b"Exif" in data[:_EXIF_REACH]:
            # Pillow refuses an AVIF whose EXIF is damaged; under another name the EXIF is passed over.
            with contextlib.suppress(Exception):
                return Image.open(io.BytesIO(data.replace(b"Exif", b"Skip", 1)), formats=_FORMATS)
        if isinstance(exc, UnidentifiedImageError):
            reason = "its content is no image of a kind that is read here, or is damaged"
            raise _RefusedError(reason, f"Choose a photo in {READABLE}") from exc
        raise


def _check_header(image: ImageFile.ImageFile, data: bytes, limits: PhotoLimits) -> None:
    _check_pixels(*image.size, limits)
    if math.prod(image.size) > max(_BOMB_PIXELS, _BOMB_PIXELS_A_BYTE * len(data)):
        raise _RefusedError(
            "it unpacks to far more pixels than so small a file holds, as decompression bombs do", _AGAIN
        )
    if is_camera_raw(image):
        raise _RefusedError("it is a camera raw file, which is not read here", f"Export the photo as {READABLE}")
    if image.format == "GIF":
        frames = gif_frames(data, limits.max_frames)
    else:
        frames = 1 if image.format in ("TIFF", "MPO") else getattr(image, "n_frames", 1)
    if frames > limits.max_frames:
        raise _RefusedError(f"it is an animation of more than {limits.max_frames} frames", "Save one frame as a photo")


def _check_pixels(width: int, height: int, limits: PhotoLimits) -> None:
    if width * height > limits.max_pixels:
        size, most = width * height / 1e6, limits.max_pixels / 1e6
        raise _RefusedError(f"it has {size:.1f} megapixels, more than the {most:g} allowed", _SMALLER)
    if min(width, height) < 2:
        raise _RefusedError(
            f"it is {width} x {height} pixels, which shows nothing", "Choose a larger copy of the photo"
        )


def _is_jpeg(image: ImageFile.ImageFile) -> bool:
    return image.format in ("JPEG", "MPO")


def _decoded(
    image: ImageFile.ImageFile, data: bytes, limits: PhotoLimits
) -> tuple[ImageFile.ImageFile, tuple[str, ...]]:
    """Decode the first frame; a JPEG small, and again up to where it breaks off if it is cut short."""
    if not _is_jpeg(image):
        image.load()
        return image, ()
    if "progressive" in image.info and jpeg_scans(data, _MAX_SCANS) > _MAX_SCANS:
        raise _RefusedError(f"it is a JPEG of more than {_MAX_SCANS} scans, made to keep a computer busy", _AGAIN)
    try:
        _draft(image, limits)
        image.load()
        return image, ()
    except OSError:
        # An end marker put behind the data lets libjpeg finish with what is there. Pillow's own switch for this is
        # one for all threads.
        image = _opened(data + b"\xff\xd9")
        _draft(image, limits)
        image.load()
    missing = _missing_share(image)
    if missing > _MAX_MISSING:
        raise _RefusedError(f"it is cut short: {missing:.0%} of the picture is missing", _AGAIN)
    what = f"{missing:.0%} of the picture is missing" if missing else "fine detail may be missing"
    return image, (f"The file is cut short: {what}.",)


def _draft(image: ImageFile.ImageFile, limits: PhotoLimits) -> None:
    width, height = image.size
    scale = limits.dct_scale(width, height)
    if scale > 1:
        image.draft(None, (width // scale, height // scale))


def _missing_share(image: ImageFile.ImageFile) -> float:
    """Share of the rows at the bottom that libjpeg made up: coefficients that never came are zero, a plain mid-grey."""
    rows = np.asarray(image).reshape(image.height, -1)
    real = np.flatnonzero((rows.min(axis=1) < 126) | (rows.max(axis=1) > 129))
    return 1.0 - (int(real[-1]) + 1) / image.height if real.size else 1.0


def _exif(image: ImageFile.ImageFile) -> tuple[CameraFacts, int, tuple[str, ...]]:
    """Camera facts and orientation; damaged notes cost the facts and never the photo."""
    turn = 1
    try:
        exif = image.getexif()
        turn = orientation(exif)
        return camera_facts(exif), turn, ()
    except Exception:
        return CameraFacts(), turn, ("The camera's notes are damaged and were ignored.",)
