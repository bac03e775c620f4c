"""Which dogs the fusion may be learnt from, and what their photographs say of the classifier.

A calibration dog is a known individual of split train or val of whom neither the attribute classifier nor the
embedding has learnt from any photograph: of those that they have learnt from, both are surer than they are of a dog
that somebody looks for. Choosing an epoch or a temperature by them is no learning. Test individuals are never one.

- The classifier learns from labelled frames of split train, and of val too where it is cross-validated.
- The embedding of the untouched encoder learns from nobody, that of a trained metric row from all known individuals:
  it then needs embeddings by models that were trained without the dog's fold.

Confusions are of labelled val frames that the classifier has not learnt from, where they prove to be worth it; without
such frames they are the identity: the classifier's probabilities are calibrated. Base rates are those of the dogs that
are searched: where calibration dogs have labels they are of the labelled population, and the labels of all learnt
frames tell them best; else they are the means of what is predicted for calibration dogs.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from auxreid.data.frames import Frames
from auxreid.plumbing.base.errors import DataError
from auxreid.search.confusion import proven_confusion
from auxreid.search.evidence import PSEUDO_COUNT, base_rates, through
from auxreid.search.examples import Calibrating
from auxreid.search.looks import Looks

LEARNT = ("train", "val")
FEWEST = 8  # calibration dogs with two sequences


def classifier_learnt(frames: Frames, vocabulary: Sequence[str], cross_validated: bool) -> np.ndarray:
    """bool [n]: the attribute classifier has learnt from this frame."""
    splits = LEARNT if cross_validated else LEARNT[:1]
    return _labelled(frames, vocabulary) & np.isin(frames.split.astype(str), splits)


def calibration_rows(frames: Frames, learnt: np.ndarray) -> np.ndarray:
    """The places of the calibration dogs' photographs, int64 [m].

    Args:
        learnt: bool [n], the classifier or the embedding has learnt from this frame.

    Raises:
        DataError: there are too few.
    """
    spared = ~np.isin(frames.identity, frames.identity[learnt])
    rows = np.flatnonzero(spared & (frames.identity > 0) & np.isin(frames.split.astype(str), LEARNT))
    sequences = sequence_numbers(frames)
    names, own = np.unique(frames.identity[rows], return_inverse=True)
    paired = sum(len(np.unique(sequences[rows[own == place]])) > 1 for place in range(len(names)))
    if paired < FEWEST:
        raise DataError(
            f"{frames.meta.dataset}: {paired} known individuals of split train or val, in two sequences, that neither "
            f"the classifier nor the embedding has learnt from; a fusion needs {FEWEST} to be calibrated on"
        )
    return rows


def calibration_set(
    frames: Frames,
    looks: Looks,
    vocabulary: Mapping[str, Sequence[str]],
    *,
    cross_validated: bool,
    embedding_learnt: np.ndarray | None = None,
    fold: np.ndarray | None = None,
) -> Calibrating:
    """What a fusion is fitted on.

    Args:
        frames, looks: n, of the whole data set; embeddings of frames that are no calibration dog's are not read.
        vocabulary: of the classifier.
        cross_validated: whether the classifier has learnt from val frames too.
        embedding_learnt: bool [n], the embedding has learnt from this frame; None: from none, or with `fold`, that
            none of the embeddings is by a model that has.
        fold: int64 [n], of which fold the embedding's model is; None: all are by one model.

    Raises:
        DataError: there are too few calibration dogs.
    """
    by_classifier = classifier_learnt(frames, list(vocabulary), cross_validated)
    learnt = by_classifier if embedding_learnt is None else by_classifier | embedding_learnt
    rows = calibration_rows(frames, learnt)
    own, codes = looks.take(rows), dog_codes(frames, list(vocabulary))
    proving = ~by_classifier & (frames.split == "val")
    dogs = np.where(frames.identity > 0, frames.identity, -1 - np.arange(len(frames)))  # each unknown one is another
    confusions, priors = {}, {}
    for name in vocabulary:
        labels = frames.attribute_codes(name)
        confusions[name] = proven_confusion(looks.probabilities[name][proving], labels[proving], dogs[proving])
        if (codes[name][rows] >= 0).any():
            priors[name] = base_rates(labels[by_classifier], len(vocabulary[name]))
        else:
            priors[name] = _mean_rates(through(own.probabilities[name], confusions[name]))
    return Calibrating(
        looks=own,
        dog=frames.identity[rows],
        sequence=sequence_numbers(frames)[rows],
        vocabulary={name: tuple(words) for name, words in vocabulary.items()},
        priors=priors,
        confusions=confusions,
        codes={name: values[rows] for name, values in codes.items()},
        fold=None if fold is None else fold[rows],
    )


def dog_codes(frames: Frames, vocabulary: Sequence[str]) -> dict[str, np.ndarray]:
    """Per attribute int64 [n]: the word that most of the individual's labels say, the first of equal ones; -1 where
    none of its frames has one, or nobody knows who it is. An attribute that the data set lacks is -1 throughout."""
    names, own = np.unique(frames.identity, return_inverse=True)
    found = {}
    for name in vocabulary:
        codes = frames.attribute_codes(name) if name in frames.meta.attributes else np.full(len(frames), -1)
        counts = np.zeros((len(names), max(int(codes.max(initial=-1)) + 1, 1)))
        np.add.at(counts, (own[codes >= 0], codes[codes >= 0]), 1)
        said = np.where(counts.any(axis=1) & (names > 0), counts.argmax(axis=1), -1)
        found[name] = said[own]
    return found


def sequence_numbers(frames: Frames) -> np.ndarray:
    """int64 [n]; a frame of no sequence is one of its own."""
    _, numbers = np.unique(frames.sequence.astype(str), return_inverse=True)
    alone = frames.sequence == ""
    numbers = numbers.astype(np.int64)
    numbers[alone] = -1 - np.flatnonzero(alone)
    return numbers


def _labelled(frames: Frames, vocabulary: Sequence[str]) -> np.ndarray:
    found = np.zeros(len(frames), bool)
    for name in vocabulary:
        if name in frames.meta.attributes:
            found |= frames.attribute_codes(name) >= 0
    return found


def _mean_rates(p: np.ndarray) -> np.ndarray:
    """The mean of n photographs' probabilities, each word counted once more."""
    counts = p.sum(axis=0) + PSEUDO_COUNT
    return counts / counts.sum()
