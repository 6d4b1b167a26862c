"""Program of a decoder process: reads photos from standard input and writes them to standard output.

`triovision.photo.decoder_pool` starts it. Requests and answers are pickles; both ends are ours. It imports neither
PyTorch nor Streamlit, and ends when its standard input is closed, as it is when the parent process ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings
from typing import BinaryIO

from triovision.errors import PhotoError
from triovision.photo.reading import read_photo
from triovision.results import Photo

if sys.platform != "win32":
    import resource


def main() -> None:
    """Answer requests until standard input is closed. Arguments: memory in bytes for one photo, deadline in seconds."""
    memory_bytes, deadline_s = int(sys.argv[1]), float(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches every process; the parent decides
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not land between the answers
    _limit_memory(memory_bytes)
    try:
        _answer(sys.stdin.buffer, answers, deadline_s)
    except (EOFError, BrokenPipeError):  # the parent closed the pool, or has ended
        os._exit(0)


def _answer(requests: BinaryIO, answers: BinaryIO, deadline_s: float) -> None:
    while True:
        request = pickle.load(requests)  # noqa: S301 - from the parent
        _end_after(deadline_s + 1)  # the parent ends an overdue process; this holds when there is no parent any more
        try:
            outcome: Photo | PhotoError = read_photo(*request)
        except PhotoError as error:
            outcome = error
        _end_after(0)
        del request  # before the next one comes
        pickle.dump(outcome, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
        del outcome


def _limit_memory(memory_bytes: int) -> None:
    """Limit the address space to what the process has now plus the given bytes, where the platform can (Linux)."""
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:
            present = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (present + memory_bytes, present + memory_bytes))
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the dump of a crash would hold a photo


def _end_after(seconds: float) -> None:
    """Let the kernel end this process after so many seconds, even inside native code; 0 stops the clock."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
