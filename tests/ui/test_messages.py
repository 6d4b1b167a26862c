import pickle

import pytest

from triovision.errors import Message, ModelError, PhotoError
from triovision.photo import read_photo
from triovision.ui.messages import report, translate
from triovision.ui.translation import get_translator

FRENCH = get_translator("fr")


def test_a_message_is_its_english_text():
    message = Message("it has {size} MB, more than the {most} MB allowed", size="31.0", most=30)
    assert message == "it has 31.0 MB, more than the 30 MB allowed"
    assert str(PhotoError("a.jpg", message, Message("Try again"))) == f"a.jpg: {message}. Try again."


def test_a_message_reaches_another_process():
    message = Message("it is {kind}, which is not supported", kind=Message("a video"))
    again = pickle.loads(  # noqa: S301 - our own bytes
        pickle.dumps(PhotoError("a", message, Message("Try again")))
    )
    assert translate(again.reason, FRENCH) == translate(message, FRENCH)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"\xff\xd8\xff", b"<svg"])
def test_a_refusal_of_a_photo_is_shown_in_french(data):
    with pytest.raises(PhotoError) as refused:
        read_photo(data, "a.jpg")
    for text in (refused.value.reason, refused.value.remedy):
        assert isinstance(text, Message)
        assert translate(text, FRENCH) != text


def test_parameters_are_translated_too():
    message = Message("it is {kind}, which is not supported", kind=Message("a video"))
    assert translate(message, FRENCH) == "c\u2019est une vidéo, ce qui n\u2019est pas pris en charge"
    remedy = Message("Export the photo as {formats}", formats=Message("{formats} or BMP", formats="JPEG, PNG"))
    assert translate(remedy, FRENCH) == "Exportez la photo en JPEG, PNG ou BMP"


def test_other_texts_stay_as_they_are():
    assert translate("odd {thing}", FRENCH) == "odd {thing}"


def test_a_report_cannot_write_markdown():
    error = ModelError("<b>x</b>", "is [odd](http://e)", "Do {this}")
    assert (
        report(error, get_translator("en")).replace("\u2060", "")
        == r"**\<b\>x\</b\>**: is \[odd\]\(http\://e\). Do \{this\}."
    )
