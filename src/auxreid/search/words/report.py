"""Phrases from adjectives that have their nouns, and from all words that tell nothing, each with the reason."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from auxreid.search.words.clauses import Clause, Named, Said
from auxreid.search.words.items import Item
from auxreid.search.words.lexicon import Hint, Known, Lexicon, Noun, Value
from auxreid.search.words.notes import Notes
from auxreid.search.words.phrase import Phrase


class Reporter:
    """Makes phrases of the items of one text; no two of them share an item."""

    def __init__(self, items: Sequence[Item], text: str, lexicon: Lexicon, notes: Notes) -> None:
        self.items, self.text, self.lexicon, self.notes = items, text, lexicon, notes
        self.owned = [_is_told(item) for item in items]

    def report(self, clauses: Sequence[Clause]) -> list[Phrase]:
        """In the order of the text."""
        groups = self._groups(clauses)
        of_noun: dict[Named, int] = defaultdict(int)
        for group in groups:
            if group[0].target is not None:
                of_noun[group[0].target] += 1
        phrases, told = [], set()
        for group in groups:
            noun = group[0].target
            alone = noun is not None and of_noun[noun] == 1 and not noun.noun.whole and not group[0].value.bound
            phrases.append(self._phrase(group, noun if alone else None))
            if noun is not None and not group[0].value.bound:
                told.add(noun)
        for clause in clauses:
            phrases += [one for noun in clause.nouns if (one := self._noun(noun, noun in told)) is not None]
        phrases += self._rest()
        return with_markings(sorted(phrases, key=lambda one: one.start), self.notes("markings"))

    # what is said of one attribute

    def _groups(self, clauses: Sequence[Clause]) -> list[list[Said]]:
        """Adjectives that stand side by side and tell the same of the same."""
        groups: list[list[Said]] = []
        noun_between = animal_between = False
        for clause in clauses:
            for one in clause.parts:
                if isinstance(one, Named):
                    noun_between = noun_between or not one.noun.whole
                    animal_between = True
                elif isinstance(one, Said):
                    parted = noun_between or (animal_between and one.joiner != "with")
                    before = groups[-1][-1] if groups and not parted else None
                    beside = before is not None and self._free(before.place + 1, one.place)
                    if beside and self._together(before, one):
                        groups[-1].append(one)
                    else:
                        groups.append([one])
                    noun_between = animal_between = False
        return [part for group in groups for part in self._combinable(group)]

    @staticmethod
    def _together(before: Said, one: Said) -> bool:
        def key(said: Said):
            whole = said.target is None or said.target.noun.whole
            return said.attribute, None if whole else said.target, said.negated_by, said.value.bound

        return one.attribute is not None and key(before) == key(one)

    def _combinable(self, group: list[Said]) -> list[list[Said]]:
        """The group, or each by itself where the words cannot be said together."""
        return [group] if len(group) == 1 or self._words(group) is not None else [[one] for one in group]

    def _words(self, group: Sequence[Said]) -> tuple[str, ...] | None:
        name = group[0].attribute
        union = tuple(dict.fromkeys(word for one in group for word in one.words))
        shared = tuple(word for word in union if all(word in one.words for one in group))
        scale = self.lexicon.scales.get(name, ())
        mixture = self.lexicon.mixtures.get(name)
        either = any(one.joiner == "or" for one in group[1:])
        if mixture is None:
            either = either or any(one.joiner in ("/", "-") for one in group[1:])
        if shared and not either:
            return shared
        if either:
            return union
        if mixture is not None:
            return (mixture,)
        if group[0].negated_by is not None:
            return union
        places = sorted(scale.index(word) for word in union if word in scale)
        side_by_side = not places or places[-1] - places[0] <= 1
        joined = all(one.joiner == "and" for one in group[1:])
        beside = scale and len(places) <= 1
        return union if beside or (scale and joined and side_by_side) else None

    def _phrase(self, group: Sequence[Said], noun: Named | None) -> Phrase:
        first, last = group[0], group[-1]
        start, stop = self._stretch(first.place, last.place, noun, first.negated_by)
        attribute, notes = first.attribute, self._notes(group)
        words = self._words(group) or () if attribute is not None else ()
        negated = first.negated_by is not None
        target = first.target
        if attribute is None and target is not None and target.noun.present and not negated:
            return self._make(start, stop, target.noun.present, ("yes",), False, notes)
        if target is not None and target.noun.markings and not first.value.bound:
            attribute, words, why = self._markings(target)
            notes = [why, *notes]
        elif attribute is None:
            notes = [self._why_not(first), *notes]
        elif target is not None and target.single and not first.value.bound:
            attribute, words, notes = None, (), [self.notes("one of two"), *notes]
        elif negated and len(words) > 1 and any(len(one.words) > 1 for one in group):
            words, notes = (), [self.notes("inexact", ", ".join(words)), *notes]
        return self._make(start, stop, attribute, words, negated, [*notes])

    def _notes(self, group: Sequence[Said]) -> list[str]:
        notes = [one.note for one in group if one.note]
        return [*notes, self.notes("doubt")] if any(one.doubt for one in group) else notes

    def _why_not(self, said: Said) -> str:
        named = said.target
        if named is None or named.noun.whole:
            return self.notes("no part")
        if not named.noun.of:
            return self.notes("no attribute")
        if said.value.colour:
            return self.notes("colour of a part")
        return self.notes("no word")

    def _markings(self, named: Named) -> tuple[str | None, tuple[str, ...], str]:
        name = named.noun.markings
        mixture = self.lexicon.mixtures.get(name)
        if mixture is None or self._of_part(named):
            return None, (), self.notes("markings of a part")
        return name, (mixture,), self.notes("markings")

    def _of_part(self, named: Named) -> bool:
        """Whether a part follows: "a white spot on the chest"."""
        for item in self.items[named.place + 1 : named.place + 6]:
            if isinstance(item.meaning, Hint) and item.meaning.kind in ("plain", "with", "one"):
                continue
            noun = getattr(item.meaning, "whole", None)
            return noun is False
        return False

    # nouns by themselves, and the rest

    def _noun(self, named: Named, told: bool) -> Phrase | None:
        noun, negated = named.noun, named.negated_by is not None
        if isinstance(self.items[named.place].meaning, Hint):
            return None
        start, stop = self._stretch(named.place, named.place, None, named.negated_by)
        if noun.note:
            return self._make(start, stop, None, (), False, [self.notes(noun.note)])
        if told or noun.whole or noun.dimension:
            return None
        if noun.present:
            return self._make(start, stop, noun.present, ("yes",), negated, [])
        if noun.markings:
            attribute, words, why = self._markings(named)
            return self._make(start, stop, attribute, words, negated, [why])
        why = self.notes("nothing said" if noun.of else "no attribute")
        return self._make(start, stop, None, (), negated, [why])

    def _rest(self) -> Iterator[Phrase]:
        """Words that are not understood, neighbours together, and known ones that tell no attribute."""
        begin = None
        for place, item in enumerate(self.items):
            unknown = item.meaning is None and not item.sign
            if unknown and begin is None:
                begin = place
            if begin is not None and not unknown:
                yield self._make(
                    self.items[begin].start, self.items[place - 1].end, None, (), False, [self.notes("unknown")]
                )
                begin = None
            if isinstance(item.meaning, Known):
                yield self._make(item.start, item.end, None, (), False, [self.notes(item.meaning.note), item.note])
            if item.is_hint("shade") and not self._shades(place):
                yield self._make(item.start, item.end, None, (), False, [self.notes("no attribute")])
        if begin is not None:
            yield self._unknown(begin, len(self.items) - 1)

    def _unknown(self, first: int, last: int) -> Phrase:
        return self._make(self.items[first].start, self.items[last].end, None, (), False, [self.notes("unknown")])

    def _shades(self, place: int) -> bool:
        following = self.items[place + 1 : place + 4]
        return any(isinstance(one.meaning, Value) or one.is_hint("shade") for one in following)

    # where it stands

    def _stretch(self, first: int, last: int, noun: Named | None, negated_by: int | None) -> tuple[int, int]:
        """From the first item to the last, with the noun and the negation if nothing else stands between."""
        if noun is not None and self._free(last + 1, noun.place):
            last = noun.place
        elif noun is not None and noun.place < first and self._free(noun.place + 1, first):
            first = noun.place
        if negated_by is not None and negated_by < first and self._free(negated_by + 1, first):
            first = negated_by
        elif negated_by is not None and negated_by > last and self._free(last + 1, negated_by):
            last = negated_by
        return self.items[first].start, self.items[last].end

    def _free(self, start: int, stop: int) -> bool:
        return start <= stop and not any(self.owned[start:stop])

    def _make(self, start: int, stop: int, attribute, words, negated: bool, notes: Sequence[str]) -> Phrase:
        note = "; ".join(dict.fromkeys(filter(None, notes)))
        return Phrase(self.text[start:stop], start, stop, attribute, tuple(words), negated, note)


def _is_told(item: Item) -> bool:
    """Whether a phrase may be made of it: of hints, signs and the animal itself there is none."""
    silent = isinstance(item.meaning, Noun) and (item.meaning.whole or item.meaning.dimension) and not item.meaning.note
    return not isinstance(item.meaning, Hint) and not item.sign and not silent


def with_markings(phrases: list[Phrase], marking: str) -> list[Phrase]:
    """ "black, with white spots": black, or the mixture; nobody says which."""
    marked = {one.attribute for one in phrases if one.note.startswith(marking) and one.words and not one.negated}
    if not marked:
        return phrases
    said = {name: [] for name in marked}
    for one in phrases:
        if one.attribute in marked and not one.negated:
            said[one.attribute] += one.words
    return [
        replace(one, words=tuple(dict.fromkeys(said[one.attribute])))
        if one.attribute in marked and one.words and not one.negated
        else one
        for one in phrases
    ]
