"""The part of descriptors that is attribute evidence: of what a model predicts of each image.

The room `auxreid.attributes` is opened by its name, so that it is in the code of no row without evidence. What predicts
depends on results/sources/labels.json, the hash of the code by which stage `labels` predicts as well.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auxreid.descriptors.evidence import Evidence, fit_evidence
from auxreid.descriptors.held_out import apart
from auxreid.plumbing.base.errors import DataError
from auxreid.pose.joint_places import another

PART = "evidence"  # of the tensors' names, and in the facts of the header
MODEL, PREDICT = "auxreid.attributes.model", "auxreid.attributes.predict"


def fit_part(
    path: Path, frames, classes: np.ndarray, precision: str
) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
    """What a model says of training images as vectors of length 1 [n, d]; tensors and facts for :func:`embed_part`.

    Args:
        path: an attribute model.
        classes: the frames' identities in 0..k-1 [n].

    Raises:
        DataError: no attribute model; no identity has two images, or no attribute tells them apart.
    """
    model, spec = _opened(path)
    probabilities = _predicted(model, spec, frames, precision)
    evidence = fit_evidence(probabilities, classes, apart(frames, classes))
    tensors = {f"{PART}.{name}": torch.from_numpy(typical) for name, typical in evidence.typical.items()}
    facts = {"words": {name: list(words) for name, words in model.vocabulary.items()}, "weights": evidence.weights}
    return torch.from_numpy(evidence.vectors(probabilities)), tensors, facts


def embed_part(
    tensors: Mapping[str, Tensor], facts: Mapping[str, Any], path: Path | None, frames, precision: str
) -> Tensor:
    """The same of other images.

    Args:
        tensors, facts: of :func:`fit_part`, among others.

    Raises:
        DataError: no attribute model is given, or one that tells other attributes, or in other words.
    """
    if path is None:
        raise DataError("the descriptors take attributes of each image, which a model predicts; none is given")
    model, spec = _opened(path)
    check_words(path, model.vocabulary, facts["words"])
    evidence = Evidence(facts["weights"], {name: tensors[f"{PART}.{name}"].numpy() for name in facts["weights"]})
    return torch.from_numpy(evidence.vectors(_predicted(model, spec, frames, precision)))


def of_another(vectors: Tensor, seed: int) -> Tensor:
    """Each image with the vector of another one, drawn by the seed."""
    return vectors[torch.from_numpy(another(len(vectors), seed))]


def check_words(path: Path, told: Mapping[str, Sequence[str]], fitted: Mapping[str, Sequence[str]]) -> None:
    """Raises DataError where a model does not tell the attributes in the words that were fitted."""
    for name in dict.fromkeys((*fitted, *told)):
        ours, theirs = (", ".join(words[name]) if name in words else "nothing" for words in (fitted, told))
        if ours != theirs:
            raise DataError(f"{path}: tells of {name}: {theirs}; the descriptors were fitted to: {ours}")


def _opened(path: Path):
    model, spec = import_module(MODEL).load_model(path)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), spec


def _predicted(model, spec, frames, precision: str) -> dict[str, np.ndarray]:
    """Calibrated probabilities [n, words] of each attribute."""
    description = f"attributes of {frames.meta.dataset}"
    return import_module(PREDICT).predict(model, frames, spec, description=description, precision=precision)
