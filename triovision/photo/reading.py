"""Decoding of untrusted bytes into a `Photo`, or a `PhotoError`."""

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

from triovision.errors import Message, PhotoError
from triovision.photo.camera import camera_facts, orientation
from triovision.photo.colour import to_eight_bits, to_srgb
from triovision.photo.content import CAMERA_RAW, READABLE, foreign_kind, is_camera_raw
from triovision.photo.cost import AGAIN, decoder_bytes_per_pixel, excessive_part, excessive_tile, many_frames
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import shown_name
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
_BOMB_PIXELS, _BOMB_PIXELS_A_BYTE = 10_000_000, 1000  # even a blank JPEG or PNG in colour has fewer than 400 a byte
_EXIF_REACH = 4096  # AVIF lists its parts at its beginning
_MAX_MISSING = 0.5  # with more than half of its rows gone, a photo's middle, which models look at, is gone
_SMALLER = Message("Use a smaller copy of the photo")
_EXPORT = Message("Export the photo as {formats}", formats=READABLE)


def read_photo(data: bytes, name: str, limits: PhotoLimits = PhotoLimits()) -> Photo:  # noqa: B008 - immutable
    """Decode an untrusted file into an upright sRGB photo.

    A JPEG is decoded at the smallest DCT scale that is large enough; an image of any format is reduced to a bounded
    size. Transparency is put on white; deep, palette, grey and CMYK pixels become 8-bit RGB; colours are converted
    to sRGB through the file's ICC profile. Safe to call from several threads at once.

    The native code of the decoders runs in this process, with no deadline: for files from strangers see `DecoderPool`.

    Args:
        data: The whole file.
        name: File name as given by the outside; only shown, never trusted.
        limits: Limits of the cost and of the size of the decoded image.

    Returns:
        The photo; its `image_hwc` is read-only.

    Raises:
        PhotoError: The file cannot be used, for whatever reason. No other exception leaves this function.
    """
    subject = shown_name(name)
    try:
        with decoder_warnings_silenced():
            return _read(data, name, limits)
    except _RefusedError as refusal:
        raise PhotoError(subject, refusal.reason, refusal.remedy) from refusal.__cause__
    except Image.DecompressionBombError as exc:
        raise PhotoError(subject, Message("it has more pixels than can be read safely"), _SMALLER) from exc
    except MemoryError as exc:
        raise PhotoError(subject, Message("it needs more memory than there is"), _SMALLER) from exc
    except Exception as exc:
        # Decoders meet hostile bytes with OSError, SyntaxError, ValueError, KeyError, struct.error, zlib.error and
        # more, none of them promised. This is the one place where third-party faults become ours.
        reason = Message("it is damaged or truncated and cannot be decoded")
        raise PhotoError(subject, reason, AGAIN) from exc


class _RefusedError(Exception):
    """Refusal of a file; `read_photo` adds its name."""

    def __init__(self, reason: Message, remedy: Message) -> None:
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
        _check_pixels(image, limits)
    camera, turn, exif_notes = _exif(image)
    size, profile = limits.bounded_size(*image.size), image.info.get("icc_profile")
    # 32-bit pixels shrink before they are scaled, for scaling them takes most memory; others need a plain mode first.
    picture = to_eight_bits(_shrunk(image, size) if image.mode in ("F", "I") else image)
    del image  # with what its decoder holds, before more is made of the picture
    picture = _shrunk(picture, size)
    picture, colour_notes = to_srgb(picture, profile)
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
        raise _RefusedError(Message("the file is empty"), AGAIN)
    if len(data) > limits.max_bytes:
        size, most = f"{len(data) / 1e6:.1f}", f"{limits.max_bytes / 1e6:g}"
        raise _RefusedError(
            Message("it has {size} MB, more than the {most} MB allowed", size=size, most=most), _SMALLER
        )
    if kind := foreign_kind(data):
        raise _RefusedError(Message("it is {kind}, which is not supported", kind=kind), _EXPORT)
    if part := excessive_part(data, limits.max_frames):
        raise _RefusedError(*part)


def _opened(data: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Exception as exc:
        if b"Exif" in data[:_EXIF_REACH]:
            # Pillow refuses an AVIF whose EXIF is damaged; under another name the EXIF is passed over.
            with contextlib.suppress(Exception):
                return Image.open(io.BytesIO(data.replace(b"Exif", b"Skip", 1)), formats=_FORMATS)
        if isinstance(exc, UnidentifiedImageError):
            reason = Message("its content is not a supported image format, or is damaged")
            raise _RefusedError(reason, Message("Choose a photo in {formats}", formats=READABLE)) from exc
        raise


def _check_header(image: ImageFile.ImageFile, data: bytes, limits: PhotoLimits) -> None:
    _check_pixels(image, limits)
    if math.prod(image.size) > max(_BOMB_PIXELS, _BOMB_PIXELS_A_BYTE * len(data)):
        reason = Message("it decodes to far more pixels than such a small file should have, like a decompression bomb")
        raise _RefusedError(reason, AGAIN)
    if is_camera_raw(image):
        raise _RefusedError(Message("it is {kind}, which is not supported", kind=CAMERA_RAW), _EXPORT)
    if excessive_tile(image):
        raise _RefusedError(Message("its tiles are far larger than the image"), AGAIN)
    # Those of a GIF are counted by now; of TIFF and MPO, nobody counts them to show the first one.
    frames = 1 if image.format in ("GIF", "TIFF", "MPO") else getattr(image, "n_frames", 1)
    if frames > limits.max_frames:
        raise _RefusedError(*many_frames(limits.max_frames))


def _check_pixels(image: ImageFile.ImageFile, limits: PhotoLimits) -> None:
    width, height = image.size
    size = f"{width * height / 1e6:.1f}"
    if width * height > limits.max_pixels:
        most = f"{limits.max_pixels / 1e6:g}"
        reason = Message("it has {size} megapixels, more than the {most} allowed", size=size, most=most)
        raise _RefusedError(reason, _SMALLER)
    if width * height > (pixels := limits.max_decoder_bytes / decoder_bytes_per_pixel(image)):
        reason = Message(
            "it has {size} megapixels, more than the {most} allowed for such a {kind} file",
            size=size,
            most=f"{pixels / 1e6:.3g}",
            kind={"WEBP": "WebP", "HEIF": "HEIC"}.get(image.format or "", image.format),
        )
        raise _RefusedError(reason, _SMALLER)
    if min(width, height) < 2:
        reason = Message("it is {width} x {height} pixels, which is too small", width=width, height=height)
        raise _RefusedError(reason, Message("Choose a larger copy of the photo"))


def _is_jpeg(image: ImageFile.ImageFile) -> bool:
    return image.format in ("JPEG", "MPO")


def _decoded(
    image: ImageFile.ImageFile, data: bytes, limits: PhotoLimits
) -> tuple[ImageFile.ImageFile, tuple[str, ...]]:
    """Decode the first frame; a JPEG small, and again up to where it breaks off if it is cut short."""
    if not _is_jpeg(image):
        image.load()
        return image, ()
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
    share = f"{missing:.0%}"
    if missing > _MAX_MISSING:
        reason = Message("it is truncated: {share} of the image is missing", share=share)
        raise _RefusedError(reason, AGAIN)
    what = Message("fine detail may be missing")
    if missing:
        what = Message("{share} of the image is missing", share=share)
    return image, (Message("The file is truncated: {what}.", what=what),)


def _draft(image: ImageFile.ImageFile, limits: PhotoLimits) -> None:
    width, height = image.size
    scale = limits.dct_scale(width, height)
    if scale > 1:
        image.draft(None, (width // scale, height // scale))


def _missing_share(image: ImageFile.ImageFile) -> float:
    """Fraction of rows at the bottom that libjpeg filled in: missing coefficients are zero, a plain mid-grey."""
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
        return CameraFacts(), turn, (Message("The EXIF data are damaged and were ignored."),)
