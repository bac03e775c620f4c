"""The linear layer behind the encoder: where it starts, and how it is turned so that its first dimensions say most.

The similarity is the cosine of W x. An orthogonal W changes no cosine, so that a layer can begin as the encoder that
nobody touched: with W the principal axes of the features about the origin, in the order of the energy along them.
"""

import numpy as np
import torch
from torch import Tensor, nn


def principal_axes(features: Tensor, count: int) -> Tensor:
    """Orthonormal rows [count, d]: the axes of most energy of the features [n, d] about the origin, most first.

    Axes without energy follow where there are fewer images than `count`. Each points to where the sum of its components
    is positive, so that equal features give equal axes.

    Raises:
        ValueError: more axes than dimensions.
    """
    if count > features.shape[1]:
        raise ValueError(f"{count} axes were asked for, the features have {features.shape[1]} dimensions")
    wide = features.double()
    _, vectors = torch.linalg.eigh(wide.T @ wide)  # ascending
    axes = vectors.flip(1).T[:count]
    signs = torch.where(axes.sum(1) < 0, -1.0, 1.0).to(axes)
    return (axes * signs[:, None]).float()


def turn(layer: nn.Linear, features: Tensor) -> None:
    """Follow the layer by the rotation to the principal axes of what it makes of the features [n, d].

    No cosine changes; of all cuts to k dimensions the first k now lose the least energy of these embeddings.
    """
    with torch.no_grad():
        made = torch.nn.functional.normalize(layer(features))
        axes = principal_axes(made, layer.out_features)
        layer.weight.copy_(axes @ layer.weight)
        layer.bias.copy_(axes @ layer.bias)


class Whitening:
    """((1 - a) S + a tr(S)/d I)^(-1/2), symmetric [d, d] of mean eigenvalue 1, for any shrinkage a.

    S is the covariance [d, d] of features [n, d] within their identities (labels [n]): directions in which images of
    one individual differ count less. a = 1 is the encoder as it is.

    Raises:
        ValueError: no identity has two images.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray):
        _, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if len(counts) == len(labels):
            raise ValueError("no identity has two images: nothing is known of how images of one differ")
        means = np.zeros((len(counts), features.shape[1]))
        np.add.at(means, own, features.astype(np.float64))
        within = features - (means / counts[:, None])[own]
        self.values, self.axes = np.linalg.eigh(within.T @ within / (len(labels) - len(counts)))

    def matrix(self, shrinkage: float) -> np.ndarray:
        """float64 [d, d]; the shrinkage is above 0 up to 1."""
        level = self.values.mean()
        powers = ((1 - shrinkage) * np.maximum(self.values, 0) + shrinkage * level) ** -0.5
        return (self.axes * (powers / powers.mean())) @ self.axes.T
