"""Image side of GeoCLIP: logits of positions and of countries."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GeoClipNetwork(nn.Module):
    """Logits of `batch_nchw` ("GeoCLIP", Vivanco Cepeda et al., 2023, section 3).

    A position's logit is the scaled cosine between the image's embedding and its own. A country's logit is the
    logarithm of the sum of its positions' exponentials, so that the softmax over countries is the sum of the softmax
    over positions.

    Args:
        vision: CLIP's image tower with its projection (`transformers.CLIPVisionModelWithProjection`).
        projection: From CLIP's 768 features to the 512 that positions have.
        gallery: Embedding of each position, of length one, `float32` of shape `(n_positions, 512)`.
        country_index: Number of each position's country, `int64` of shape `(n_positions,)`.
        n_labels: Number of countries.
        logit_scale: Factor on the cosines.
    """

    gallery: Tensor
    country_index: Tensor

    def __init__(
        self,
        vision: nn.Module,
        projection: nn.Module,
        gallery: Tensor,
        country_index: Tensor,
        n_labels: int,
        logit_scale: float,
    ) -> None:
        super().__init__()
        self.vision = vision
        self.projection = projection
        self.register_buffer("gallery", gallery, persistent=False)
        self.register_buffer("country_index", country_index, persistent=False)
        self.n_labels = n_labels
        self.logit_scale = logit_scale

    def position_logits(self, batch_nchw: Tensor) -> Tensor:
        """Return the logit of each position, shape `(n, n_positions)`."""
        return self._similarity(self.vision(pixel_values=batch_nchw).image_embeds)

    def forward(self, batch_nchw: Tensor) -> Tensor:
        """Return the logit of each country, shape `(n, n_labels)`; minus infinity for one without a position."""
        return self._by_country(self.position_logits(batch_nchw))

    def attend(self, batch_nchw: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the logits with the attention weights of every layer.

        The vision tower must use eager attention: the fused implementations do not return the weights.

        Returns:
            Logits `(n, n_labels)`, and for each layer its attention `(n, heads, tokens, tokens)`, as nodes of the
            graph. The first token is the class token, the others are patches, row by row.
        """
        output = self.vision(pixel_values=batch_nchw, output_attentions=True)
        return self._by_country(self._similarity(output.image_embeds)), tuple(output.attentions)

    def _similarity(self, image_embeds: Tensor) -> Tensor:
        image = F.normalize(self.projection(image_embeds), dim=1)
        return self.logit_scale * (image @ self.gallery.T)

    def _by_country(self, position_logits: Tensor) -> Tensor:
        n = len(position_logits)
        index = self.country_index.expand(n, -1)
        lowest = torch.full((n, self.n_labels), -torch.inf, device=position_logits.device)
        highest = lowest.scatter_reduce(1, index, position_logits.detach(), "amax")
        sums = torch.zeros_like(highest).scatter_add(1, index, (position_logits - highest.gather(1, index)).exp())
        return sums.log() + highest
