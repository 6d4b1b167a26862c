"""Installation of the worldwide model in one background thread, shared by all browser sessions."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum, auto

from triovision.errors import Message, ModelError, TrioVisionError
from triovision.transfer import Transfer

_logger = logging.getLogger(__name__)
_WINDOW_S, _MIN_INTERVAL_S = 10.0, 0.25


class Step(Enum):
    """Step of an installation."""

    WAITING = auto()
    DOWNLOADING = auto()
    PREPARING = auto()
    DONE = auto()
    CANCELLED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of an installation.

    Attributes:
        step: Present step.
        done: Bytes downloaded, or positions prepared.
        total: Number of bytes or positions; 0 while unknown.
        per_second: Present rate, in bytes or positions per second.
        stopping: Whether it was cancelled and its thread still runs.
        error: Error of a failed installation.
    """

    step: Step = Step.WAITING
    done: int = 0
    total: int = 0
    per_second: float = 0.0
    stopping: bool = False
    error: TrioVisionError | None = None

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self.step in {Step.DOWNLOADING, Step.PREPARING}

    @property
    def seconds_left(self) -> float | None:
        """Remaining time at the present rate; None while no data arrive."""
        return (self.total - self.done) / self.per_second if self.per_second > 0 else None


class RateEstimator:
    """Growth rate of a counter over the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, at_s: float, done: int) -> None:
        """Record the counter at a time; samples closer than 0.25 s to the last one are dropped."""
        if not self._samples or at_s - self._samples[-1][0] >= _MIN_INTERVAL_S:
            self._samples.append((at_s, done))
        while len(self._samples) > 1 and at_s - self._samples[0][0] > _WINDOW_S:
            self._samples.popleft()

    def per_second(self, at_s: float, done: int) -> float:
        """Growth per second; 0 without a sample in the last ten seconds."""
        recent = [sample for sample in self._samples if at_s - sample[0] <= _WINDOW_S]
        if not recent or at_s <= recent[0][0]:
            return 0.0
        return (done - recent[0][1]) / (at_s - recent[0][0])


class _CancelledError(Exception):
    """Cancellation by a reader, raised between two batches of positions."""


class Installation:
    """Downloads and prepares the worldwide model in a thread. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress = Progress()
        self._rate = RateEstimator()
        self._transfer = Transfer()

    @property
    def progress(self) -> Progress:
        """Present progress, with its rate."""
        with self._lock:
            now = self._progress
            return replace(now, per_second=self._rate.per_second(time.monotonic(), now.done))

    def start(self) -> None:
        """Start the thread, or resume an earlier installation. Does nothing while the thread runs."""
        with self._lock:
            if self._progress.running:
                return
            self._transfer, self._rate, self._progress = Transfer(), RateEstimator(), Progress(Step.DOWNLOADING)
            # A daemon, so that Ctrl-C in the terminal ends the server; downloaded data are kept.
            threading.Thread(target=self._work, name="install", daemon=True).start()

    def cancel(self) -> None:
        """Stop the thread at the next bytes or batch; downloaded data are kept."""
        with self._lock:
            if self._progress.running:
                self._transfer.stop()
                self._progress = replace(self._progress, stopping=True)

    def _work(self) -> None:
        end, error = Step.DONE, None
        try:
            self._install()
        except _CancelledError:
            end = Step.CANCELLED
        except TrioVisionError as exc:
            end, error = (Step.CANCELLED, None) if self._transfer.stopped else (Step.FAILED, exc)
        except Exception as exc:
            _logger.exception("the installation ended")
            end, error = (
                Step.FAILED,
                ModelError("installation", Message("ended with an error ({why})", why=exc), Message("Try again")),
            )
        with self._lock:
            self._progress = replace(self._progress, step=end, stopping=False, error=error)

    def _install(self) -> None:
        from triovision.inference import registry  # noqa: PLC0415 - imports PyTorch
        from triovision.inference.geoclip import installation, loading, release  # noqa: PLC0415

        card = release.released_card()
        folder = installation.install(card, registry.install_folder(), self._report, self._transfer)
        self._check()
        with self._lock:
            self._rate, self._progress = RateEstimator(), replace(self._progress, step=Step.PREPARING, done=0, total=0)
        gallery, _ = loading.load_gallery(folder, card)
        self._check()
        loading.position_embeddings(card, gallery, self._report_positions)

    def _report(self, done: int, total: int) -> None:
        with self._lock:
            self._rate.add(time.monotonic(), done)
            self._progress = replace(self._progress, done=done, total=total)

    def _report_positions(self, done: int, total: int) -> None:
        self._report(done, total)
        self._check()

    def _check(self) -> None:
        if self._transfer.stopped:
            raise _CancelledError


_SHARED = Installation()


def shared_installation() -> Installation:
    """Installation of this process. It outlives sessions and the clearing of Streamlit's caches."""
    return _SHARED
