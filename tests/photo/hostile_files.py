"""Files made to break a reader, and the pieces that they are made of."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

pillow_heif.register_heif_opener()


def file_of(image, container, **options):
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def noise(width=320, height=240):
    pixels = np.random.default_rng(3).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


JPEG = file_of(noise(), "JPEG")
PROGRESSIVE = file_of(noise(), "JPEG", progressive=True)
PNG = file_of(noise(), "PNG")
GIF = file_of(noise(), "GIF")
BMP = file_of(noise(), "BMP")
TIFF = file_of(noise(), "TIFF")
TIFF_DEFLATE = file_of(noise(), "TIFF", compression="tiff_adobe_deflate")
WEBP = file_of(noise(), "WEBP")
AVIF = file_of(noise(), "AVIF")
HEIC = file_of(noise(), "HEIF")


def replaced(data, old, new):
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


def patched(data, offset, new):
    return data[:offset] + new + data[offset + len(new) :]


def start_of_frame(data):
    """Offset of a JPEG's precision byte, which height and width follow."""
    return max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 4


def segment(marker, payload, data=JPEG):
    """A JPEG marker segment, put right behind the start of the image."""
    return data[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload + data[2:]


# A directory of two images: B000 version, B001 count, B002 entries of 16 bytes.
MPF = b"MPF\0II*\0\x08\0\0\0\3\0\0\xb0\7\0\4\0\0\x000100\1\xb0\4\0\1\0\0\0\2\0\0\0\2\xb0\7\0\x20\0\0\0\x32\0\0\0"
MPF += bytes(4) + bytes(32)


def chunk(kind, payload):
    return struct.pack(">L", len(payload)) + kind + payload + struct.pack(">L", zlib.crc32(kind + payload))


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def header(width, height, depth=8, colour=2, interlace=0):
    return chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, interlace))


def pixels(width, height, channels=3):
    return chunk(b"IDAT", zlib.compress((b"\0" + bytes(width * channels)) * height, 9))


END = chunk(b"IEND", b"")


def animated_png(frames, sequence=b""):
    control = chunk(b"acTL", struct.pack(">LL", frames, 0))
    return png(header(8, 8), control, sequence, pixels(8, 8), END)


def scans(count):
    """A progressive JPEG whose last scan comes again and again."""
    last = PROGRESSIVE.rindex(b"\xff\xda")
    return PROGRESSIVE[:-2] + PROGRESSIVE[last:-2] * count + b"\xff\xd9"


def sequential_scans(count):
    """A baseline JPEG whose only scan comes again and again."""
    first = JPEG.index(b"\xff\xda")
    return JPEG[:-2] + JPEG[first:-2] * count + b"\xff\xd9"


def shared_block(entries, block_bytes, tag=0x9286, below=False):
    """EXIF data of many entries that all point at one block; `below` puts them into the directory of the camera."""
    outer = struct.pack("<HHHLLL", 1, 0x8769, 4, 1, 26, 0) if below else b""
    block = 8 + len(outer) + 2 + 12 * entries + 4
    inner = struct.pack("<H", entries) + struct.pack("<HHLL", tag, 7, block_bytes, block) * entries + bytes(4)
    return b"II*\0\x08\0\0\0" + outer + inner + bytes(block_bytes)


def tiled_tiff(side, tile):
    """A grey TIFF of one tile."""
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags += [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, 300), (325, 4, 1, tile * tile)]
    return tiff(*tags).ljust(300, b"\0") + bytes(min(tile, 512) ** 2)


STILL = file_of(Image.new("P", (2, 2)), "GIF")
GIF_FRAME = STILL[STILL.index(b",") : -1]


def animated_gif(frames):
    return STILL[: STILL.index(b",")] + GIF_FRAME * frames + b";"


def tiff(*tags, next_directory=0):
    """A little-endian TIFF of one directory; `tags` are `(tag, type, count, value)`."""
    entries = b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + struct.pack("<L", next_directory) + bytes(64)


def plain_tiff(width, height, *more, strip=200):
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, 1, strip), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height % 2**32), *more]
    return tiff(*sorted(tags))


def tagged_tiff(tag, value):
    """A real TIFF with one tag more."""
    tags = ImageFileDirectory_v2()
    tags[tag] = value
    return file_of(noise(), "TIFF", tiffinfo=tags)


def large_webp_canvas(width, height):
    whole = file_of(
        Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 8))]
    )
    at = whole.index(b"VP8X") + 12
    return patched(whole, at, struct.pack("<L", width - 1)[:3] + struct.pack("<L", height - 1)[:3])


def many_webp_frames():
    later = [Image.new("RGB", (4, 4), (n % 256, n // 256, 0)) for n in range(30)]
    return file_of(later[0], "WEBP", save_all=True, append_images=later[1:], lossless=True)


def grey_bomb(width, height):
    """Few bytes, many pixels: one bit each, all alike."""
    row = bytes((width + 7) // 8 + 1)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(header(width, height, depth=1, colour=0), chunk(b"IDAT", packed), END)
