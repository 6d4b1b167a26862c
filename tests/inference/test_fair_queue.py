from triovision.inference.fair_queue import FairQueue


def filled(capacity, **counts):
    queue = FairQueue(capacity)
    for client, count in counts.items():
        for number in range(count):
            queue.put(client, f"{client}{number}")
    return queue


def any_kind(_):
    return None


def test_clients_take_turns_however_many_items_one_has():
    queue = filled(100, a=5, b=1, c=2)
    assert queue.take(4, any_kind) == ["a0", "b0", "c0", "a1"]
    assert queue.take(100, any_kind) == ["c1", "a2", "a3", "a4"]
    assert queue.take(1, any_kind) == []


def test_a_newcomer_waits_for_one_item_of_each_client():
    queue = filled(100, a=50)
    queue.take(10, any_kind)
    queue.put("b", "b0")
    assert queue.take(2, any_kind) == ["a10", "b0"]


def test_items_of_another_kind_keep_their_turn():
    queue = FairQueue(100)
    for client, item in (("a", "x1"), ("b", "y1"), ("a", "x2"), ("c", "x3")):
        queue.put(client, item)
    assert queue.take(5, lambda item: item[0]) == ["x1", "x3", "x2"]
    assert queue.take(5, lambda item: item[0]) == ["y1"]
    assert len(queue) == 0


def test_a_client_may_hold_as_much_as_is_free():
    queue = FairQueue(8)
    assert queue.largest() == 4
    assert queue.has_room("a", 4)
    assert not queue.has_room("a", 5)
    for number in range(4):
        queue.put("a", number)
    assert not queue.has_room("a", 1)
    assert queue.has_room("b", 2)
    assert not queue.has_room("b", 3)
    queue.put("b", 1)
    assert queue.has_room("c", 1)


def test_a_queue_of_one_place_takes_one_item():
    queue = FairQueue(1)
    assert queue.has_room("a", 1)
    queue.put("a", 1)
    assert not queue.has_room("b", 1)


def test_an_item_can_leave():
    queue = filled(10, a=2, b=1)
    assert queue.remove("a", "a0")
    assert not queue.remove("a", "a0")
    assert queue.remove("b", "b0")
    assert not queue.remove("nobody", "a1")
    assert len(queue) == 1
    assert queue.take(9, any_kind) == ["a1"]
