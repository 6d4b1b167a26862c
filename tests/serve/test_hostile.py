"""A short campaign of hostile uploads; `python -m benchmarks.hostile_uploads` is the long one."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks import hostile_uploads
from tests.serve.colour_model import ColourModel, jpeg
from triovision import Client, read_photo


# A form that is refused while it is parsed is left to the garbage collector; of its files, it holds memory alone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_server_outlives_hostile_uploads(make_app, serve_app, monkeypatch):
    monkeypatch.setattr(hostile_uploads, "SLOW_EVERY", 40)
    url = serve_app(make_app(body_s=0.5, max_request_bytes=5_000_000))
    port, photo = int(url.rpartition(":")[2]), jpeg((9, 8, 7))
    with ThreadPoolExecutor(8) as threads:
        outcomes = Counter(threads.map(lambda number: hostile_uploads.send(port, number), range(160)))
    statuses = {outcome.split(" ")[1] for outcome in outcomes}
    assert "200" in statuses
    assert statuses <= {"200", "400", "404", "405", "408", "413", "422", "431", "closed"}
    assert outcomes["slow 408"] == 4
    with Client(url) as client:
        assert client.predict([("x", photo)]) == [ColourModel("colour.a").predict([read_photo(photo, "x")])[0]]
