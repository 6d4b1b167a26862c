from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from triovision.errors import PhotoError
from triovision.inference import CountryEngine
from triovision.inference.batch import predict_files, read_photo_file
from triovision.photo import PhotoLimits
from triovision.results import Photo, Prediction


def test_answers_come_in_order_and_a_refusal_is_one_of_them(engine: CountryEngine, photo_folder: Path) -> None:
    paths = [photo_folder / name for name in ("3.jpg", "note.jpg", "gone.jpg", "0.jpg")]
    answers = list(predict_files(engine, paths, top_k=1, batch_size=2))
    assert [path for path, _ in answers] == paths
    assert [type(outcome) for _, outcome in answers] == [Prediction, PhotoError, PhotoError, Prediction]
    assert "gone.jpg" in str(answers[2][1])


def test_a_batch_of_refusals_does_not_end_the_work(engine: CountryEngine, photo_folder: Path) -> None:
    paths = [photo_folder / "note.jpg"] * 3 + [photo_folder / "1.jpg"]
    outcomes = [outcome for _, outcome in predict_files(engine, paths, batch_size=2)]
    assert isinstance(outcomes[-1], Prediction)


def test_files_are_read_only_a_little_ahead(photo_folder: Path, engine: CountryEngine) -> None:
    asked = 0

    def endless() -> object:
        nonlocal asked
        while True:
            asked += 1
            yield photo_folder / "0.jpg"

    answers = predict_files(engine, endless(), batch_size=2)  # type: ignore[arg-type]
    for _ in range(4):
        next(answers)
    assert asked <= 8


def test_photos_go_through_the_network_in_batches_that_grow_to_the_limit(
    engine: CountryEngine, photo_folder: Path
) -> None:
    sizes: list[int] = []

    class Counting:
        card = engine.card
        country_similarity = engine.country_similarity

        def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
            sizes.append(len(photos))
            return engine.predict(photos, top_k)

    photos = sorted(photo_folder.glob("[0-5].jpg")) * 2
    list(predict_files(Counting(), photos, batch_size=4))
    assert sizes == [1, 2, 4, 4, 1]


def test_a_file_over_the_limit_is_refused_before_it_is_read_whole(photo_folder: Path) -> None:
    with pytest.raises(PhotoError, match=r"0\.jpg"):
        read_photo_file(photo_folder / "0.jpg", PhotoLimits(max_bytes=100))
