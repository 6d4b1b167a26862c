import ast
from pathlib import Path

import pytest

import triovision.photo
from triovision.errors import ModelError
from triovision.ui.reports import in_words, report
from triovision.ui.translation import get_translator

FRENCH = get_translator("fr")


def texts_of_refusals():
    """Reasons and remedies that `read_photo` can give, with 7 for what is filled in."""
    for path in Path(triovision.photo.__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        named = {
            node.targets[0].id: node.value
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in nodes:
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_RefusedError", "PhotoError"):
                for arg in node.args[-2:]:
                    value = named.get(arg.id) if isinstance(arg, ast.Name) else arg
                    if isinstance(value, ast.Constant):
                        yield value.value
                    if isinstance(value, ast.JoinedStr):
                        yield "".join(part.value if isinstance(part, ast.Constant) else "7" for part in value.values)


def test_the_refusals_are_found():
    assert {"the file is empty", "Export the photo as 7", "Use a smaller copy of the photo"} <= set(texts_of_refusals())


@pytest.mark.parametrize("text", sorted(set(texts_of_refusals())))
def test_every_refusal_has_french_words(text):
    assert in_words(text, FRENCH) != text


def test_what_is_filled_in_is_translated_too():
    assert (
        in_words("it is a video, which is not read here", FRENCH)
        == "c\u2019est une vidéo, ce qui n\u2019est pas lu ici"
    )
    remedy = in_words("Export the photo as JPEG, PNG or BMP", FRENCH)
    assert remedy == "Exportez la photo en JPEG, PNG ou BMP"


def test_unknown_texts_stay_as_they_are():
    assert in_words("odd {thing}", FRENCH) == "odd {thing}"


def test_a_report_cannot_write_markdown():
    error = ModelError("<b>x</b>", "is [odd](http://e)", "Do {this}")
    assert report(error, get_translator("en")) == r"**\<b\>x\</b\>**: is \[odd\]\(http\://e\). Do \{this\}."
