"""A search: photographs, what is stated and a description in, ranked dogs with the evidence for each out."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auxreid.lostpets.answer import Answer, Found, Place, Term, Understood
from auxreid.lostpets.candidates import Base, Candidates, Record
from auxreid.lostpets.distance import coarse, kilometres
from auxreid.lostpets.narrowing import Known
from auxreid.lostpets.query import Crop, Facts, Near, Query, Stated
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.search.descriptions import Read
from auxreid.search.fusion import VISUAL
from auxreid.search.looks import Looks, Vocabulary
from auxreid.search.reranked import handed_out
from auxreid.search.text_image import TEXT
from auxreid.search.words.english import in_english
from auxreid.search.words.understand import stated as stated_by
from auxreid.search.words.understand import understand

MOST = 2000  # candidates, which the evidence puts in order
NOTHING = "nothing to search by: a photograph, an attribute or a description that is understood"
SHOWN = 4  # digits of a probability
Described = tuple[Mapping[str, Stated], list[Understood]]


@dataclass(frozen=True)
class Asked:
    """A query as it is ranked."""

    looks: Looks | None  # one row, of all photographs; None: there is none
    stated: Mapping[str, Stated]  # one of no words: whatever the photographs say of it is not used
    understood: list[Understood]
    facts: Facts
    dogs: int
    rerank: bool = False
    without: str | None = None  # a dog that is not to be found
    photos: int = 1  # of which the looks are pooled
    text: np.ndarray | None = None  # [e], the description as the text tower has it; None: it is not compared

    @property
    def said(self) -> Mapping[str, Stated]:
        """What is stated but for what is said to be unknown."""
        return {name: one for name, one in self.stated.items() if one.says}


class Engine:
    """What answers queries.

    Args:
        looker: looks at photographs; None: only what is in the base is searched by.
        base: what is searched.
        fusion: how evidence is weighed, and what is decided of it.
        describe: takes a description apart by a vocabulary: what it states, and how each word was taken.
        read: the text tower, of a fusion that compares descriptions with photographs.

    Raises:
        ConfigError: base, looker and fusion are of different networks.
    """

    def __init__(
        self,
        looker: Any,
        base: Base,
        fusion: Any,
        describe: Callable[[str, Vocabulary], Described] | None = None,
        read: Read | None = None,
    ):
        for name, found in (("base", base.header.model), ("looker", looker and looker.model)):
            if found is not None and found != fusion.model:
                raise ConfigError(
                    f"the {name} is of the networks {found[:12]}, the fusion was fitted for {fusion.model[:12]}: "
                    "embeddings of different networks cannot be compared; make both anew from one study"
                )
        self.looker, self.base, self.fusion, self.describe = looker, base, fusion, describe or described
        self.read = read
        self.model = hashlib.sha256(f"{fusion.model} {fusion.to_json()}".encode()).hexdigest()

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of each attribute."""
        return self.base.header.vocabulary

    def look(self, photos: Sequence[bytes], crops: Sequence[Crop | None] = ()) -> Looks:
        """What is seen in each photograph; see :meth:`auxreid.lostpets.looker.Looker.look`."""
        return self.looker.look(photos, crops)

    def search(self, query: Query) -> Answer:
        """The dogs of the base that a query may be of, the likeliest first.

        Raises:
            DataError: the query has nothing to search by, a photograph cannot be used, or it states what no
                vocabulary has.
        """
        told, understood = self._told(query.text)
        stated = self._stated(query, told)
        if not query.photos and not any(one.says for one in stated.values()):
            raise DataError(NOTHING)
        looks = self.look(query.photos, query.crops).pooled() if query.photos else None
        photos, text = len(query.photos), self._text(query.text, told)
        return self.answer(
            Asked(looks, stated, understood, query.facts, query.dogs, query.rerank, photos=photos, text=text)
        )

    def similar(self, frame: str, facts: Facts | None = None, dogs: int = 20) -> Answer:
        """Other dogs that look like one of the base.

        Raises:
            DataError: there is no such photograph.
        """
        record, looks = self.base.record(frame), self.base.looks([frame])
        return self.answer(Asked(looks, {}, [], facts or Facts(), dogs, without=record.dog))

    def among(self, query: Query, looks: Looks | None, frames: Sequence[str]) -> Answer:
        """A query compared with these photographs of the base alone, as far as its facts leave them, by what decisions
        are by: without the text-image term.

        Args:
            looks: what was seen on the query's photographs, whose bytes are not looked at.

        Raises:
            DataError: as :meth:`search`, or there is no such photograph.
        """
        told, understood = self._told(query.text)
        stated = self._stated(query, told)
        if looks is None and not any(one.says for one in stated.values()):
            raise DataError(NOTHING)
        pooled, photos = (None, 0) if looks is None else (looks.pooled(), max(len(looks), len(query.photos)))
        asked = Asked(pooled, stated, understood, query.facts, query.dogs, photos=photos)
        return self._answer(asked, self._given(asked, frames))

    def answer(self, asked: Asked) -> Answer:
        """The answer to a query that was looked at and understood."""
        if asked.looks is not None:
            return self._answer(asked, self.base.candidates(asked.looks.embedding[0], asked.facts, MOST))

        def prefer(looks: Looks) -> np.ndarray:
            return sum(self._evidence(asked, looks).values())

        return self._answer(asked, self.base.candidates(None, asked.facts, MOST, prefer))

    def _given(self, asked: Asked, frames: Sequence[str]) -> Candidates:
        records = [self.base.record(frame) for frame in frames]
        left, filters = Known(records).narrowed(asked.facts)
        records, looks = [records[place] for place in left], self.base.looks([frames[place] for place in left])
        similarity = np.zeros(len(left)) if asked.looks is None else looks.embedding @ asked.looks.embedding[0]
        return Candidates(records, looks, similarity, filters, len(left), len({one.dog for one in records}))

    def _answer(self, asked: Asked, found: Candidates) -> Answer:
        dogs = self._dogs(asked, found, self._terms(asked, found))
        return Answer(
            decision=dogs[0].decision if dogs else "no match",
            dogs=dogs,
            predicted={} if asked.looks is None else _told(asked.looks, self.vocabulary),
            stated={name: allowed(one, self.vocabulary[name]) for name, one in asked.said.items()},
            understood=asked.understood,
            filters=found.filters,
            searched=found.searched,
            searched_dogs=found.searched_dogs,
            exact=found.exact,
            model=self.model,
        )

    def _told(self, text: str) -> Described:
        """What a description states, and how it was taken."""
        return self.describe(text, self.vocabulary) if text.strip() else ({}, [])

    def _stated(self, query: Query, told: Mapping[str, Stated]) -> dict[str, Stated]:
        """What the user states, and the description where that says nothing of the attribute."""
        merged = {name: one for name, one in told.items() if one.says} | dict(query.stated)
        for name, one in merged.items():
            _check_words(name, one, self.vocabulary)
        return merged

    def _text(self, text: str, told: Mapping[str, Stated]) -> np.ndarray | None:
        """The description as the text tower has it; None where there is none, or no English can be made of it."""
        english = None if self.read is None else in_english(text, told)
        return None if english is None else self.read([english])[0]

    def _terms(self, asked: Asked, found: Candidates) -> dict[str, np.ndarray]:
        """The evidence [m] by name."""
        if not len(found.frames):
            return {}
        terms = self._evidence(asked, found.looks)
        if asked.looks is not None and asked.rerank:
            terms[VISUAL] = handed_out(terms[VISUAL][None], asked.looks.embedding, found.looks.embedding)[0]
        return terms

    def _evidence(self, asked: Asked, looks: Looks) -> dict[str, np.ndarray]:
        """The evidence [m] for photographs of the base, by name, without re-ranking."""
        terms = dict(self.fusion.terms(asked.looks, looks, asked.stated))
        if asked.looks is None:  # of the rest nothing is known
            terms = {name: values for name, values in terms.items() if name in asked.said}
        if asked.text is not None:
            terms[TEXT] = self.fusion.text.term(asked.text, looks.embedding)
        return terms

    def _dogs(self, asked: Asked, found: Candidates, terms: Mapping[str, np.ndarray]) -> list[Found]:
        """Each dog by its photograph of the highest score, the highest first."""
        if not terms:
            return []
        score = np.sum([np.asarray(values, np.float64) for values in terms.values()], axis=0)
        photos: dict[str, list[int]] = defaultdict(list)
        for place in np.argsort(-score, kind="stable"):
            if found.dogs[place] != asked.without:
                photos[found.dogs[place]].append(int(place))
        dogs = list(photos.items())[: asked.dogs]
        decided = score - terms.get(TEXT, 0.0)  # thresholds are of the other terms
        return [
            self._found(asked, found, terms, (float(score[places[0]]), float(decided[places].max())), dog, places)
            for dog, places in dogs
        ]

    def _found(
        self,
        asked: Asked,
        found: Candidates,
        terms: Mapping[str, np.ndarray],
        scores: tuple[float, float],
        dog: str,
        places: list[int],
    ) -> Found:
        """A dog at these places; its score, and by what it is decided."""
        (score, decided), best, record = scores, places[0], found.records[places[0]]
        near = asked.facts.near
        return Found(
            dog=dog,
            score=score,
            decision=self.fusion.decide(decided, found.searched, asked.photos, len(asked.said)),
            terms=[Term(name=name, value=float(one[best]), said=name in asked.said) for name, one in terms.items()],
            photo=found.frames[best],
            photos=[found.frames[place] for place in places],
            kind=record.kind,
            report=record.report,
            date=record.date,
            place=shown_place(record),
            km=None if near is None else away(near, record),
            lacks=lacking(asked.facts, record),
        )


def described(text: str, vocabulary: Vocabulary) -> Described:
    """What a description in English or Russian states, and how each part of it was taken."""
    phrases = understand(plain(text), vocabulary)
    told = [
        Understood(text=one.text, attribute=one.attribute, words=list(one.words), negated=one.negated, note=one.note)
        for one in phrases
    ]
    return stated_by(phrases), told


def plain(text: str) -> str:
    """Letters as they are mostly written: й as one sign, wide Latin as plain, and nothing that is not seen."""
    shown = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", shown)


def allowed(stated: Stated, words: Sequence[str]) -> list[str]:
    """The words that a statement leaves."""
    return [word for word in words if (not stated.words or word in stated.words) and word not in stated.excluded]


def shown_place(record: Record) -> Place | None:
    """Where it was, coarsely; None where nothing is known."""
    if not record.place and record.latitude is None:
        return None
    return Place(name=record.place, latitude=coarse(record.latitude), longitude=coarse(record.longitude))


def away(near: Near, record: Record) -> float | None:
    """Kilometres, from the coarse place: from exact ones a few queries would find the door."""
    if record.latitude is None or record.longitude is None:
        return None
    there = np.array([coarse(record.latitude)]), np.array([coarse(record.longitude)])
    return round(float(kilometres(near.latitude, near.longitude, *there)[0]), 1)


def lacking(facts: Facts, record: Record) -> list[str]:
    """The facts that were asked for and that a record has not."""
    dated = facts.since is not None or facts.until is not None
    found = ["date"] if dated and record.date is None else []
    return found + (["place"] if facts.near is not None and record.latitude is None else [])


def _told(looks: Looks, vocabulary: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """The probabilities of one row by their words."""
    return {
        name: {
            word: round(float(value), SHOWN) for word, value in zip(words, looks.probabilities[name][0], strict=True)
        }
        for name, words in vocabulary.items()
    }


def _check_words(name: str, stated: Stated, vocabulary: Mapping[str, Sequence[str]]) -> None:
    if name not in vocabulary:
        raise DataError(f"stated: no attribute {name!r}; there are {', '.join(vocabulary)}")
    words = vocabulary[name]
    for word in (*stated.words, *stated.excluded):
        if word not in words:
            raise DataError(f"stated.{name}: no word {word!r}; allowed are {', '.join(words)}")
    if not allowed(stated, words):
        raise DataError(f"stated.{name}: no word is left of {', '.join(words)}")
