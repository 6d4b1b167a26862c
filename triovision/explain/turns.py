"""Turns of explanations: short, in the order of arrival, with a longest wait and a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from triovision.errors import ExplanationError, Message

OnStep = Callable[[float], object]
"""Progress callback: called between two turns with the fraction that is done. What it raises ends the explanation."""

_LATER: Final = Message("Try again in a moment, or choose a faster method")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationLimits:
    """Bounds on the time of one explanation.

    Attributes:
        wait_s: Longest wait for one turn, in seconds.
        total_s: Longest time of all turns and waits together, in seconds.
    """

    wait_s: float = 20.0
    total_s: float = 180.0


class Turns:
    """A lock that threads get in the order in which they asked, so that no one waits for more than a turn of each."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @property
    def taken(self) -> bool:
        """Whether a thread has the turn."""
        return self._taken

    def acquire(self, timeout_s: float) -> bool:
        """Wait for the turn; False if it did not come in time."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(timeout_s):
            return True
        with self._mutex:
            if mine.is_set():  # it came between the end of the wait and this line
                return True
            self._waiting.remove(mine)
            return False

    def release(self) -> None:
        """End the turn; the next thread in the row has it."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


TURNS: Final = Turns()
"""Explanations compute one at a time, whatever the model: they share the cores."""


@contextmanager
def taking_turns(model_id: str, turns: Turns, limits: ExplanationLimits, on_step: OnStep) -> Iterator[OnStep]:
    """Take a turn for the block, and yield a function that passes it on and takes the next one.

    Args:
        model_id: Name of the model in errors.
        turns: Turns that all explanations share.
        limits: Bounds on the time.
        on_step: Called between two turns.

    Raises:
        ExplanationError: If no turn comes in time, or the deadline is over.
    """
    end, held = time.monotonic() + limits.total_s, False

    def take() -> None:
        nonlocal held
        left_s = end - time.monotonic()
        if left_s <= 0:
            reason = Message("takes longer than {seconds} s for this explanation", seconds=f"{limits.total_s:g}")
            raise ExplanationError(model_id, reason, _LATER)
        held = turns.acquire(min(limits.wait_s, left_s))
        if not held:
            raise ExplanationError(model_id, Message("waits for other explanations that are being computed"), _LATER)

    def step(fraction: float) -> None:
        nonlocal held
        turns.release()
        held = False
        on_step(fraction)
        take()

    take()
    try:
        yield step
    finally:
        if held:
            turns.release()
