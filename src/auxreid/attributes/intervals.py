"""Intervals of the scores by the bootstrap over groups: whole individuals are drawn, never single frames."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from auxreid.attributes.groups import Groups
from auxreid.attributes.losses import MISSING

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
CHUNK = 2_000_000  # weights of frames in memory at once


@dataclass(frozen=True)
class Draws:
    """Both scores in each resample, float64 [resamples]; nan where fewer than two words occur in it."""

    balanced_accuracy: np.ndarray
    roc_auc: np.ndarray


def resamples(count: int) -> np.ndarray:
    """int64 [RESAMPLES, count]: how often each of `count` groups is drawn, of as many draws with replacement."""
    rng = np.random.default_rng(SEED)
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)


def bootstrap(
    codes: Mapping[str, np.ndarray], probabilities: Mapping[str, np.ndarray], groups: Groups
) -> dict[str, Draws]:
    """Per attribute its scores in 1,000 seeded resamples of the groups, the same resamples for all attributes.

    A score of a resample is the mean over the words that occur in it, as it is over those of all frames.

    Args:
        codes: per attribute int64 [n], -1 where the label is missing
        probabilities: per attribute [n, k]
        groups: of the n frames
    """
    drawn = resamples(groups.count)
    return {name: _draws(codes[name], values, groups.of_frame, drawn) for name, values in probabilities.items()}


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """The percentile interval of level 95% over the resamples that have a value; none if fewer than half have one."""
    values = values[~np.isnan(values)]
    if len(values) < RESAMPLES / 2:
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_draws(draws: Mapping[str, Draws]) -> Draws:
    """The mean over the attributes in each resample, of those that have a value in it."""
    return Draws(
        _mean_of_given(np.stack([one.balanced_accuracy for one in draws.values()], axis=1)),
        _mean_of_given(np.stack([one.roc_auc for one in draws.values()], axis=1)),
    )


def _draws(codes: np.ndarray, probabilities: np.ndarray, of_frame: np.ndarray, drawn: np.ndarray) -> Draws:
    labelled = codes != MISSING
    codes, probabilities, of_frame = codes[labelled], probabilities[labelled], of_frame[labelled]
    words = np.unique(codes)
    if len(words) < 2:
        nothing = np.full(RESAMPLES, np.nan)
        return Draws(nothing, nothing)
    right = probabilities.argmax(axis=1) == codes
    recalls, areas = [], []
    for word in words:
        is_word = codes == word
        recalls.append(_share(drawn, of_frame[is_word], right[is_word]))
        if len(words) == 2 and probabilities.shape[1] == 2 and areas:  # one area: the scores are each other's mirror
            areas.append(areas[0])
        else:
            areas.append(_areas(drawn, of_frame, probabilities[:, word], is_word))
    recall, area = np.stack(recalls, axis=1), np.stack(areas, axis=1)  # [resamples, words]
    few = (~np.isnan(recall)).sum(axis=1) < 2
    return Draws(*(np.where(few, np.nan, _mean_of_given(values)) for values in (recall, area)))


def _share(drawn: np.ndarray, of_frame: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[resamples]: the share of frames that are right, nan where no frame of these is drawn."""
    frames = drawn @ np.bincount(of_frame, minlength=drawn.shape[1])
    rights = drawn @ np.bincount(of_frame[right], minlength=drawn.shape[1])
    return np.divide(rights, frames, out=np.full(len(drawn), np.nan), where=frames > 0)


def _areas(drawn: np.ndarray, of_frame: np.ndarray, scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """[resamples]: the area under the ROC curve with frames weighted; nan without a positive or a negative frame.

    It is the share of pairs (positive, negative) whose positive has the higher score, a tie counting half.
    """
    order = np.argsort(scores, kind="stable")
    of_frame, positive = of_frame[order], positive[order]
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # of the runs of equal scores
    areas = []
    for weights in _chunks(drawn, of_frame):
        above = np.add.reduceat(weights * positive, starts, axis=1)  # [chunk, runs]
        equal = np.add.reduceat(weights * ~positive, starts, axis=1)
        below = np.cumsum(equal, axis=1) - equal
        pairs = above.sum(axis=1) * equal.sum(axis=1)
        won = (above * (below + equal / 2)).sum(axis=1)
        areas.append(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0))
    return np.concatenate(areas)


def _chunks(drawn: np.ndarray, of_frame: np.ndarray) -> Iterator[np.ndarray]:
    """[chunk, n] weights of the frames in some of the resamples at a time."""
    rows = max(1, CHUNK // max(len(of_frame), 1))
    for start in range(0, len(drawn), rows):
        yield drawn[start : start + rows, of_frame]


def _mean_of_given(values: np.ndarray) -> np.ndarray:
    """Over the last axis, of those that are no nan; nan where none is given."""
    given = ~np.isnan(values)
    counts = given.sum(axis=1)
    sums = np.where(given, values, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)
