"""P x K batches: P identities, K images of each (THESIS section 3, last line of the reference settings)."""

import numpy as np


def identity_batches(identities: np.ndarray, p: int, k: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch of batches of p * k rows.

    Every identity's rows are shuffled and cut into chunks of k (an identity of fewer than k rows repeats some of them;
    a remainder is left out). A batch takes one chunk each of p random identities that still have one, until fewer than
    p identities are left.

    Args:
        identities: of every row [n].

    Raises:
        ValueError: there are fewer than p identities.
    """
    chunks = {identity: _chunks(np.flatnonzero(identities == identity), k, rng) for identity in np.unique(identities)}
    if len(chunks) < p:
        raise ValueError(f"a batch needs {p} identities, the training frames have {len(chunks)}")
    batches = []
    while len(chunks) >= p:
        chosen = rng.choice(np.array(list(chunks)), size=p, replace=False)
        batches.append(np.concatenate([chunks[identity].pop() for identity in chosen]))
        chunks = {identity: rest for identity, rest in chunks.items() if rest}
    return batches


def _chunks(rows: np.ndarray, k: int, rng: np.random.Generator) -> list[np.ndarray]:
    if len(rows) < k:
        rows = rng.choice(rows, size=k, replace=True)
    rows = rng.permutation(rows)
    return [rows[start : start + k] for start in range(0, len(rows) - k + 1, k)]
