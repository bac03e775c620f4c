"""The linear layer behind the encoder: where it starts, and how it is turned so that its first dimensions say most.

The similarity is the cosine of W x. An orthogonal W changes no cosine, so that a layer can begin as the encoder that
nobody touched: with W the principal axes of the features about the origin, in the order of the energy along them.
"""

import numpy as np
import torch
from torch import Tensor


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


def turned(weight: Tensor, features: Tensor) -> Tensor:
    """`weight` [e, d] followed by the rotation to the principal axes of what it makes of the features [n, d].

    No cosine changes; of all cuts to k dimensions the first k now lose the least energy of these embeddings.
    """
    made = torch.nn.functional.normalize(features @ weight.T)
    return principal_axes(made, len(weight)) @ weight


def whitening(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> np.ndarray:
    """((1 - a) S + a tr(S)/d I)^(-1/2), float64 [d, d], of mean eigenvalue 1; a is the shrinkage.

    S is the covariance [d, d] of the features [n, d] within their identities (labels [n]): directions in which images
    of one individual differ count less. a = 1 is the encoder as it is.

    Raises:
        ValueError: no identity has two images.
    """
    if len(np.unique(labels)) == len(labels):
        raise ValueError("no identity has two images: nothing is known of how images of one differ")
    _, own = np.unique(labels, return_inverse=True)
    counts = np.bincount(own)
    means = np.zeros((len(counts), features.shape[1]))
    np.add.at(means, own, features.astype(np.float64))
    within = features - (means / counts[:, None])[own]
    scatter = within.T @ within / (len(labels) - len(counts))
    level = np.trace(scatter) / len(scatter)
    values, vectors = np.linalg.eigh((1 - shrinkage) * scatter + shrinkage * level * np.eye(len(scatter)))
    powers = np.maximum(values, 1e-12 * level) ** -0.5
    return (vectors * (powers / powers.mean())) @ vectors.T
