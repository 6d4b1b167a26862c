"""Memory budget: the bytes that uploads and photos of all sessions may take together."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.stats import CacheStat
from streamlit.runtime.uploaded_file_manager import UploadedFileManager

SETTING: Final = "TRIOVISION_MEMORY_MB"
_LEAST_MB: Final = 128
_COPIES: Final = 2
_SHARE: Final = 0.5
_UNKNOWN_MACHINE_BYTES: Final = 4_000_000_000
_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

_logger = logging.getLogger(__name__)


class MemoryBudget:
    """Account of the bytes that photos take. Usable from several threads at once.

    An upload counts twice until it is read: it is copied as it arrives, and Streamlit hands a copy to the script. A
    session may take half of what the others leave, so that there is always room for one more.

    Args:
        limit_bytes: Bytes that may be held at once.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._held: WeakKeyDictionary[object, tuple[str, int]] = WeakKeyDictionary()
        self._arriving: Counter[str] = Counter()

    def hold(self, owner: object, count: int) -> None:
        """Set the bytes that an object holds. They count until it is gone, for the session that held it first."""
        with self._lock:
            session, _ = self._held.get(owner, (_session_of_script(), 0))
            self._held[owner] = session, count

    @property
    def used_bytes(self) -> int:
        """Bytes held by objects, by uploads that Streamlit keeps, and by requests that are arriving."""
        with self._lock:
            return self._used()

    def has_room(self, count: int) -> bool:
        """Whether so many more bytes may come into the session whose script runs."""
        with self._lock:
            return self._fits(count, _session_of_script())

    @contextmanager
    def arriving(self, count: int, session: str) -> Iterator[bool]:
        """Count the bytes of a request to a session while it is received. Yields False if there is no room for them."""
        with self._lock:
            fits = self._fits(_COPIES * count, session)
            if fits:
                self._arriving[session] += count
        try:
            yield fits
        finally:
            if fits:
                with self._lock:
                    self._arriving[session] -= count
                    self._arriving += Counter()  # forgets sessions at zero

    def _fits(self, count: int, session: str) -> bool:
        own = sum(held for of, held in self._held.values() if of == session)
        own += _COPIES * (self._arriving[session] + _uploaded_bytes(session))
        others = self._used() - own
        return own + count <= _SHARE * (self.limit_bytes - others)

    def _used(self) -> int:
        held = sum(count for _, count in self._held.values())
        return held + _COPIES * (self._arriving.total() + _uploaded_bytes())


@cache
def memory_budget() -> MemoryBudget:
    """Budget of this process: `TRIOVISION_MEMORY_MB`, or else a quarter of the machine's memory."""
    default_mb = max(_LEAST_MB, _machine_bytes() // 4 // 1_000_000)
    return MemoryBudget(whole_setting(SETTING, default_mb, _LEAST_MB) * 1_000_000)


def whole_setting(name: str, default: int, least: int) -> int:
    """Whole number of an environment variable; one that is not at least `least` is named in the log and not used."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if text.isascii() and text.isdecimal() and int(text) >= least:
        return int(text)
    _logger.warning("%s: %r is no whole number of at least %d. %d is used.", name, text[:40], least, default)
    return default


def _machine_bytes() -> int:
    """Memory of the machine, or of the container if that is less."""
    found = []
    for path in _CGROUP_LIMITS:
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    try:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not on Windows
        found.append(_UNKNOWN_MACHINE_BYTES)
    return min(found)


def _session_of_script() -> str:
    context = get_script_run_ctx(suppress_warning=True)
    return "" if context is None else context.session_id


def _uploaded_bytes(session: str | None = None) -> int:
    """Bytes of the uploads that Streamlit keeps, for all sessions or for one."""
    manager = uploaded_files()
    if manager is None:
        return 0
    if session is not None:
        files = manager.file_storage.get(session, {}) if isinstance(manager, MemoryUploadedFileManager) else {}
        return sum(len(file.data) for file in list(files.values()))
    stats = [stat for of_family in manager.get_stats().values() for stat in of_family]
    return sum(stat.byte_length for stat in stats if isinstance(stat, CacheStat))


def uploaded_files() -> UploadedFileManager | None:
    """Uploads that Streamlit keeps for all sessions; None outside a server."""
    # A page under test has an imitation of a runtime.
    if runtime.exists() and type(found := runtime.get_instance()) is runtime.Runtime:
        return found.uploaded_file_mgr
    return None
