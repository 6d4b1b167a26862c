import threading

from triovision.explain.turns import Turns

SOON_S = 60


def waiting(turns, count):
    """Wait until so many threads wait."""
    pause = threading.Event()
    while len(turns._waiting) < count:
        pause.wait(0.005)


def test_turns_come_in_the_order_of_asking():
    turns, order = Turns(), []
    assert turns.acquire(0)

    def work(number):
        assert turns.acquire(SOON_S)
        order.append(number)
        turns.release()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        waiting(turns, number + 1)
    turns.release()
    for thread in threads:
        thread.join(SOON_S)
    assert order == [0, 1, 2, 3, 4]
    assert not turns.taken


def test_who_waited_in_vain_has_no_place_in_the_row():
    turns = Turns()
    assert turns.acquire(0)
    assert not turns.acquire(0.01)
    turns.release()
    assert not turns.taken
    assert turns.acquire(0)


def test_a_turn_that_is_passed_on_is_never_free_in_between():
    turns = Turns()
    assert turns.acquire(0)
    other = threading.Thread(target=lambda: turns.acquire(SOON_S))
    other.start()
    waiting(turns, 1)
    turns.release()
    assert turns.taken
    assert not turns.acquire(0)
    other.join(SOON_S)
