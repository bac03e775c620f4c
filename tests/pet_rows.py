"""Generated photographs of dogs for a base, without a network."""

import numpy as np

from auxreid.lostpets.base.row import Header, Row

DIMENSIONS = 8
VOCABULARY = {"size": ("small", "large"), "ears": ("erect", "folded", "button")}
HEADER = Header("0123abcd", "a small model", DIMENSIONS, VOCABULARY)


def unit(rng: np.random.Generator, dimensions: int = DIMENSIONS) -> np.ndarray:
    """A direction."""
    drawn = rng.standard_normal(dimensions).astype(np.float32)
    return drawn / np.linalg.norm(drawn)


def pet_row(number: int, **facts) -> Row:
    """Three photographs of a dog, one after the other; the same number gives the same row."""
    rng = np.random.default_rng(number)
    probabilities = {name: rng.dirichlet(np.ones(len(words))) for name, words in VOCABULARY.items()}
    given = {"embedding": unit(rng), "probabilities": probabilities, "thumbnail": b"jpeg %d" % number}
    return Row(**{"frame": f"frame{number}", "dog": f"dog{number // 3}", **given, **facts})
