"""Pairs of photographs as examples for the weights: what is predicted of both, and what a person would state of one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from auxreid.search.calibration import Calibration
from auxreid.search.evidence import paired_llr, stated_vector, through
from auxreid.search.looks import Looks, Vocabulary
from auxreid.search.pairs import Pairs
from auxreid.search.text_image import Descriptions

VISUAL = "visual"  # the term of the embedding's similarity


@dataclass(frozen=True)
class Calibrating:
    """What is known of n photographs of calibration dogs, and of the classifier.

    Args:
        codes: per attribute int64 [n], the dog's true word, -1 where unknown.
        fold: int64 [n], where embeddings are by models that had not seen the photograph's fold; None: all are by one.
        text: descriptions of the dogs; None: nothing reads them.
    """

    looks: Looks
    dog: np.ndarray  # int64 [n]
    sequence: np.ndarray  # int64 [n]
    vocabulary: Vocabulary
    priors: Mapping[str, np.ndarray]  # float64 [k]
    confusions: Mapping[str, np.ndarray]  # float64 [k, k]
    codes: Mapping[str, np.ndarray]
    fold: np.ndarray | None = None
    text: Descriptions | None = None

    @property
    def labelled(self) -> bool:
        """Whether any dog has a label, so that statements can be made for it."""
        return any((codes >= 0).any() for codes in self.codes.values())


@dataclass(frozen=True)
class Extra:
    """Pairs beside the calibration dogs', as feedback gives them: raw evidence of k pairs, and the answer."""

    raw: Mapping[str, np.ndarray]  # per term float64 [k], as Fusion.raw gives it
    stated: Mapping[str, np.ndarray]  # per attribute bool [k]
    same: np.ndarray  # bool [k]


@dataclass(frozen=True)
class Examples:
    """Evidence on e pairs; of an attribute either the predicted or the stated is there, the other 0."""

    similarity: np.ndarray  # [e], NaN without a photograph
    predicted: np.ndarray  # [e, a]
    stated: np.ndarray  # [e, a]
    said: np.ndarray  # bool [e, a], whether it is stated
    same: np.ndarray  # bool [e]
    weight: np.ndarray  # [e]

    def columns(self, visual: Calibration) -> np.ndarray:
        """Of the visual term and what is predicted, [e, 1 + a]."""
        llr = np.where(np.isnan(self.similarity), 0.0, visual.llr(self.similarity))
        return np.concatenate([llr[:, None], self.predicted], axis=1)

    def joined(self, other: "Examples") -> "Examples":
        """Both."""
        return Examples(
            *(np.concatenate([getattr(one, name) for one in (self, other)]) for name in self.__dataclass_fields__)
        )


def limited(known: Calibrating, most: int, seed: int) -> Calibrating:
    """Whole dogs with at most so many photographs in all, drawn; everybody where there are no more."""
    if len(known.dog) <= most:
        return known
    names, own, counts = np.unique(known.dog, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    rows = np.flatnonzero(np.isin(own, order[np.cumsum(counts[order]) <= most]))
    return replace(
        known,
        looks=known.looks.take(rows),
        dog=known.dog[rows],
        sequence=known.sequence[rows],
        codes={name: values[rows] for name, values in known.codes.items()},
        fold=None if known.fold is None else known.fold[rows],
        text=known.text and Descriptions(known.text.feature[rows], known.text.said[rows]),
    )


def similarities(known: Calibrating, pairs: Pairs) -> np.ndarray:
    """Cosines, float64 [p]."""
    own, theirs = known.looks.embedding[pairs.first], known.looks.embedding[pairs.second]
    return np.einsum("nd,nd->n", own, theirs).astype(np.float64)


def predicted_examples(known: Calibrating, pairs: Pairs) -> Examples:
    """As a search by a photograph alone."""
    columns = [_predicted(known, name, pairs) for name in known.vocabulary]
    values = np.stack(columns, axis=1) if columns else np.zeros((len(pairs.same), 0))
    nothing = np.zeros(values.shape, bool)
    return Examples(similarities(known, pairs), values, np.zeros_like(values), nothing, pairs.same, pairs.weight)


def stated_examples(known: Calibrating, pairs: Pairs, softness: float, seed: tuple[int, ...], share: float) -> Examples:
    """As a search by a photograph for which a person states some attributes, drawn by `share` for each pair."""
    rng = np.random.default_rng(seed)
    drawn = [rng.random(len(pairs.same)) < share for _ in known.vocabulary]
    return examples_where(known, pairs, softness, np.stack(drawn, axis=1))


def examples_where(known: Calibrating, pairs: Pairs, softness: float, wanted: np.ndarray) -> Examples:
    """The same with these attributes stated, bool [p, a], as far as they are known of the dog."""
    plain = predicted_examples(known, pairs)
    stated, said = plain.stated.copy(), plain.said.copy()
    for place, name in enumerate(known.vocabulary):
        codes = known.codes.get(name, np.full(len(known.dog), -1))[pairs.first]
        own = said[:, place] = wanted[:, place] & (codes >= 0)
        stated[own, place] = _stated(known, name, codes[own], pairs.second[own], softness)
    return replace(plain, predicted=np.where(said, 0.0, plain.predicted), stated=stated, said=said)


def extra_examples(extra: Extra, known: Calibrating, pairs: Pairs) -> Examples:
    """Each counts as the heaviest calibration pair of its kind: what people are asked about are hard pairs."""
    names = list(known.vocabulary)
    raw = np.stack([extra.raw[name] for name in names], axis=1) if names else np.zeros((len(extra.same), 0))
    said = np.stack([extra.stated[name] for name in names], axis=1) if names else np.zeros(raw.shape, bool)
    heaviest = {kind: pairs.weight[pairs.same == kind].max() for kind in (True, False)}
    weight = np.where(extra.same, heaviest[True], heaviest[False])
    predicted, stated = np.where(said, 0.0, raw), np.where(said, raw, 0.0)
    return Examples(np.asarray(extra.raw[VISUAL], np.float64), predicted, stated, said, extra.same, weight)


def _predicted(known: Calibrating, name: str, pairs: Pairs) -> np.ndarray:
    vectors = through(known.looks.probabilities[name], known.confusions[name])
    return paired_llr(vectors[pairs.first], vectors[pairs.second], known.priors[name])


def _stated(known: Calibrating, name: str, codes: np.ndarray, photographs: np.ndarray, softness: float) -> np.ndarray:
    prior, words = known.priors[name], known.vocabulary[name]
    statements = np.stack([stated_vector((word,), (), words, prior, softness) for word in words])  # [k, k]
    theirs = through(known.looks.probabilities[name][photographs], known.confusions[name])
    return paired_llr(statements[codes], theirs, prior)


def without_attributes(known: Calibrating) -> Calibrating:
    """Likeness alone."""
    looks = Looks(known.looks.embedding, {})
    return replace(known, looks=looks, vocabulary={}, priors={}, confusions={}, codes={}, text=None)
