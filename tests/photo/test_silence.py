import threading
import warnings

import pytest
from sklearn.ensemble import RandomForestClassifier

from triovision.photo.silence import decoder_warnings_silenced


def test_warnings_are_silent_inside_and_heard_outside():
    with decoder_warnings_silenced():
        warnings.warn("inside", UserWarning, stacklevel=1)
    with pytest.raises(UserWarning, match="outside"):
        warnings.warn("outside", UserWarning, stacklevel=1)


def warn_and_fail():
    with decoder_warnings_silenced():
        with decoder_warnings_silenced():
            warnings.warn("inner", UserWarning, stacklevel=1)
        warnings.warn("outer", UserWarning, stacklevel=1)
        raise KeyError


def test_blocks_nest_and_end_after_an_error():
    with pytest.raises(KeyError):
        warn_and_fail()
    with pytest.raises(UserWarning):
        warnings.warn("outside", UserWarning, stacklevel=1)


def test_other_threads_still_hear_their_warnings():
    heard = []

    def elsewhere():
        try:
            warnings.warn("elsewhere", UserWarning, stacklevel=1)
        except UserWarning as warning:
            heard.append(str(warning))

    with decoder_warnings_silenced():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert heard == ["elsewhere"]


def test_filters_of_others_are_left_alone():
    with decoder_warnings_silenced():
        pass
    before = list(warnings.filters)
    for _ in range(100):
        with decoder_warnings_silenced():
            pass
    assert list(warnings.filters) == before


def test_a_stricter_filter_set_later_does_not_break_in():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with decoder_warnings_silenced():
            warnings.warn("inside", UserWarning, stacklevel=1)


def test_a_library_may_copy_the_filters():
    with decoder_warnings_silenced():
        pass
    # Its trees are grown under a copy of the filters that are in force.
    forest = RandomForestClassifier(n_estimators=2).fit([[0.0], [1.0]] * 4, [0, 1] * 4)
    assert forest.predict([[0.0], [1.0]]).tolist() == [0, 1]
