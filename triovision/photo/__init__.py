"""Upright sRGB photos with camera facts, decoded from untrusted bytes."""

from triovision.photo.limits import PhotoLimits
from triovision.photo.reading import read_photo

__all__ = ["PhotoLimits", "read_photo"]
