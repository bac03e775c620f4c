"""Drawn dogs for tests of the search: looks of photographs of which truth and noise are known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from auxreid.data.frames import Frames, FramesMeta, open_frames, write_frames
from auxreid.search.evidence import base_rates
from auxreid.search.examples import Calibrating
from auxreid.search.looks import Looks

VOCABULARY: Mapping[str, Sequence[str]] = {
    "color": ("black", "white", "brown", "grey"),
    "ears": ("erect", "semi_erect", "drop"),
}
RIGHT = 0.8  # the probability that a classifier's surest word is the true one, which it knows


def drawn_dogs(dogs: int, photographs: int, seed: int, noise: float = 2.0, dimensions: int = 24) -> Calibrating:
    """So many photographs of each dog, each in a sequence of its own.

    The embedding is the dog's own vector and `noise` times another one. Of each attribute a word is drawn that is right
    with RIGHT, else another, and has the probability RIGHT; the others share the rest. The classifier is calibrated.
    """
    rng = np.random.default_rng(seed)
    dog = np.repeat(np.arange(1, dogs + 1), photographs)
    own = rng.normal(size=(dogs, dimensions))[dog - 1]
    embedding = own + noise * rng.normal(size=own.shape)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    codes, probabilities = {}, {}
    for name, words in VOCABULARY.items():
        true = rng.integers(len(words), size=dogs)[dog - 1]
        wrong = (true + rng.integers(1, len(words), size=len(dog))) % len(words)
        said = np.where(rng.random(len(dog)) < RIGHT, true, wrong)
        values = np.full((len(dog), len(words)), (1 - RIGHT) / (len(words) - 1))
        values[np.arange(len(dog)), said] = RIGHT
        codes[name], probabilities[name] = true, values.astype(np.float32)
    return Calibrating(
        looks=Looks(embedding.astype(np.float32), probabilities),
        dog=dog,
        sequence=np.arange(len(dog)),
        vocabulary=VOCABULARY,
        priors={name: base_rates(codes[name], len(words)) for name, words in VOCABULARY.items()},
        confusions={name: np.eye(len(words)) for name, words in VOCABULARY.items()},
        codes=codes,
    )


def drawn_frames(path: Path, known: Calibrating, queries: int = 1, unlabelled: Sequence[int] = ()) -> Frames:
    """Test frames of drawn dogs, a flat picture each: of every dog's photographs the first ones ask, the others are
    searched.

    Args:
        unlabelled: dogs without any attribute.
    """
    meta = FramesMeta(
        "drawn", "dogs", "dogs", "dog", attributes={name: list(words) for name, words in VOCABULARY.items()}
    )
    rows, seen = [], {}
    for place, dog in enumerate(known.dog.tolist()):
        seen[dog] = seen.get(dog, 0) + 1
        pixels = np.full((12, 16, 3), (dog * 37 % 256, dog * 91 % 256, seen[dog] * 60 % 256), np.uint8)
        row = {"path": f"{place}.png", "identity": dog, "identity_name": f"dog{dog}", "width": 16, "height": 12}
        row |= {"split": "query" if seen[dog] <= queries else "gallery", "sequence": f"s{known.sequence[place]}"}
        row["image"] = cv2.imencode(".png", pixels)[1].tobytes()
        for name, words in VOCABULARY.items():
            row[f"attr_{name}"] = None if dog in unlabelled else words[known.codes[name][place]]
        rows.append(row)
    write_frames(path, rows, meta)
    return open_frames(path)
