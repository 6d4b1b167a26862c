import threading
import time
from collections.abc import Iterator

import pytest

from triovision.errors import ModelError
from triovision.inference import registry
from triovision.inference.geoclip import installation, loading
from triovision.transfer_limits import DownloadError
from triovision.ui.installation import Installation, Progress, RateEstimator, Step, shared_installation

SOON_S = 30


class Work:
    """Replacement for download and preparation; the test releases each step."""

    def __init__(self):
        self.download, self.embed = threading.Event(), threading.Event()
        self.begun = threading.Semaphore(0)
        self.calls = 0
        self.fault = None

    def install(self, card, models, on_progress, transfer):
        self.calls += 1
        on_progress(30, 100)
        self.begun.release()
        assert self.download.wait(SOON_S)
        if self.fault is not None:
            raise self.fault
        if transfer.stopped:
            raise DownloadError(card.id, "stopped on request", "Again")
        return models / card.id

    def position_embeddings(self, _card, _gallery, on_progress):
        on_progress(1, 4)
        self.begun.release()
        assert self.embed.wait(SOON_S)
        on_progress(2, 4)


@pytest.fixture
def work(monkeypatch, tmp_path) -> Iterator[Work]:
    work = Work()
    monkeypatch.setattr(registry, "install_folder", lambda: tmp_path)
    monkeypatch.setattr(installation, "install", work.install)
    monkeypatch.setattr(loading, "load_gallery", lambda *_: (None, None))
    monkeypatch.setattr(loading, "position_embeddings", work.position_embeddings)
    yield work
    work.download.set()
    work.embed.set()


def settle(job):
    deadline = time.monotonic() + SOON_S
    while job.progress.running and time.monotonic() < deadline:
        time.sleep(0.01)


def begun(work):
    assert work.begun.acquire(timeout=SOON_S)


def test_repeated_starts_download_and_prepare_once(work):
    job = Installation()
    assert job.progress == Progress()
    for _ in range(3):
        job.start()
    begun(work)
    assert (job.progress.step, job.progress.done, job.progress.total) == (Step.DOWNLOADING, 30, 100)
    assert job.progress.running
    work.download.set()
    begun(work)
    assert (job.progress.step, job.progress.done, job.progress.total) == (Step.PREPARING, 1, 4)
    job.start()
    work.embed.set()
    settle(job)
    assert (job.progress.step, work.calls) == (Step.DONE, 1)
    assert not job.progress.running


@pytest.mark.parametrize("step", ["download", "embed"])
def test_cancel_stops_either_step_and_start_resumes(work, step):
    job = Installation()
    job.cancel()  # nothing to cancel
    job.start()
    begun(work)
    if step == "embed":
        work.download.set()
        begun(work)
    job.cancel()
    assert job.progress.stopping
    assert job.progress.running  # until the thread has ended
    getattr(work, step).set()
    settle(job)
    assert (job.progress.step, job.progress.stopping, job.progress.error) == (Step.CANCELLED, False, None)
    work.embed.set()
    job.start()
    settle(job)
    assert (job.progress.step, work.calls) == (Step.DONE, 2)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (ModelError("disk", "is full", "Free it"), "disk: is full. Free it."),
        (OSError("odd"), "ended with an error (odd)"),
    ],
)
def test_an_error_is_kept_until_the_next_start(work, fault, message):
    job, work.fault = Installation(), fault
    work.download.set()
    job.start()
    settle(job)
    assert job.progress.step is Step.FAILED
    assert message in str(job.progress.error)
    work.fault = None
    work.embed.set()
    job.start()
    settle(job)
    assert (job.progress.step, job.progress.error) == (Step.DONE, None)


def test_a_process_has_one_installation():
    assert shared_installation() is shared_installation()


def test_the_rate_covers_the_last_ten_seconds():
    rate = RateEstimator()
    assert rate.per_second(0, 0) == 0
    rate.add(0, 1000)
    assert rate.per_second(0, 1000) == 0
    rate.add(0.1, 9999)  # dropped: too soon after the last sample
    rate.add(4, 1400)
    assert rate.per_second(4, 1400) == 100
    rate.add(12, 3000)
    assert rate.per_second(12, 3000) == 200  # since second 4
    assert rate.per_second(20, 3000) == 0  # nothing since second 12
    assert rate.per_second(40, 3000) == 0


def test_the_time_left_follows_from_the_rate():
    assert Progress(Step.DOWNLOADING, done=40, total=100, per_second=20).seconds_left == 3
    assert Progress(Step.DOWNLOADING, done=40, total=100).seconds_left is None
