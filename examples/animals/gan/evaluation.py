"""FID, KID and a classifier's judgement of made pictures, on the same scale as real photos and noise."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from tqdm import tqdm

from examples.animals.gan.recipe import Evaluation
from triovision.inference.device import choose_device
from triovision.inference.preprocessing import Preprocessing

#: Inverse strength of the L2 penalty of the classifier, on standardised features.
_STRENGTH = 0.003
_BATCH = 64


class Scores(BaseModel):
    """A set of pictures beside the training photos of the class.

    Attributes:
        pictures: Number of pictures.
        fid: Fréchet distance of the features (Heusel et al., 2017); too high for few pictures, so that only sets of the
            same size compare.
        kid: Kernel distance of the features (Bińkowski et al., 2018), without that bias; mean over random subsets.
        kid_std: Standard deviation over the subsets.
        taken_for_class: Fraction that the classifier takes for the class.
        nearest: Median over the pictures of the cosine similarity to the most similar training photo.
    """

    pictures: int
    fid: float
    kid: float
    kid_std: float
    taken_for_class: float
    nearest: float


class FeatureNetwork(nn.Module):
    """Pooled features of a backbone.

    Args:
        backbone: Network without a last layer, in evaluation mode.
        preprocessing: Its preprocessing, which enlarges pictures to its input.
    """

    def __init__(self, backbone: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.device = choose_device(None)
        self.backbone = backbone.to(self.device)
        self.preprocessing = preprocessing

    @torch.inference_mode()
    def forward(self, pictures_nchw: Tensor) -> Tensor:
        """Return features, shape `(n, d)`, of `uint8` pictures."""
        images = [self.preprocessing.image(picture.permute(1, 2, 0).numpy()) for picture in pictures_nchw]
        batch = self.preprocessing.normalise(torch.stack(images).to(self.device))
        features: Tensor = self.backbone(batch).float().cpu()
        return features

    def of_many(self, pictures_nchw: Tensor, name: str) -> Tensor:
        """Return the features of many pictures, with a progress bar under their name."""
        bar = tqdm(torch.split(pictures_nchw, _BATCH), f"features of {name}", unit="batch", disable=None)
        return torch.cat([self(batch) for batch in bar])


class Judge:
    """Binary classifier: logistic regression on frozen features.

    Args:
        positive: Features of training photos of the class, shape `(n, d)`.
        negative: Features of photos of the rest.
    """

    def __init__(self, positive: Tensor, negative: Tensor) -> None:
        regression = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=2000)
        self.classifier: Any = make_pipeline(StandardScaler(), regression)
        self.classifier.fit(*_labelled(positive, negative))

    def taken_for_class(self, features: Tensor) -> float:
        """Fraction of pictures that are taken for the class."""
        return float(self.classifier.predict(features.numpy()).mean())

    def measure(self, positive: Tensor, negative: Tensor) -> dict[str, float]:
        """Balanced accuracy and area under the ROC curve on held-out photos."""
        features, labels = _labelled(positive, negative)
        return {
            "balanced_accuracy": float(balanced_accuracy_score(labels, self.classifier.predict(features))),
            "auroc": float(roc_auc_score(labels, self.classifier.decision_function(features))),
        }


class Comparison:
    """Scores of sets of pictures against the training photos of the class.

    Args:
        reference: Features of the training photos, shape `(n, d)`.
        judge: Classifier of the class against the rest.
        evaluation: Subsets of KID.
    """

    def __init__(self, reference: Tensor, judge: Judge, evaluation: Evaluation) -> None:
        self.reference = reference
        self.judge = judge
        self.evaluation = evaluation
        self.fid = FrechetInceptionDistance(_Computed(reference.shape[1]), reset_real_features=False)
        self.fid.update(reference, real=True)

    def scores(self, features: Tensor) -> Scores:
        """Scores of the pictures with these features, shape `(n, d)`."""
        self.fid.update(features, real=False)
        fid = float(self.fid.compute())
        self.fid.reset()
        kid, kid_std = self._kid(features)
        return Scores(
            pictures=len(features),
            fid=fid,
            kid=kid,
            kid_std=kid_std,
            taken_for_class=self.judge.taken_for_class(features),
            nearest=float(self.similarities(features).amax(dim=1).median()),
        )

    def similarities(self, features: Tensor) -> Tensor:
        """Cosine similarity of each picture to each training photo, shape `(pictures, photos)`."""
        return nn.functional.normalize(features) @ nn.functional.normalize(self.reference).T

    def _kid(self, features: Tensor) -> tuple[float, float]:
        size = min(self.evaluation.kid_subset_size, len(features), len(self.reference))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save")  # some hundred features
            kid = KernelInceptionDistance(_Computed(features.shape[1]), self.evaluation.kid_subsets, size)
        kid.update(self.reference, real=True)
        kid.update(features, real=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # of the subsets
            mean, std = kid.compute()
        return float(mean), float(std)


class _Computed(nn.Identity):
    """Feature network for torchmetrics that is given the features themselves: each set is put through once."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def _labelled(positive: Tensor, negative: Tensor) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    return torch.cat([positive, negative]).numpy(), labels
