"""List of the unreadable photos of a run, with a limit of their number."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from triovision.errors import PhotoError, RecipeError
from triovision.photo import read_photo

FILE = "unreadable.csv"
_HEADER = ("file", "reason")


class UnreadablePhotos:
    """CSV list of unreadable photos, to which all processes of a run append.

    Args:
        path: CSV file.
        allowed: Largest number of photos.
    """

    def __init__(self, path: Path, allowed: int) -> None:
        self.path = path
        self.allowed = allowed
        self._read_at_size = -1
        self._listed: set[str] = set()

    def add(self, file: str, reason: str) -> None:
        """Append a photo, unless it is listed."""
        if file not in self.listed():
            text = io.StringIO()
            lines = csv.writer(text, lineterminator="\n")
            if not self.path.exists():
                lines.writerow(_HEADER)
            lines.writerow((file, reason))
            # One write in append mode, so that lines of several processes do not mix.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, text.getvalue().encode("utf-8", "backslashreplace"))
            finally:
                os.close(descriptor)

    def listed(self) -> set[str]:
        """Files on the list."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return set()
        if size != self._read_at_size:
            with self.path.open(encoding="utf-8", newline="") as file:
                self._listed = {row[0] for row in csv.reader(file) if row and tuple(row) != _HEADER}
            self._read_at_size = size
        return self._listed

    def forget_restored(self, root: Path) -> None:
        """Remove the photos that can be read again; called when a run starts.

        Args:
            root: Folder of the photos.
        """
        files = sorted(self.listed())
        self.path.unlink(missing_ok=True)
        self._listed, self._read_at_size = set(), -1
        for file in files:
            try:
                read_photo((root / file).read_bytes(), file)
            except (OSError, PhotoError) as exc:
                self.add(file, str(exc))

    def too_many(self) -> bool:
        """Whether more photos are listed than allowed."""
        return len(self.listed()) > self.allowed

    def check(self) -> None:
        """Check the number of photos.

        Raises:
            RecipeError: If more photos are listed than allowed.
        """
        if self.too_many():
            remedy = "Restore the photos and repeat the command to resume, or allow more with --max-unreadable"
            reason = f"lists {len(self._listed)} unreadable photos, {self.allowed} are allowed"
            raise RecipeError(str(self.path), reason, remedy)


def allowed_photos(limit: str, photos: int) -> int:
    """Number of photos that a limit allows.

    Args:
        limit: Number such as `"20"`, or percentage of all photos such as `"1%"`.
        photos: Number of photos of the run.

    Raises:
        RecipeError: If the limit is not valid.
    """
    number, percent = limit.strip().removesuffix("%"), limit.strip().endswith("%")
    try:
        value = float(number) if percent else int(number)
    except ValueError:
        value = -1
    if value < 0 or (percent and not value <= 100):  # excludes NaN
        raise RecipeError("--max-unreadable", f"is {limit!r}", "Give a number such as 20, or a percentage such as 1%")
    return int(photos * value / 100) if percent else int(value)
