"""The ways in which the evaluation asks: scores of the gallery for each query, by likeness alone, with attributes, with
statements and descriptions, with several photographs.

What is stated are true words of the query's dog, drawn from its labels; a description is made of the same words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auxreid.data.frames import Frames
from auxreid.evaluation.protocols import EVALUATED, Entities, query_and_gallery
from auxreid.plumbing.base.errors import DataError
from auxreid.search.calibration_dogs import dog_codes
from auxreid.search.evidence import through
from auxreid.search.fusion import VISUAL, Fusion
from auxreid.search.looks import Looks, joined
from auxreid.search.reranked import handed_out
from auxreid.search.stated import Stated

STATED = (1, 3, 6)  # attributes
DESCRIBED = 3  # attributes in a description
PHOTOS = (2, 3)
LANGUAGES = {"en": "English", "ru": "Russian"}
Say = Callable[[Mapping[str, str], str, int], Mapping[str, Stated]]  # true words, language, turn -> what is understood
Tell = Callable[[Mapping[str, str], str, int], np.ndarray | None]  # the same -> as the text tower has it, [e]


@dataclass(frozen=True)
class Seed:
    """One seed of the search: what is known of n test frames, and the fusions of that seed."""

    seed: int
    looks: Looks  # n, in the order of the frames
    fusion: Fusion
    visual: Fusion  # of likeness alone
    tell: Tell | None = None  # None: there is no text tower


@dataclass(frozen=True)
class Asked:
    """Scores of g gallery photographs for q queries, and by whose thresholds and posterior they are decided."""

    rows: np.ndarray  # int64 [q], places among all queries
    query: Entities
    gallery: Entities
    scores: np.ndarray  # float64 [q, g]; -inf where a filter has taken it away
    fusion: Fusion
    photos: int  # of each query
    stated: np.ndarray  # int64 [q], how many attributes are
    decided: np.ndarray | None = None  # the scores without what decisions leave out; None: all of them


class NotPossibleError(ValueError):
    """This data set cannot be asked so; says why."""


class Asking:
    """One seed's queries.

    Args:
        frames: n test frames, of split query and gallery.
        say: a description of true words, and what is understood of it; None: there is nothing that understands it.

    Raises:
        DataError: the protocol does not rank photographs.
    """

    def __init__(self, frames: Frames, seed: Seed, protocol: str, say: Say | None):
        self.seed, self.say = seed, say
        self.query, self.gallery = query_and_gallery(frames, seed.looks.embedding, protocol)
        if any(len(one) > 1 for part in (self.query, self.gallery) for one in part.members):
            named = f"{frames.meta.dataset}: protocol {protocol!r}"
            raise DataError(f"{named} ranks tracks; a search compares photographs")
        self.own, self.theirs = (seed.looks.take(np.concatenate(part.members)) for part in (self.query, self.gallery))
        vocabulary = seed.fusion.vocabulary
        codes = dog_codes(frames, list(vocabulary))
        asking = np.flatnonzero(frames.split == EVALUATED[0])
        self.words = [
            {name: words[codes[name][row]] for name, words in vocabulary.items() if codes[name][row] >= 0}
            for row in asking
        ]
        rng = np.random.default_rng(seed.seed)
        self.orders = [list(rng.permutation(len(one))) for one in self.words]

    def ways(self) -> dict[str, Callable[[], Asked]]:
        """Each way to ask by its name; a call raises NotPossibleError where the data set lacks what it takes."""
        ways = {"visual only": self.visual, "hard filter": self.hard_filter, "fusion": self.fused}
        ways |= {f"fusion, {count} stated": self._stating(count) for count in STATED}
        ways |= {f"fusion, text in {told}": self._describing(language) for language, told in LANGUAGES.items()}
        if self.seed.tell is not None:
            ways |= {f"fusion, text in {told}, words alone": self._wording(one) for one, told in LANGUAGES.items()}
        ways |= {f"fusion, {count} photos": self._showing(count) for count in PHOTOS}
        return ways | {"fusion, re-ranked": self.reranked}

    def visual(self) -> Asked:
        """By likeness alone."""
        bare = [Looks(one.embedding, {}) for one in (self.own, self.theirs)]
        return self._all(self.seed.visual.scores(*bare), self.seed.visual)

    def hard_filter(self) -> Asked:
        """By likeness, among the photographs of which the same word of each attribute is the most probable."""
        self._need_attributes()
        fusion, found = self.seed.fusion, self.visual()
        kept = np.ones(found.scores.shape, bool)
        for name, confusion in fusion.confusions.items():
            words = [through(one.probabilities[name], confusion).argmax(axis=1) for one in (self.own, self.theirs)]
            kept &= words[0][:, None] == words[1]
        return self._all(np.where(kept, found.scores, -np.inf), found.fusion)

    def fused(self) -> Asked:
        """By likeness and predicted attributes."""
        return self._all(self.seed.fusion.scores(self.own, self.theirs))

    def reranked(self) -> Asked:
        """The same, with likeness in the order of k-reciprocal re-ranking."""
        fusion = self.seed.fusion
        terms = fusion.weighted(fusion.raw(self.own, self.theirs, {}), {})
        terms[VISUAL] = handed_out(terms[VISUAL], self.own.embedding, self.theirs.embedding)
        return self._all(sum(terms.values()))

    def stated(self, count: int) -> Asked:
        """With so many attributes stated, drawn for each query from those that are known of its dog."""
        return self._with([{name: Stated((word,)) for name, word in one.items()} for one in self._drawn(count)], count)

    def described(self, language: str, compared: bool = True) -> Asked:
        """With a description of some attributes, as far as it is understood, and where there is a text tower compared
        with the photographs too."""
        if self.say is None:
            raise NotPossibleError("no descriptions: nothing understands them")
        drawn = self._drawn(DESCRIBED)
        try:
            asked = self._with([self.say(one, language, turn) for turn, one in enumerate(drawn)], DESCRIBED)
            return self._compared(asked, drawn, language) if compared and self.seed.tell is not None else asked
        except ValueError as error:
            raise NotPossibleError(f"no descriptions: {error}") from error

    def photos(self, count: int) -> Asked:
        """With so many photographs pooled: the query's, and others of its dog, whose sequences the gallery has not."""
        lone = ~np.isin(self.query.group, self.gallery.group) | (self.query.identity <= 0)
        rng, rows, pooled = np.random.default_rng(self.seed.seed), [], []
        for row, identity in enumerate(self.query.identity):
            more = np.flatnonzero((self.query.identity == identity) & lone & (identity > 0))
            more = rng.permutation(more[more != row])[: count - 1]
            if len(more) == count - 1:
                rows.append(row)
                pooled.append(self.own.take([row, *more]).pooled())
        if not rows:
            most = int(np.unique(self.query.identity[self.query.identity > 0], return_counts=True)[1].max(initial=0))
            raise NotPossibleError(f"{count} photos of one dog: no dog has more than {most} among the queries")
        return self._some(np.array(rows), self.seed.fusion.scores(joined(pooled), self.theirs), count)

    def _stating(self, count: int) -> Callable[[], Asked]:
        return lambda: self.stated(count)

    def _describing(self, language: str) -> Callable[[], Asked]:
        return lambda: self.described(language)

    def _wording(self, language: str) -> Callable[[], Asked]:
        return lambda: self.described(language, compared=False)

    def _showing(self, count: int) -> Callable[[], Asked]:
        return lambda: self.photos(count)

    def _need_attributes(self) -> None:
        if not self.seed.fusion.vocabulary:
            raise NotPossibleError("the data set has no attributes")

    def _drawn(self, count: int) -> list[dict[str, str]]:
        """The first words of each query in its order: more words hold those of fewer."""
        self._need_attributes()
        if not any(self.words):
            raise NotPossibleError("no test dog has an attribute label, so that nobody knows what is true of it")
        if all(len(one) < count for one in self.words):
            raise NotPossibleError(
                f"{count} attributes: no test dog has labels of more than {max(map(len, self.words))}"
            )
        return [
            {list(one)[place]: list(one.values())[place] for place in order[:count]}
            for one, order in zip(self.words, self.orders, strict=True)
        ]

    def _with(self, stated: Sequence[Mapping[str, Stated]], count: int) -> Asked:
        """The queries of whose dog so many words are known."""
        rows = np.flatnonzero([len(one) >= count for one in self.words])
        scores = [self.seed.fusion.scores(self.own.take([row]), self.theirs, stated[row])[0] for row in rows]
        counts = np.array([sum(one.says for one in stated[row].values()) for row in rows])
        return self._some(rows, np.stack(scores), stated=counts)

    def _compared(self, asked: Asked, drawn: Sequence[Mapping[str, str]], language: str) -> Asked:
        """With the text-image term, by which dogs are ranked and not decided."""
        features = [self.seed.tell(drawn[row], language, int(row)) for row in asked.rows]
        term, found = self.seed.fusion.text.term, self.theirs.embedding
        terms = [np.zeros(len(found)) if one is None else term(one, found) for one in features]
        return replace(asked, scores=asked.scores + np.stack(terms), decided=asked.scores)

    def _all(self, scores: np.ndarray, fusion: Fusion | None = None) -> Asked:
        rows = np.arange(len(self.query))
        return Asked(rows, self.query, self.gallery, scores, fusion or self.seed.fusion, 1, np.zeros_like(rows))

    def _some(self, rows: np.ndarray, scores: np.ndarray, photos: int = 1, stated: np.ndarray | None = None) -> Asked:
        query = self.query
        members = tuple(query.members[row] for row in rows)
        columns = (query.embedding, query.identity, query.group, query.representative)
        chosen = Entities(*(column[rows] for column in columns), members)
        counts = np.zeros_like(rows) if stated is None else stated
        return Asked(rows, chosen, self.gallery, scores, self.seed.fusion, photos, counts)
