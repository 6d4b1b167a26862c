"""Upright sRGB photos with camera facts, decoded from untrusted bytes."""

from triovision.photo.decoder_pool import DecoderPool, decoder_pool
from triovision.photo.limits import PhotoLimits
from triovision.photo.reading import read_photo

__all__ = ["DecoderPool", "PhotoLimits", "decoder_pool", "read_photo"]
