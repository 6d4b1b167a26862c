"""From untrusted bytes to an upright sRGB photo with its camera facts, or a clear refusal."""

from triovision.photo.limits import PhotoLimits
from triovision.photo.reading import read_photo

__all__ = ["PhotoLimits", "read_photo"]
