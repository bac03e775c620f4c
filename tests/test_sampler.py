"""P x K batches."""

import numpy as np
import pytest
from batches import check_batches
from hypothesis import given
from hypothesis import strategies as st

from auxreid.data.sampler import identity_batches


@given(
    st.lists(st.integers(1, 11), min_size=3, max_size=9),
    st.integers(2, 3),
    st.integers(2, 4),
    st.integers(0, 2**31),
)
def test_every_batch_has_p_identities_of_k_images_and_no_row_twice(sizes, p, k, seed):
    identities = np.repeat(np.arange(len(sizes)), sizes)
    batches = identity_batches(identities, p, k, np.random.default_rng(seed))
    check_batches(batches, identities, sizes, p, k)
    left = [max(1, size // k) for size in sizes]
    for batch in batches:
        for identity in np.unique(identities[batch]):
            left[identity] -= 1
    assert min(left) >= 0 and sum(chunks > 0 for chunks in left) < p  # walked until fewer than p were left


def test_too_few_identities_is_an_error():
    with pytest.raises(ValueError, match="needs 3 identities, the training frames have 2"):
        identity_batches(np.array([1, 1, 2, 2]), 3, 2, np.random.default_rng(0))
