"""The text-image term from descriptions of calibration dogs beside photographs of them and of others."""

from collections.abc import Callable

import numpy as np

from auxreid.search.calibration import best_calibration, held_out_llr
from auxreid.search.examples import Calibrating, Examples, examples_where
from auxreid.search.pairs import Pairs, halved
from auxreid.search.text_image import TextImage, cosines
from auxreid.search.weights import fit_weights


def fit_text(
    known: Calibrating,
    pairs: Pairs,
    folds: np.ndarray,
    softness: float,
    llr_of: Callable[[Examples], np.ndarray],
    ridge: float,
) -> TextImage | None:
    """With the weight that it has beside the other terms, which hold most of what it says; 0 where it does not make the
    pairs of a dog more likely, by more than a standard error of the gain. None: no descriptions, or of too few dogs.

    Args:
        folds: as of best_calibration.
        softness: of statements.
        llr_of: the sum of the other terms, of examples [e].
    """
    if known.text is None:
        return None
    said = known.text.said[pairs.first]
    used = said.any(axis=1)
    first, same, folds = pairs.first[used], pairs.same[used], folds[used]
    similarity = cosines(known.text.feature[first], known.looks.embedding[pairs.second[used]])
    llr = held_out_llr(similarity, same, folds)
    if llr is None:
        return None
    given = llr_of(examples_where(known, pairs, softness, said))[used]
    weight = proven_weight(llr, given, same, halved(same, pairs.weight[used]), known.dog[first], ridge)
    return TextImage(best_calibration(similarity, same, folds)[0], weight)


def proven_weight(
    llr: np.ndarray, given: np.ndarray, same: np.ndarray, weight: np.ndarray, dog: np.ndarray, ridge: float
) -> float:
    """The weight of a term [p] beside what is given, or 0.

    Args:
        weight: of the pairs.
        dog: whose pairs they are, which err together.
    """
    losses, found = [], None
    for values in (np.zeros((len(llr), 1)), llr[:, None]):
        found = fit_weights(values, same, weight, ridge=ridge, given=given)
        told = given + values @ found.weights + found.offset
        losses.append(weight * np.logaddexp(0, np.where(same, -told, told)))
    _, own = np.unique(dog, return_inverse=True)
    gains = np.bincount(own, losses[0] - losses[1])
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return float(found.weights[0]) if gains.mean() > error else 0.0
