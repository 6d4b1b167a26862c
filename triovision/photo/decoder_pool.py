"""Pool of processes that decode photos, so that a hostile file costs its own photo and nothing else.

Each process has pipes of its own and shares no lock with another, so the death of one cannot block the others.
(Pools of the standard library, loky and pebble share a queue or a lock between their workers, and the first two give up
all work when one worker dies.) `multiprocessing` is not used to start them: it would run the script of the page again
in each process.
"""

from __future__ import annotations

import atexit
import os
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from types import TracebackType
from typing import Final, Self, TypeVar

from triovision.errors import Message, PhotoError
from triovision.photo.decoder_process import DecoderProcess
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import shown_name
from triovision.photo.reading import read_photo
from triovision.results import Photo

File = TypeVar("File")

DEADLINE_S: Final = 20.0  # a usual photo takes less than 0.1 s, the costliest one permitted about 2 s on an idle core
WAIT_S: Final = 30.0
MEMORY_BYTES: Final = 1_500_000_000  # twice what the costliest photo permitted takes: it bounds addresses, not use


class DecoderPool:
    """Processes that decode photos, each started when it is first needed, and again after it has died.

    Usable from several threads at once, and as a context manager that ends the processes.

    Args:
        processes: Most processes; one for each core by default.
        deadline_s: Seconds of wall time for one photo; a process that takes longer is killed.
        wait_s: Seconds that a photo waits for a free process.
        memory_bytes: Memory for one photo beyond what a process needs for itself; holds on Linux only.
    """

    def __init__(
        self,
        processes: int | None = None,
        *,
        deadline_s: float = DEADLINE_S,
        wait_s: float = WAIT_S,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        count = os.cpu_count() or 1 if processes is None else processes
        if count < 1:
            raise ValueError(f"`processes` must be at least 1, got {count}")
        self._processes = tuple(DecoderProcess(deadline_s, memory_bytes) for _ in range(count))
        # The process that was used last is used next: one reader at a time keeps one process in memory.
        self._free: queue.LifoQueue[DecoderProcess] = queue.LifoQueue()
        for process in self._processes:
            self._free.put(process)
        self._wait_s = wait_s

    def read(self, data: bytes, name: str, limits: PhotoLimits = PhotoLimits()) -> Photo:  # noqa: B008 - immutable
        """Decode an untrusted file as `read_photo` does, in another process.

        Args:
            data: The whole file.
            name: File name as given by the outside; only shown, never trusted.
            limits: Limits of the cost and of the size of the decoded image.

        Returns:
            The photo; its `image_hwc` is read-only.

        Raises:
            PhotoError: As for `read_photo`; also if the file crashes its process, or takes too long or too much memory,
                or if no process is free in time.
        """
        if len(data) > limits.max_bytes:
            return read_photo(data, name, limits)  # refuses before it looks at the file
        try:
            process = self._free.get(timeout=self._wait_s)
        except queue.Empty as exc:
            reason = Message("it waited too long for other photos that are being read")
            raise PhotoError(shown_name(name), reason, Message("Try again in a minute")) from exc
        try:
            return process.read(data, name, limits)
        finally:
            self._free.put(process)

    def read_many(
        self, files: Iterable[File], load: Callable[[File], tuple[bytes, str]], ahead: int
    ) -> Generator[tuple[File, Photo | PhotoError], None, None]:
        """Decode files in parallel, ahead of the caller, and yield them in order.

        Args:
            files: Anything that stands for a file; taken lazily, in the thread of the caller.
            load: Returns the bytes and the name of a file, or raises PhotoError; called in other threads.
            ahead: Most photos that are decoded or being decoded and not yet yielded.

        Yields:
            Each file with its photo or its error.
        """

        def read(file: File) -> Photo:
            return self.read(*load(file))

        waiting: deque[tuple[File, Future[Photo]]] = deque()
        rest = iter(files)
        with ThreadPoolExecutor(min(ahead, len(self._processes)), "photo") as threads:
            try:
                while True:
                    for file in islice(rest, ahead - len(waiting)):
                        waiting.append((file, threads.submit(read, file)))
                    if not waiting:
                        return
                    file, future = waiting.popleft()
                    try:
                        outcome: Photo | PhotoError = future.result()
                    except PhotoError as error:
                        outcome = error
                    yield file, outcome
            finally:
                threads.shutdown(wait=False, cancel_futures=True)  # of a caller that takes no more

    def close(self) -> None:
        """End the processes; photos that are being read fail. A photo that is read later starts a process again."""
        for process in self._processes:
            process.stop()

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self.close()


@cache
def decoder_pool() -> DecoderPool:
    """Pool that the page, the command line and `predict_files` share; one for the whole process."""
    pool = DecoderPool()
    atexit.register(pool.close)
    return pool
