"""The score of a search: weighted log-likelihood ratios of one dog to two, summed.

The terms are the visual similarity's, calibrated, and each attribute's. What the user states of an attribute replaces
what the query's photographs say of it. A term of which nothing is known is 0. Predicted attributes never filter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from auxreid.plumbing.base.errors import DataError
from auxreid.search.calibration import Calibration
from auxreid.search.decision import Thresholds
from auxreid.search.evidence import attribute_llr, stated_vector, through
from auxreid.search.examples import VISUAL
from auxreid.search.fusion_file import from_text, to_text
from auxreid.search.looks import Looks, Vocabulary
from auxreid.search.posterior import Posterior
from auxreid.search.stated import Stated
from auxreid.search.text_image import TextImage

UNFINISHED = "the thresholds are not set and the posterior is not fitted: fit_fusion does both"


@dataclass(frozen=True)
class Fusion:
    """What calibration dogs have taught.

    Raises:
        ValueError: it is not of one vocabulary.
    """

    model: str  # hash of the networks that it is of
    vocabulary: Vocabulary
    visual: Calibration
    priors: Mapping[str, np.ndarray]  # float64 [k]
    confusions: Mapping[str, np.ndarray]  # float64 [k, k]
    weights: Mapping[str, float]  # of VISUAL and of each attribute that is predicted, at least 0
    stated_weights: Mapping[str, float]  # of each attribute that is stated
    softness: float
    thresholds: Thresholds | None  # None: not set yet, as is
    posterior: Posterior | None
    text: TextImage | None = None  # None: nothing compares descriptions with photographs
    about: Mapping[str, Any] = field(default_factory=dict)  # numbers and notes of the fit, for people

    def __post_init__(self) -> None:
        names = list(self.vocabulary)
        for part in (self.priors, self.confusions, self.stated_weights):
            if sorted(part) != sorted(names):
                raise ValueError(f"a fusion of {', '.join(names)}, but with {', '.join(part)}")
        if sorted(self.weights) != sorted([VISUAL, *names]):
            raise ValueError(f"a fusion of {VISUAL}, {', '.join(names)}, but with weights of {', '.join(self.weights)}")
        for name, words in self.vocabulary.items():
            shapes = self.priors[name].shape, self.confusions[name].shape
            if shapes != ((len(words),), (len(words), len(words))):
                raise ValueError(f"{name} has {len(words)} words, a prior and confusions of shapes {shapes}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms."""
        return (VISUAL, *self.vocabulary)

    def raw(self, query: Looks | None, gallery: Looks, stated: Mapping[str, Stated]) -> dict[str, np.ndarray]:
        """The evidence as it is, float64 [n, m]: the visual similarity (NaN without photographs), and the attributes'
        log-likelihood ratios, which are 0 where nothing is known.

        Args:
            query: n photographs; None: what is stated is all there is, and n is 1.
            stated: by attribute; of all n.

        Raises:
            DataError: a word or an attribute that the vocabulary has not, or looks of another one.
        """
        self._check(query, gallery, stated)
        shape = (1 if query is None else len(query), len(gallery))
        found = {VISUAL: np.full(shape, np.nan)}
        if query is not None:
            found[VISUAL] = (query.embedding @ gallery.embedding.T).astype(np.float64)
        for name in self.vocabulary:
            own = self._vector(name, query, stated.get(name))
            if own is None:
                found[name] = np.zeros(shape)
                continue
            theirs = through(gallery.probabilities[name], self.confusions[name])
            found[name] = np.broadcast_to(attribute_llr(own, theirs, self.priors[name]), shape)
        return found

    def weighted(self, raw: Mapping[str, np.ndarray], stated: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The terms of what :meth:`raw` gave, in nats.

        Args:
            stated: by attribute, whether it is; False is as if it were not there.
        """
        visual = self.weights[VISUAL] * self.visual.llr(raw[VISUAL])
        found = {VISUAL: np.where(np.isnan(raw[VISUAL]), 0.0, visual)}
        for name in self.vocabulary:
            found[name] = (self.stated_weights if stated.get(name) else self.weights)[name] * raw[name]
        return found

    def terms(self, query: Looks | None, gallery: Looks, stated: Mapping[str, Stated]) -> dict[str, np.ndarray]:
        """What each piece of evidence adds for each of m photographs, float64 [m]; the score is their sum.

        Args:
            query: one photograph, or several pooled; None: there is none.

        Raises:
            DataError: as :meth:`raw`.
            ValueError: several photographs.
        """
        if query is not None and len(query) != 1:
            raise ValueError(f"{len(query)} photographs ask, they must be pooled into one")
        weighted = self.weighted(self.raw(query, gallery, stated), stated)
        return {name: values[0] for name, values in weighted.items()}

    def scores(self, query: Looks | None, gallery: Looks, stated: Mapping[str, Stated] | None = None) -> np.ndarray:
        """The sums of the terms of n photographs, each asking for itself, float64 [n, m]; as :meth:`raw`."""
        stated = stated or {}
        return sum(self.weighted(self.raw(query, gallery, stated), stated).values())

    def decide(self, best: float, searched: int, photos: int = 1, stated: int = 0) -> str:
        """ "match", "possible" or "no match", by a dog's best score.

        Args:
            searched: how many photographs were, of all dogs.
            photos: of the query; 0: a description alone.
            stated: how many attributes are.

        Raises:
            ValueError: no photograph was searched, or the thresholds are not set.
        """
        if self.thresholds is None:
            raise ValueError(UNFINISHED)
        return self.thresholds.decide(best, searched, photos, stated)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """That each dog is the sought one, from the best score of each of d dogs for q queries, float64 [q, d].

        Raises:
            ValueError: the posterior is not fitted.
        """
        if self.posterior is None:
            raise ValueError(UNFINISHED)
        return self.posterior(scores)

    def to_json(self) -> str:
        """Equal fusions give equal text.

        Raises:
            ValueError: the thresholds are not set.
        """
        if self.thresholds is None or self.posterior is None:
            raise ValueError(UNFINISHED)
        return to_text({one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def from_json(cls, text: str) -> "Fusion":
        """What :meth:`to_json` gave.

        Raises:
            DataError: it is something else, or of another format.
        """
        found = from_text(text)
        try:
            return cls(**found)
        except (TypeError, ValueError) as error:
            raise DataError(f"not a fusion ({error}); the stage `search` makes one") from error

    def _vector(self, name: str, query: Looks | None, statement: Stated | None) -> np.ndarray | None:
        """[n, k], or [1, k] of what is stated; None: nothing is known."""
        if statement is not None:
            if not statement.says:
                return None
            prior = self.priors[name]
            words = statement.words, statement.excluded, self.vocabulary[name]
            return stated_vector(*words, prior, self.softness)[None]
        return None if query is None else through(query.probabilities[name], self.confusions[name])

    def _check(self, query: Looks | None, gallery: Looks, stated: Mapping[str, Stated]) -> None:
        own = {name: len(words) for name, words in self.vocabulary.items()}
        for one in (query, gallery):
            words = {} if one is None else {name: values.shape[1] for name, values in one.probabilities.items()}
            if one is not None and words != own:
                raise DataError(f"attributes with so many words: {words}; the fusion is of {own}")
        for name in stated:
            if name not in self.vocabulary:
                raise DataError(f"stated attribute {name!r}, allowed: {', '.join(self.vocabulary) or 'none'}")
