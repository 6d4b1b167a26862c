"""Crash-proof process pool: it survives tasks that kill their process."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for_handles
from typing import TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")


def map_in_processes(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    chunk_size: int,
    on_crash: Callable[[Task], Result],
) -> Iterator[list[Result]]:
    """Apply a function to tasks in parallel processes; a task that kills its process is identified and skipped.

    Only a few chunks run at a time, because results take memory.

    Args:
        function: Picklable function.
        tasks: Its arguments, picklable.
        workers: Number of processes; 0 runs the tasks in this one.
        chunk_size: Number of tasks per chunk.
        on_crash: Returns the result of a task that killed its process.

    Yields:
        Results of one chunk; chunks in any order.
    """
    chunks = deque(tuple(tasks[start : start + chunk_size]) for start in range(0, len(tasks), chunk_size))
    if workers == 0:
        yield from (_run_chunk(function, chunk) for chunk in chunks)
        return
    while chunks:
        unfinished = yield from _run_until_crash(function, chunks, workers)
        suspects: deque[tuple[Task, ...]] = deque((task,) for chunk in unfinished for task in chunk)
        while suspects:
            # A single process runs the tasks in order, so the first unfinished one killed it.
            crashed = yield from _run_until_crash(function, suspects, 1)
            if crashed:
                yield [on_crash(crashed[0][0])]
                suspects.extendleft(reversed(crashed[1:]))


def initialise_worker(threads: int) -> None:
    """Set the threads of torch, and let this worker process end with its parent.

    Workers hold both ends of their queues, and would wait for ever for the tasks of a parent that was killed.
    """
    torch.set_num_threads(threads)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait_for_handles([sentinel])
    os._exit(1)


def _run_until_crash(
    function: Callable[[Task], Result], chunks: deque[tuple[Task, ...]], workers: int
) -> Generator[list[Result], None, list[tuple[Task, ...]]]:
    """Run chunks from the left until all are done or a process dies; returns the started but unfinished ones."""
    # Spawned, not forked: a fork copies locks that other threads may hold.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initialise_worker, (1,))
    running: dict[Future[list[Result]], tuple[Task, ...]] = {}
    unfinished: list[tuple[Task, ...]] = []
    try:
        while (chunks or running) and not unfinished:
            while chunks and len(running) < 2 * workers + 1:
                with _without_sigint():
                    future = pool.submit(_run_chunk, function, chunks[0])
                running[future] = chunks.popleft()
            done = wait(running, return_when=FIRST_COMPLETED).done
            for future in [future for future in running if future in done]:  # in the order of submission
                chunk = running.pop(future)
                try:
                    results = future.result()
                except BrokenProcessPool:
                    unfinished.append(chunk)
                else:
                    yield results
    except BrokenProcessPool:
        pass  # a process died between two results
    finally:
        pool.shutdown(cancel_futures=True)
    return [*unfinished, *running.values()]


@contextmanager
def _without_sigint() -> Iterator[None]:
    """Processes that start meanwhile never see Ctrl-C: their parent ends them, and they would print tracebacks."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_chunk(function: Callable[[Task], Result], chunk: Sequence[Task]) -> list[Result]:
    return [function(task) for task in chunk]
