import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.explain.tiny_models import RecordingNetwork
from triovision.explain.scores import Scorer, Target, mean_colour


def test_the_score_is_a_logit_or_the_difference_of_two():
    logits = torch.tensor([[1.0, 5, 2], [0, 3, 7]])
    assert Target(1).score(logits).tolist() == [5, 3]
    assert Target(1, 2).score(logits).tolist() == [3, -4]
    assert Target(1, 2).opposite(logits).tolist() == [-3, 4]


def test_a_scorer_counts_photos_and_remembers_the_largest_score():
    fractions = []
    score = Scorer(RecordingNetwork(lambda batch: batch.sum(dim=(2, 3))), Target(0, 1), 10, fractions.append)
    batch_nchw = torch.zeros(4, 3, 1, 1)
    batch_nchw[2, 1] = 6
    assert score(batch_nchw).tolist() == [0, 0, -6, 0]
    assert score(batch_nchw[:3] / 2).tolist() == [0, 0, -3]
    assert fractions == [0.4, 0.7]
    assert score.largest == 6


def test_the_baseline_is_the_mean_colour_of_each_photo():
    batch_nchw = torch.from_numpy(np.random.default_rng(0).random((2, 3, 4, 5), np.float32))
    plain_nchw = mean_colour(batch_nchw)
    assert plain_nchw.shape == batch_nchw.shape
    assert plain_nchw[1, 2].unique().item() == pytest.approx(batch_nchw[1, 2].mean().item())


def test_captum_is_imported_without_a_word_where_the_home_folder_cannot_be_written():
    code = "from triovision.explain.scores import captum_attr; print(captum_attr().Occlusion.__name__)"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    environment = kept | {"HOME": "/dev/null/home"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Occlusion"]
    assert done.stderr == ""
