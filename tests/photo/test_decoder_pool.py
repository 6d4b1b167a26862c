"""Decoder processes that die, hang or take too much memory cost one photo and nothing else.

The faults are real ones, in a decoder program that obeys the name of the photo.
"""

import contextlib
import gc
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from triovision.errors import PhotoError
from triovision.photo import DecoderPool, PhotoLimits, decoder_process, read_photo

ROOT = Path(__file__).resolve().parents[2]
FAULTY = """
import ctypes, os, signal, sys, time
from triovision.photo import decoder_worker

class Half:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)

def read(data, name, limits):
    if name == "segfault":
        ctypes.string_at(0)
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "half":
        return bytes(1_000_000), Half()
    if name == "sleep":
        time.sleep(600)
    if name == "spin":
        while True:
            pass
    if name == "memory":
        return bytearray(400_000_000)
    if name == "answer":
        print("not an answer", flush=True)
    if name == "noise":
        os.write(2, b"noise\\n" * 1000 + b"\\x1b[2Jescape\\n")
    if name == "modules":
        raise decoder_worker.PhotoError(name, " ".join(sys.modules), "")
    return real(data, name, limits)

real, decoder_worker.read_photo = decoder_worker.read_photo, read
decoder_worker.main()
"""


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setattr(decoder_process, "_COMMAND", (sys.executable, "-P", "-c", FAULTY))


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(1) as pool:
        yield pool


@pytest.fixture
def png(encode, quadrants):
    return encode(quadrants, "PNG")


def children():
    """Process ids of children of this process; a zombie is one of them."""
    return {child for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()}


@contextlib.contextmanager
def nothing_left():
    """Checks that the block leaves no process and no open file behind."""
    gc.collect()  # closes what earlier tests left
    before, files, threads = children(), len(os.listdir("/proc/self/fd")), set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - threads:  # one closes its pipe as the process ends
        thread.join(60)
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == files


def assert_same(photo, expected):
    np.testing.assert_array_equal(photo.image_hwc, expected.image_hwc)
    fields = ("name", "original_width_px", "original_height_px", "format", "camera", "warnings")
    assert [getattr(photo, field) for field in fields] == [getattr(expected, field) for field in fields]
    assert not photo.image_hwc.flags.writeable


def encoded_photos(encode, noise):
    """A file of each format and kind of pixels that is read here, and files that are refused or mended."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    pillow_heif.register_heif_opener()
    files = {
        container: encode(noise, container, exif=exif)
        for container in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "MPO")
    }
    files |= {container: encode(noise, container) for container in ("GIF", "BMP")}
    files["CMYK"] = encode(noise.convert("CMYK"), "JPEG")
    files["profile"] = encode(noise, "PNG", icc_profile=profile)
    files["transparent"] = encode(noise.convert("RGBA"), "WEBP")
    files["16 bits"] = encode(Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16), "PNG")
    files["cut"] = files["JPEG"][:-20]
    return files


def test_the_photo_is_the_one_that_is_read_in_this_process(pool, encode, noise):
    for name, data in encoded_photos(encode, noise).items():
        assert_same(pool.read(data, name), read_photo(data, name))


@pytest.mark.parametrize("name", ["a.jpg", "", "\u202egpj.exe"])
@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n damaged", b"\xff\xd8\xff"])
def test_a_refusal_is_the_one_of_this_process(pool, name, data):
    with pytest.raises(PhotoError) as here:
        read_photo(data, name)
    with pytest.raises(PhotoError) as there:
        pool.read(data, name)
    assert there.value.args == here.value.args
    # What a page needs to show it in another language.
    assert there.value.reason.id == here.value.reason.id
    assert there.value.reason.params == here.value.reason.params


def test_limits_hold_in_the_other_process(pool, png):
    with pytest.raises(PhotoError, match="megapixels"):
        pool.read(png, "a.png", PhotoLimits(max_pixels=100))
    with pytest.raises(PhotoError, match="more than"):
        pool.read(png, "a.png", PhotoLimits(max_bytes=len(png) - 1))


@pytest.mark.parametrize("name", ["segfault", "kill", "half"])
@pytest.mark.usefixtures("faulty")
def test_a_crash_costs_one_photo(name, png):
    with nothing_left(), DecoderPool(1) as pool:
        for _ in range(2):
            with pytest.raises(PhotoError, match=f"{name}: the image decoder crashed"):
                pool.read(png, name)
            assert_same(pool.read(png, "next"), read_photo(png, "next"))


@pytest.mark.usefixtures("faulty")
def test_a_crash_leaves_the_photos_of_others_alone(png):
    names = ["a", "segfault", "b", "kill", "c", "d", "half", "e"] * 2
    with nothing_left(), DecoderPool(2) as pool:
        outcomes = list(pool.read_many(names, lambda name: (png, name), ahead=4))
    assert [name for name, _ in outcomes] == names
    crashed = [name for name, outcome in outcomes if isinstance(outcome, PhotoError)]
    assert crashed == ["segfault", "kill", "half"] * 2


def test_a_process_that_died_while_it_had_nothing_to_do_is_replaced(png):
    before = children()
    with DecoderPool(1) as pool:
        pool.read(png, "a")
        (process,) = children() - before
        os.kill(int(process), signal.SIGKILL)
        os.waitid(os.P_PID, int(process), os.WEXITED | os.WNOWAIT)
        assert_same(pool.read(png, "b"), read_photo(png, "b"))


@pytest.mark.parametrize("name", ["sleep", "spin"])
@pytest.mark.usefixtures("faulty")
def test_a_photo_that_takes_too_long_is_given_up(name, png):
    with nothing_left(), DecoderPool(1, deadline_s=5) as pool:
        with pytest.raises(PhotoError, match=f"{name}: reading it takes longer than the 5 seconds allowed"):
            pool.read(png, name)
        process = pool._processes[0]
        assert process._process is None  # killed
        pool.read(png, "next")


def test_the_deadline_holds_for_a_process_that_takes_no_bytes(png):
    before = children()
    with DecoderPool(1, deadline_s=5) as pool:
        pool.read(png, "a")
        (process,) = children() - before
        os.kill(int(process), signal.SIGSTOP)
        with pytest.raises(PhotoError, match="longer than"):
            pool.read(bytes(10_000_000), "b")  # far more than a pipe holds


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space")
@pytest.mark.usefixtures("faulty")
def test_memory_is_limited(encode, png):
    large = encode(Image.new("RGB", (4000, 4000)), "PNG")
    read_photo(large, "large")
    with DecoderPool(1, memory_bytes=30_000_000) as pool:
        with pytest.raises(PhotoError, match="more memory than"):
            pool.read(large, "large")
        with pytest.raises(PhotoError, match="crashed"):  # a fault of the program itself
            pool.read(png, "memory")
        pool.read(png, "next")


def read_and_fail(pool, png):
    with contextlib.suppress(PhotoError):
        pool.read(png, "sleep")


@pytest.mark.usefixtures("faulty")
def test_a_photo_that_waits_too_long_is_refused_with_a_remedy(png):
    with DecoderPool(1, wait_s=0.2, deadline_s=600) as pool:
        first = threading.Thread(target=read_and_fail, args=(pool, png))
        first.start()
        while not pool._free.empty():
            time.sleep(0.01)
        with pytest.raises(PhotoError, match=r"second: it waited too long .* Try again in a minute\."):
            pool.read(png, "second")
        pool.close()  # ends the first one
        first.join()
        pool.read(png, "third")


@pytest.mark.usefixtures("faulty")
def test_what_a_library_prints_is_logged_a_little_and_is_no_answer(png, caplog):
    with caplog.at_level(logging.WARNING), nothing_left(), DecoderPool(1) as pool:
        assert_same(pool.read(png, "answer"), read_photo(png, "answer"))
        for _ in range(3):
            pool.read(png, "noise")
    lines = [record.message for record in caplog.records]
    assert lines == ["image decoder: not an answer"] + ["image decoder: noise"] * 9


def test_photos_are_read_only_a_little_ahead_and_in_order(png):
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield len(taken) - 1

    with DecoderPool(2) as pool:
        outcomes = pool.read_many(endless(), lambda number: (png, str(number)), ahead=3)
        read = [next(outcomes) for _ in range(5)]
        outcomes.close()
    assert [(number, photo.name) for number, photo in read] == [(number, str(number)) for number in range(5)]
    assert len(taken) <= 8


def test_a_file_that_cannot_be_loaded_is_one_of_the_outcomes(pool, png):
    def load(name):
        if name == "gone":
            raise PhotoError(name, "cannot be opened", "Check the path")
        return png, name

    outcomes = [outcome for _, outcome in pool.read_many(["a", "gone", "b"], load, ahead=2)]
    assert [isinstance(outcome, PhotoError) for outcome in outcomes] == [False, True, False]


@pytest.mark.usefixtures("faulty")
def test_a_decoder_process_loads_neither_pytorch_nor_streamlit(png):
    with DecoderPool(1) as pool, pytest.raises(PhotoError) as loaded:
        pool.read(png, "modules")
    modules = set(loaded.value.reason.split())
    assert "PIL.Image" in modules
    assert modules.isdisjoint({"torch", "streamlit", "scipy", "pandas", "triovision.inference", "triovision.ui"})


PARENT = """
import os, sys, threading
from pathlib import Path
from triovision.photo import DecoderPool, decoder_process
decoder_process._COMMAND = (sys.executable, "-P", "-c", sys.argv[1])
pool, png = DecoderPool(2, deadline_s=8), Path(sys.argv[2]).read_bytes()
reading = threading.Thread(target=pool.read, args=(png, "sleep"), daemon=True)
reading.start()
while pool._free.qsize() > 1:
    pass
pool.read(png, "idle")
print(*(process._process.pid for process in pool._processes), flush=True)
sys.stdin.read()
"""


def test_processes_end_with_their_parent(png, tmp_path):
    (tmp_path / "a.png").write_bytes(png)
    command = [sys.executable, "-c", PARENT, FAULTY, tmp_path / "a.png"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        handles = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(handles) == 2
    for handle in handles:  # one has nothing to do, the other is in the middle of a photo
        assert select.select([handle], [], [], 120)[0]
        os.close(handle)


def test_a_pool_needs_a_process():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        DecoderPool(0)
