from __future__ import annotations

import pytest

from triovision.collections.file_names import UniqueNames, relative_path, safe_file_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b/été 1.jpg", "été 1.jpg"),
        ("a\\b.jpg", "b.jpg"),
        ('w<h>a:t"?.jpg', "w_h_a_t__.jpg"),
        ("NUL.jpg", "_NUL.jpg"),
        ("com1", "_com1"),
        ("console.jpg", "console.jpg"),
        ("a/..", "photo"),
        ("", "photo"),
        ("tab\there\x00.jpg. ", "tabhere.jpg"),
    ],
)
def test_a_file_name_is_safe_everywhere(name: str, safe: str) -> None:
    assert safe_file_name(name) == safe


def test_a_long_name_keeps_its_extension() -> None:
    safe = safe_file_name("x" * 1000 + ".jpg")
    assert len(safe) == 150
    assert safe.endswith(".jpg")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("/etc/b.jpg", "etc/b.jpg"),
        ("../a/../../b.jpg", "a/b.jpg"),
        ("C:\\trip\\b.jpg", "trip/b.jpg"),
        ("..", "photo"),
        ("a  b.jpg", "a  b.jpg"),
        ("caf\udce9\x00.jpg", "caf?.jpg"),
    ],
)
def test_a_path_stays_inside_its_folder(name: str, path: str) -> None:
    assert relative_path(name) == path


def test_no_name_is_given_twice() -> None:
    names = UniqueNames()
    assert [names.take(name) for name in ("d/a.jpg", "d/A.JPG", "d/a.jpg", "e/a.jpg")] == [
        "d/a.jpg",
        "d/A (2).JPG",
        "d/a (3).jpg",
        "e/a.jpg",
    ]
