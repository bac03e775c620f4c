"""How alike photographs are, in spreads of what photographs of different dogs are in the same set."""

import numpy as np

ROUNDS = 4  # of leaving out pairs that are too alike to be of different dogs
OUTLYING = 3.0  # spreads, from which on they are
DECIMALS = 3  # that are kept, so that a sum in another order changes nothing
LEAST_SPREAD = 1e-3
CROWD = 16  # of a photograph's nearest others, from which on they are taken to be other dogs


def likeness(features: np.ndarray, together: np.ndarray) -> np.ndarray:
    """float32 [n, n], symmetric: see `thresholds.py` for its unit; the diagonal is zero.

    The cosines are of features without the set's mean, which is what all dogs have in common.

    Args:
        features: float32 [n, d].
        together: bool [n, n], pairs that are mostly of one dog and so tell nothing of different ones.
    """
    count = len(features)
    if count < 2:
        return np.zeros((count, count), np.float32)
    centred = _unit(_unit(features) - _unit(features).mean(axis=0))
    cosines = np.clip(centred @ centred.T, -1, 1)
    # Some looks, such as a dark dog before a dark ground, are rather like everything; that is taken off.
    crowd = -np.sort(-cosines, axis=1)[:, min(CROWD, count - 1)]
    cosines -= (crowd[:, None] + crowd[None]) / 2
    above = np.triu(~together, 1)
    centre, spread = background(cosines[above] if above.any() else cosines[np.triu_indices(count, 1)])
    alike = np.round((cosines - centre) / spread, DECIMALS).astype(np.float32)
    np.fill_diagonal(alike, 0)
    return np.maximum(alike, alike.T)


def background(cosines: np.ndarray) -> tuple[float, float]:
    """The middle and the spread of pairs of different dogs, among which some pairs are of one.

    Spreads are taken on the lower side, where pairs of one dog are not. At first half of the pairs are taken to be of
    one dog, as they are in a set of two; then those that are too alike are left out, and the rest is measured again.
    """
    kept = np.sort(cosines)
    half = kept[: max(1, (len(kept) + 1) // 2)]
    centre, spread = _middle(half)
    for _ in range(ROUNDS):
        few = kept[kept <= centre + OUTLYING * spread]
        centre, spread = _middle(few if len(few) else half)
    return centre, spread


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, centre = np.quantile(values, [0.1587, 0.5])
    return float(centre), float(max(centre - low, LEAST_SPREAD))


def _unit(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
