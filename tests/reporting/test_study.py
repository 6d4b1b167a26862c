from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from triovision.errors import RecipeError
from triovision.reporting.study import read_study_figures


def test_a_study_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no study"):
        read_study_figures(tmp_path)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    study = optuna.create_study(storage=storage, study_name="study")
    with pytest.raises(RecipeError, match="without a finished trial"):
        read_study_figures(tmp_path)
    study.add_trial(optuna.trial.create_trial(value=0.5))
    with pytest.raises(RecipeError, match=r"another version.*Run the study again"):
        read_study_figures(tmp_path)
