"""What every way to draw P x K batches holds to."""

import numpy as np


def check_batches(batches, identities: np.ndarray, sizes, p: int, k: int) -> None:
    """Each batch has P identities of K images, and no row twice; identities [n], `sizes` their numbers of images."""
    for batch in batches:
        counts = np.unique(identities[batch], return_counts=True)[1]
        assert len(counts) == p and (counts == k).all()
    rows = np.concatenate(batches)
    large = rows[np.isin(identities[rows], np.flatnonzero(np.array(sizes) >= k))]
    assert len(set(large)) == len(large)  # only an identity with fewer than k images repeats any
