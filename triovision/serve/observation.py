"""Metrics for Prometheus, and logs as one JSON object per line, without names of files, places or addresses."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from triovision.inference.prediction_service import PredictionService

LOGGER: Final = logging.getLogger("triovision.serve")
_SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
_PHOTOS: Final = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "triovision_requests", "Answered requests.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "triovision_request_seconds", "Time of a request.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self._photos = Counter("triovision_photos", "Photos by outcome.", ("outcome",), registry=self.registry)
        self._batch_photos = Histogram(
            "triovision_batch_photos", "Photos in a forward pass.", buckets=_PHOTOS, registry=self.registry
        )
        self._batch_seconds = Histogram(
            "triovision_batch_seconds", "Time of a forward pass.", buckets=_SECONDS, registry=self.registry
        )
        self._waiting = Gauge("triovision_waiting_photos", "Photos that wait for the model.", registry=self.registry)

    def watch(self, service: PredictionService) -> None:
        """Read the number of waiting photos from a service."""
        self._waiting.set_function(lambda: service.waiting)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_photos(self, outcome: str, count: int) -> None:
        """Count photos: `predicted`, or the class of their error."""
        self._photos.labels(outcome).inc(count)

    def count_batch(self, photos: int, seconds: float) -> None:
        """Count a forward pass."""
        self._batch_photos.observe(photos)
        self._batch_seconds.observe(seconds)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class JsonLines(logging.Formatter):
    """Formatter of one JSON object per line.

    An exception is named by its class and the places in the code: its message may hold the name of a file.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= getattr(record, "values", {})
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            line["exception"] = record.exc_info[0].__name__
            line["at"] = [f"{frame.filename}:{frame.lineno}" for frame in frames[-5:]]
        return json.dumps(line, ensure_ascii=True)


def log_json() -> None:
    """Send all logs of this process to standard error, as JSON lines; only our own from level INFO."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("triovision.serve", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
