"""Classes where identity is unknown: clusters of the pretrained encoder's features, as Unicom has them."""

import numpy as np


def cluster_classes(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The cluster of each of n features of unit length, int64 [n] in 0..k-1; k is `count`, or n / 2 if that is less.

    k-means of the features [n, d]. Clusters are numbered in the order of their first image, so that equal partitions
    have equal numbers.

    Raises:
        ValueError: fewer than four features, of which no two clusters of two can be made.
    """
    if len(features) < 4:
        raise ValueError(f"{len(features)} images are too few for clusters, at least 4 are needed")
    from sklearn.cluster import KMeans

    found = KMeans(min(count, len(features) // 2), n_init=1, random_state=seed).fit_predict(features)
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number].astype(np.int64)
