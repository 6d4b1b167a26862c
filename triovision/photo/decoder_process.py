"""Process of a decoder pool, as its parent sees it: start, one photo at a time, deadline, end."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, Final

from triovision.errors import Message, PhotoError
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import clean_text, shown_name
from triovision.results import Photo

_logger = logging.getLogger(__name__)

# -P: the current folder, which may hold anything, is no place to import from.
_COMMAND: Final = (sys.executable, "-P", "-m", "triovision.photo.decoder_worker")
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_MAX_LINES, _LINES_EVERY_S = 10, 60.0  # of what image libraries print
_MAX_LINE_BYTES: Final = 200


class DecoderProcess:
    """Decoder process that is started when it is needed, and started anew after it has died.

    `read` is called by one thread at a time; `stop` by any.

    Args:
        deadline_s: Seconds of wall time for one photo.
        memory_bytes: Memory for one photo beyond what the process needs for itself.
    """

    def __init__(self, deadline_s: float, memory_bytes: int) -> None:
        self._deadline_s = deadline_s
        self._arguments = (str(memory_bytes), str(deadline_s))
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._lines, self._lines_since = 0, time.monotonic()

    def read(self, data: bytes, name: str, limits: PhotoLimits) -> Photo:
        """Decode a photo; a process that fails to answer is killed.

        Args:
            data: The whole file.
            name: File name as given by the outside.
            limits: Limits of `read_photo`.

        Raises:
            PhotoError: The file cannot be used, or its process has died, was killed or cannot be started.
        """
        process = self._running(name)
        overdue = threading.Event()

        def end() -> None:
            overdue.set()
            process.kill()

        # A timer, and not a wait with a limit, because a process that hangs blocks the writing of a request as well.
        timer = threading.Timer(self._deadline_s, end)
        timer.daemon = True
        timer.start()
        try:
            outcome = _exchange(process, (data, name, limits))
        except Exception as exc:  # the pipe breaks, or what came through it is no answer
            self.stop()
            raise _fault(name, self._deadline_s if overdue.is_set() else None) from exc
        except BaseException:  # an answer that was not read whole would be taken for that of the next photo
            self.stop()
            raise
        finally:
            timer.cancel()
            timer.join()
        if overdue.is_set():  # the answer came with the deadline
            self.stop()
        if isinstance(outcome, PhotoError):
            raise outcome
        return outcome

    def stop(self) -> None:
        """End the process, if it runs, and wait for its end."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # a request that was not written whole
                continue

    def _running(self, name: str) -> subprocess.Popen[bytes]:
        """The process, started if it has not been or has died."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            try:
                self._process = self._start()
            except OSError as exc:
                reason = Message("no process can be started to read it ({why})", why=exc.strerror)
                raise PhotoError(shown_name(name), reason, Message("Close other programs, then try again")) from exc
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        paths = [_ROOT, *filter(None, sys.path)]
        # Address space is limited. Threads of a linear-algebra library take some and have nothing to do here, and each
        # thread of a decoder would get a heap of its own.
        spare = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | spare
        pipe = subprocess.PIPE
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*_COMMAND, *self._arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=environment, close_fds=True
        )
        threading.Thread(target=self._log, args=(process.stderr,), name="decoder messages", daemon=True).start()
        return process

    def _log(self, messages: BinaryIO) -> None:
        """Log what image libraries print, at most some lines a minute, until the process ends."""
        with messages:
            while line := messages.readline(_MAX_LINE_BYTES):
                if time.monotonic() - self._lines_since > _LINES_EVERY_S:
                    self._lines, self._lines_since = 0, time.monotonic()
                self._lines += 1
                if self._lines <= _MAX_LINES and (text := clean_text(line.decode(errors="replace"), _MAX_LINE_BYTES)):
                    _logger.warning("image decoder: %s", text)


def _exchange(process: subprocess.Popen[bytes], request: tuple[bytes, str, PhotoLimits]) -> Photo | PhotoError:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    pickle.dump(request, process.stdin, pickle.HIGHEST_PROTOCOL)
    process.stdin.flush()
    outcome: Photo | PhotoError = pickle.load(process.stdout)  # noqa: S301 - from our own program
    return outcome


def _fault(name: str, deadline_s: float | None) -> PhotoError:
    if deadline_s is None:
        reason = Message("the image decoder crashed while it read the file")
        return PhotoError(
            shown_name(name), reason, Message("Copy the file from its source again, or export the photo again")
        )
    reason = Message("reading it takes longer than the {seconds} seconds allowed", seconds=f"{deadline_s:g}")
    return PhotoError(shown_name(name), reason, Message("Use a smaller copy of the photo"))
