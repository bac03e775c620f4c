"""A description cut into clauses: nouns and adjectives in their order, each adjective with what stands before it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from auxreid.search.words.items import Item
from auxreid.search.words.lexicon import Known, Noun, Value

JOINERS = {"and": "and", "or": "or", "nor": "or"}


@dataclass(eq=False)
class Named:
    """A noun in its place."""

    place: int  # among the items
    noun: Noun
    negated_by: int | None = None  # the place of the word that negates it
    single: bool = False  # one of two ears
    filled: bool = False  # an adjective before it is its own
    of_part: bool = False  # markings of a part


@dataclass(eq=False)
class Said:
    """An adjective in its place."""

    place: int
    value: Value
    note: str = ""
    joiner: str = ""  # to the adjective before it: "and", "or", "with", "," or a sign
    negated_by: int | None = None
    doubt: bool = False
    target: Named | None = None
    attribute: str | None = None
    words: tuple[str, ...] = ()


@dataclass
class Clause:
    """What stands between two commas, prepositions or full stops."""

    parts: list[Named | Said | str] = field(default_factory=list)  # str: a joiner
    opens: bool = False  # begins a new statement

    @property
    def nouns(self) -> list[Named]:
        return [one for one in self.parts if isinstance(one, Named)]

    @property
    def adjectives(self) -> list[Said]:
        return [one for one in self.parts if isinstance(one, Said)]


class Cutter:
    """Reads items one by one; what is open (a negation, a doubt) is kept from one to the next."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.clauses = [Clause(opens=True)]
        self._not: int | None = None  # negates the next adjective
        self._negated = False  # it has negated one already
        self._without: int | None = None  # negates all up to the next noun
        self._doubt = self._single = False
        self._doubted = 0  # adjectives of the clause that a doubt was followed by
        self._joiner = ""
        self._last_part: Named | None = None

    def cut(self) -> list[Clause]:
        for place, item in enumerate(self.items):
            if item.sign:
                self._sign(item)
            elif isinstance(item.meaning, Value):
                self._adjective(place, item)
            elif isinstance(item.meaning, Noun):
                self._noun(place, item.meaning)
            elif item.meaning is None or isinstance(item.meaning, Known):
                self._not = None
            else:
                self._hint(place, item.meaning.kind)
        self._close(opens=True)
        return self.clauses

    @property
    def _parts(self) -> list:
        return self.clauses[-1].parts

    def _sign(self, item: Item) -> None:
        if item.sign in "/-":
            self._join(item.sign)
        elif item.sign != ":" or not self._is_heading:
            self._close(opens=item.sign == ".")
            self._joiner = ","

    @property
    def _is_heading(self) -> bool:
        """ "ears: drop", "шерсть - длинная"."""
        nouns = self.clauses[-1].nouns
        return bool(nouns) and not self.clauses[-1].adjectives and not any(one.noun.whole for one in nouns)

    def _close(self, opens: bool = False, keep_negation: bool = False) -> None:
        """The clause ends, and with it what was open."""
        adjectives = self.clauses[-1].adjectives
        if self._doubt and not self._doubted and adjectives:
            adjectives[-1].doubt = True  # "white, I think"
        self._doubt, self._doubted, self._single, self._without = False, 0, False, None
        if not keep_negation:
            self._not = None
        if self._parts:
            self.clauses.append(Clause(opens=opens))
        else:
            self.clauses[-1].opens |= opens
        self._joiner = ""

    def _join(self, joiner: str) -> None:
        self._joiner = joiner
        if self._parts and not isinstance(self._parts[-1], str):
            self._parts.append(joiner)

    def _adjective(self, place: int, item: Item) -> None:
        if self._negated and self._joiner == "and" and not self._mixes(item):
            self._not = None  # "not small and white"
        said = Said(place, item.meaning, item.note, self._joiner, doubt=self._doubt)
        said.negated_by = self._without if self._without is not None else self._not
        self._doubted += self._doubt
        self._parts.append(said)
        self._joiner = ""
        self._negated = self._not is not None
        if not self._joins_next(place):
            self._not = None

    def _mixes(self, item: Item) -> bool:
        """ "not black and white": one adjective more of what was said."""
        before = self._parts[-2] if len(self._parts) > 1 else None
        return isinstance(before, Said) and before.value.colour and item.meaning.colour

    def _joins_next(self, place: int) -> bool:
        after = self.items[place + 1] if place + 1 < len(self.items) else None
        return after is not None and (after.sign in ("/", "-") or after.is_hint("or", "and", "nor"))

    def _noun(self, place: int, noun: Noun) -> None:
        if noun.dimension and any(not one.noun.dimension for one in self.clauses[-1].nouns):
            return
        named = Named(place, noun, self._without, self._single and not noun.whole)
        self._parts.append(named)
        if not noun.whole and not noun.dimension:
            self._last_part = named
        self._joiner, self._single, self._not = "", False, None
        if self._without is not None and not self._joins_more(place):
            self._without = None

    def _joins_more(self, place: int) -> bool:
        after = self.items[place + 1] if place + 1 < len(self.items) else None
        return after is not None and after.is_hint("or", "nor")

    def _hint(self, place: int, kind: str) -> None:
        if kind == "with" or kind == "but":
            keep = kind == "with" and place > 0 and self.items[place - 1].is_hint("not", "nor")
            self._close(keep_negation=keep)
            self._joiner = kind
        elif kind == "without":
            self._close()
            self._without = place
        elif kind == "gone":
            self._gone(place)
        elif kind == "not":
            self._not, self._negated = place, False
        elif kind == "doubt":
            self._doubt, self._doubted = True, 0
        elif kind == "one":
            self._one(place)
        if kind in JOINERS:
            self._join(JOINERS[kind])
        if kind == "nor":
            self._not, self._negated = place, False

    def _gone(self, place: int) -> None:
        """ "ошейника нет" negates what it follows, "нет ошейника" what follows it."""
        after = self.items[place + 1] if place + 1 < len(self.items) else None
        if self._parts and (after is None or after.sign in (",", ".")):
            for one in self._parts:
                if not isinstance(one, str) and one.negated_by is None:
                    one.negated_by = place
        else:
            self._close()
            self._without = place

    def _one(self, place: int) -> None:
        """ "one ear"; "the other" without a noun is another of the last part."""
        noun = next((one for one in self._ahead(place) if isinstance(one.meaning, Noun)), None)
        if noun is not None:
            self._single = True
        elif self._last_part is not None:
            self._parts.append(replace(self._last_part, place=place, single=True, filled=False, negated_by=None))

    def _ahead(self, place: int) -> list[Item]:
        """What follows in the clause, as far as the next joiner."""
        found = []
        for item in self.items[place + 1 : place + 8]:
            if item.sign in (",", ".") or item.is_hint("and", "or", "with", "without", "but", "one"):
                break
            found.append(item)
        return found
