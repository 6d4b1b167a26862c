import pytest

from triovision.photo.names import spreadsheet_safe


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "  =1", "＝1"])  # noqa: RUF001
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe(text):
    assert spreadsheet_safe(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["a=1", "", "Zürich", -1.5, -3, True, None])
def test_numbers_and_other_texts_stay(cell):
    assert spreadsheet_safe(cell) is cell
