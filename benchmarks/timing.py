"""Ratios that hold on a noisy machine: the two sides run in turn, and medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def in_turn(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call, the calls taking turns, after one round that warms up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for counted in [False] + [True] * rounds:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if counted:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}
