"""Scores of calibration dogs by fusions that were fitted without them: with the dog itself, and with the others, among
whom it is a stranger."""

from collections.abc import Callable, Iterator

import numpy as np

from auxreid.search.decision import Strangers
from auxreid.search.evidence import attribute_llr, stated_vector, through
from auxreid.search.examples import VISUAL, Calibrating
from auxreid.search.fusion import Fusion
from auxreid.search.looks import Looks

MOST_PHOTOS = 3  # pooled
FitWithout = Callable[[np.ndarray], Fusion]  # photographs that are fitted on -> fusion


class LeftOut:
    """All calibration photographs as queries.

    Args:
        known: n photographs.
        dealt: int64 [n], the fold of each photograph's dog.
        fit: a fusion from the photographs at these places.
    """

    def __init__(self, known: Calibrating, dealt: np.ndarray, fit: FitWithout, seed: int):
        self.known, self.seed = known, seed
        self.names, self.own = np.unique(known.dog, return_inverse=True)
        self.said = said_codes(known)
        self.folds = []
        for number in range(dealt.max() + 1):
            held = np.flatnonzero(dealt == number)
            self.folds.append((held, fit(np.flatnonzero(dealt != number))))

    def scores(self) -> np.ndarray:
        """Each photograph's best score with each dog, by photographs of other sequences, float64 [n, d]; -inf where
        there is none, or embeddings are of two folds."""
        return self._asked(self.known.looks, np.zeros((len(self.own), len(self.said)), bool), 1)

    def strangers(self) -> Iterator[Strangers]:
        """Queries of each kind, against a base without their dog: 1 to MOST_PHOTOS photographs with nothing stated, and
        one or none with each number of attributes, drawn for each query."""
        attributes, known = len(self.said), self.known
        base = known.dog[:, None] != known.dog
        if known.fold is not None:
            base &= known.fold[:, None] == known.fold
        searched = base.sum(axis=1)
        kinds = [(photos, 0) for photos in range(1, MOST_PHOTOS + 1)]
        kinds += [(photos, stated) for photos in (0, 1) for stated in range(1, attributes + 1)]
        for photos, stated in kinds:
            rng = np.random.default_rng((self.seed, photos, stated))
            looks, enough = self._pooled(max(photos, 1), rng)
            order = rng.random((len(self.own), attributes)).argsort(axis=1).argsort(axis=1)
            scores = self._asked(looks, order < stated, photos)
            scores[np.arange(len(self.own)), self.own] = -np.inf
            yield Strangers(photos, stated, scores[enough], self.own[enough], searched[enough])

    def _pooled(self, photos: int, rng: np.random.Generator) -> tuple[Looks, np.ndarray]:
        """Each photograph pooled with others of its dog, and the places of those whose dog has so many."""
        looks, known = self.known.looks, self.known
        if photos == 1:
            return looks, np.arange(len(self.own))
        embedding = looks.embedding.copy()
        probabilities = {name: values.copy() for name, values in looks.probabilities.items()}
        enough = []
        for row in range(len(self.own)):
            usable = known.dog == known.dog[row]
            if known.fold is not None:
                usable &= known.fold == known.fold[row]
            others = np.flatnonzero(usable)
            others = rng.permutation(others[others != row])[: photos - 1]
            if len(others) == photos - 1:
                pooled = looks.take([row, *others]).pooled()
                embedding[row] = pooled.embedding[0]
                for name, values in probabilities.items():
                    values[row] = pooled.probabilities[name][0]
                enough.append(row)
        return Looks(embedding, probabilities), np.array(enough, np.int64)

    def _asked(self, looks: Looks, stated: np.ndarray, photos: int) -> np.ndarray:
        """Best scores [n, d] of queries with these looks and some attributes stated, bool [n, a]; without photographs,
        nothing is known of the others."""
        known, best = self.known, np.full((len(self.names), len(self.own)), -np.inf)
        for held, fusion in self.folds:
            scores = self._fold_scores(fusion, looks.take(held), held, stated[held], photos)
            same = known.dog[held][:, None] == known.dog
            scores[same & (known.sequence[held][:, None] == known.sequence)] = -np.inf
            if known.fold is not None:
                scores[known.fold[held][:, None] != known.fold] = -np.inf
            found = np.full((len(self.names), len(held)), -np.inf)
            np.maximum.at(found, self.own, scores.T)
            best[:, held] = found
        return best.T

    def _fold_scores(
        self, fusion: Fusion, looks: Looks, held: np.ndarray, stated: np.ndarray, photos: int
    ) -> np.ndarray:
        terms = fusion.weighted(fusion.raw(looks, self.known.looks, {}), {})
        scores = terms[VISUAL] * (photos > 0)
        for place, name in enumerate(fusion.vocabulary):
            own = terms[name] * (photos > 0)
            if stated[:, place].any():
                own = np.where(stated[:, [place]], self._statements(fusion, name, self.said[name][held]), own)
            scores = scores + own
        return scores

    def _statements(self, fusion: Fusion, name: str, codes: np.ndarray) -> np.ndarray:
        """The term [h, n] where the word of an attribute is stated."""
        prior, words = fusion.priors[name], fusion.vocabulary[name]
        vectors = np.stack([stated_vector((word,), (), words, prior, fusion.softness) for word in words])
        theirs = through(self.known.looks.probabilities[name], fusion.confusions[name])
        return fusion.stated_weights[name] * attribute_llr(vectors, theirs, prior)[codes]


def said_codes(known: Calibrating) -> dict[str, np.ndarray]:
    """Per attribute int64 [n], what a person would state of the dog: its label, or else the word that its photographs
    make the most probable. For a stranger it does not matter that this can be wrong."""
    _, own = np.unique(known.dog, return_inverse=True)
    found = {}
    for name in known.vocabulary:
        sums = np.zeros((own.max() + 1, len(known.vocabulary[name])))
        np.add.at(sums, own, known.looks.probabilities[name])
        codes = known.codes.get(name, np.full(len(own), -1))
        found[name] = np.where(codes >= 0, codes, sums.argmax(axis=1)[own])
    return found
