"""Median times of calls that run in turn, for ratios on a noisy machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def in_turn(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each call; the calls run in turn after a warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for counted in [False] + [True] * rounds:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if counted:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}
