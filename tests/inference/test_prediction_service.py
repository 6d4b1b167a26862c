"""Batches across requests, turns, refusals, cancelled photos, faults and the end of the service."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from triovision.errors import BusyError, ModelFailure, PhotoError
from triovision.inference.prediction_service import PredictionService
from triovision.results import Photo

PIXELS = np.zeros((8, 8, 3), np.uint8)


def photo(name):
    return Photo(name=name, image_hwc=PIXELS, original_width_px=8, original_height_px=8, format="PNG")


def reads(*names):
    return [lambda name=name: photo(name) for name in names]


class Model:
    """Answers with the name; waits at its gate while that is closed, and fails on names with `poison`."""

    def __init__(self, model_id):
        self.card = SimpleNamespace(id=model_id)
        self.batches, self.gate, self.entered = [], threading.Event(), threading.Event()
        self.gate.set()

    def predict(self, photos, top_k):
        self.batches.append([one.name for one in photos])
        self.entered.set()
        assert self.gate.wait(60)
        if any("poison" in one.name for one in photos):
            raise ModelFailure(self.card.id, "failed", "Choose another model")
        return [(one.name, tuple(range(top_k))) for one in photos]


class Models:
    def __init__(self):
        self.known = {"a.a": Model("a.a"), "b.b": Model("b.b")}

    def get(self, model_id):
        return self.known[model_id]

    def run(self, model, work):
        return work(model)


@pytest.fixture
def models():
    return Models()


@pytest.fixture
def start(models, monkeypatch):
    """Starts services; they end with the test."""
    monkeypatch.setattr(
        "triovision.inference.prediction_service._cut", lambda answer, top_k: (answer[0], answer[1][:top_k])
    )
    made = []

    def begin(**options):
        made.append(PredictionService(models, **options))
        return made[-1]

    yield begin
    for model in models.known.values():
        model.gate.set()
    for service in made:
        service.close()


def held(service, model):
    """Close the model's gate behind one photo, which then runs."""
    model.gate.clear()
    model.entered.clear()
    (first,) = service.submit("first", model.card.id, reads("first"), 1)
    assert model.entered.wait(60)
    return first


def wait_until_ready(service, count):
    with service._changed:
        assert service._changed.wait_for(lambda: len(service._ready) == count, 60)


def test_each_photo_gets_its_own_answer_and_number_of_countries(start):
    service = start()
    three = service.submit("a", "a.a", reads("x", "y"), 3)
    one = service.submit("b", "a.a", reads("z"), 1)
    assert [future.result(60) for future in three] == [("x", (0, 1, 2)), ("y", (0, 1, 2))]
    assert one[0].result(60) == ("z", (0,))


def test_photos_that_wait_form_one_batch_across_clients(start, models):
    service, model = start(max_batch=4), models.known["a.a"]
    held(service, model)
    futures = [service.submit(client, "a.a", reads(client), 1)[0] for client in "abcde"]
    wait_until_ready(service, 4)
    model.gate.set()
    for future in futures:
        future.result(60)
    assert model.batches == [["first"], ["a", "b", "c", "d"], ["e"]]


def test_a_client_with_many_photos_does_not_starve_one_with_one(start, models):
    service, model = start(max_batch=2, max_waiting=2000), models.known["a.a"]
    held(service, model)
    many = service.submit("many", "a.a", reads(*map(str, range(900))), 1)
    wait_until_ready(service, 2)
    (single,) = service.submit("single", "a.a", reads("single"), 1)
    order = []
    for future in (*many, single):
        future.add_done_callback(lambda done: order.append(done.result()[0]))
    model.gate.set()
    for future in many:
        future.result(60)
    # Two photos were ready before it came, and one of the other client was being read or is taken in turn.
    assert order.index("single") <= 5


def test_models_do_not_share_a_batch(start, models):
    service, model = start(max_batch=8), models.known["a.a"]
    held(service, model)
    futures = [service.submit("a", name, reads(name), 1)[0] for name in ("b.b", "a.a", "b.b")]
    wait_until_ready(service, 3)
    model.gate.set()
    for future in futures:
        future.result(60)
    assert models.known["b.b"].batches == [["b.b"], ["b.b"]]  # the order of one client stays
    assert model.batches == [["first"], ["a.a"]]


def test_a_full_queue_refuses_all_photos_of_a_request_and_says_when_to_come_back(start, models):
    service, model = start(max_batch=1, max_waiting=4), models.known["a.a"]
    first = held(service, model)
    (ready,) = service.submit("a", "a.a", reads("ready"), 1)
    wait_until_ready(service, 1)
    service.submit("a", "a.a", reads("1", "2"), 1)
    with pytest.raises(BusyError, match="no room") as refusal:
        service.submit("a", "a.a", reads("3"), 1)
    assert refusal.value.retry_after_s >= 1
    with pytest.raises(BusyError, match="at most 2 photos"):
        service.submit("b", "a.a", reads("1", "2", "3"), 1)
    (newcomer,) = service.submit("b", "a.a", reads("b"), 1)
    model.gate.set()
    for future in (first, ready, newcomer):
        future.result(60)


def test_a_cancelled_photo_leaves_the_queue_unread(start, models):
    service, model = start(max_batch=1), models.known["a.a"]
    held(service, model)
    (ready,) = service.submit("a", "a.a", reads("ready"), 1)
    wait_until_ready(service, 1)
    cancelled, kept = service.submit("a", "a.a", [lambda: pytest.fail("was read"), *reads("kept")], 1)
    waiting = service.waiting
    assert cancelled.cancel()
    assert service.waiting == waiting - 1
    assert ready.cancel()  # read already, but not predicted
    model.gate.set()
    assert kept.result(60)[0] == "kept"
    assert model.batches == [["first"], ["kept"]]


def test_a_photo_that_cannot_be_read_costs_the_others_nothing(start):
    def refuse():
        raise PhotoError("x", "is no photo", "Choose another")

    def crash():
        raise ValueError("I/O operation on closed file")

    bad, worse, good = start().submit("a", "a.a", [refuse, crash, *reads("good")], 1)
    assert good.result(60)[0] == "good"
    assert isinstance(bad.exception(60), PhotoError)
    assert isinstance(worse.exception(60), ValueError)


def test_a_photo_on_which_the_model_fails_costs_the_others_of_its_batch_nothing(start, models):
    service, model = start(max_batch=8), models.known["a.a"]
    held(service, model)
    futures = service.submit("a", "a.a", reads("x", "poison", "y"), 1)
    wait_until_ready(service, 3)
    model.gate.set()
    assert [futures[0].result(60)[0], futures[2].result(60)[0]] == ["x", "y"]
    assert isinstance(futures[1].exception(60), ModelFailure)


def test_the_end_finishes_what_was_accepted_and_refuses_new_photos(start, models):
    service, model = start(max_batch=2), models.known["a.a"]
    first = held(service, model)
    accepted = service.submit("a", "a.a", reads(*map(str, range(9))), 1)
    ending = threading.Thread(target=service.close)
    ending.start()
    while not service.closed:
        pass
    with pytest.raises(BusyError, match="is ending"):
        service.submit("b", "a.a", reads("late"), 1)
    model.gate.set()
    ending.join(60)
    assert not ending.is_alive()
    assert [future.result(0)[0] for future in (first, *accepted)] == ["first", *map(str, range(9))]


def test_batches_are_reported(start):
    seen = []
    service = start(on_batch=lambda photos, seconds: seen.append((photos, seconds >= 0)))
    service.submit("a", "a.a", reads("x"), 1)[0].result(60)
    service.close()
    assert seen == [(1, True)]
