"""k-reciprocal re-ranking of candidates whose likeness is one of several terms."""

import numpy as np

from auxreid.evaluation.reranking import reranked_distances


def handed_out(visual: np.ndarray, query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """The visual terms [q, m] of each query by itself, the same values in the order of its re-ranked distances: that
    says which candidate is nearer, the calibration how much it is worth to be the nearest, the second, ...

    Args:
        query, gallery: embeddings float32 [q, d], [m, d]
    """
    found = np.empty_like(visual)
    for row, values in enumerate(visual):
        order = np.argsort(reranked_distances(query[[row]], gallery)[0], kind="stable")
        found[row, order] = np.sort(values)[::-1]
    return found
