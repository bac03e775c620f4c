"""The words of a description with their meanings: the longest forms of the lexicon, sizes in numbers, and the rest."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from auxreid.search.words.lexicon import Hint, Known, Lexicon, Meaning, Value
from auxreid.search.words.notes import Notes
from auxreid.search.words.tokens import Token, tokens_of

ENDS = frozenset('.;!?()[]"«»…\n')  # a new statement begins
MEASURED = re.compile(r"\d+(?:[.,]\d+)?")
SIGNS = {",": ",", ":": ":", "=": ":", "—": ":", "–": ":", "/": "/", "|": "/", "\\": "/", "&": "&", "+": "&"}
UNTIL = frozenset(["-", "–", "—", "to", "or", "до", "или"])  # between two numbers
NEAR_TALL = 6  # words around a length that may say that it is the height


@dataclass(frozen=True)
class Item:
    """A form of the text with its meaning; None: not understood. A sign's `text` is the sign itself."""

    text: str
    start: int
    end: int
    meaning: Meaning | None
    note: str = ""
    sign: str = ""  # "," ":" "/" "-" or "." for whatever ends a statement

    def is_hint(self, *kinds: str) -> bool:
        return isinstance(self.meaning, Hint) and self.meaning.kind in kinds


def items_of(text: str, lexicon: Lexicon, notes: Notes) -> list[Item]:
    """In the order of the text; takes as long as the text, whatever it says."""
    tokens = tokens_of(text)
    items, place = [], 0
    while place < len(tokens):
        if "\n" in tokens[place].before:
            items.append(Item("\n", tokens[place].start, tokens[place].start, None, sign="."))
        item, used = _item_at(tokens, place, text, lexicon, notes)
        items += [item] if item is not None else []
        place += used
    return items


def _item_at(tokens: Sequence[Token], place: int, text: str, lexicon: Lexicon, notes: Notes) -> tuple[Item | None, int]:
    token = tokens[place]
    if token.is_number and (found := _measure(tokens, place, text, lexicon, notes)):
        return found
    if (found := _longest(tokens, place, text, lexicon)) is not None:
        return found
    if token.is_number:
        return Item(token.form, token.start, token.end, None), 1
    if not token.is_word:
        return _sign(tokens, place), 1
    return _misspelt(token, text, lexicon, notes), 1


def _longest(tokens: Sequence[Token], place: int, text: str, lexicon: Lexicon) -> tuple[Item, int] | None:
    """The longest form that starts here; hyphens between its words count as blanks."""
    words: list[str] = []
    best = None
    for end in range(place, min(len(tokens), place + 2 * lexicon.longest)):
        token = tokens[end]
        if "\n" in token.before and end > place:
            break
        if token.form in ("-", "_") and words and not token.before:
            continue
        if not (token.is_word or token.is_number or token.form == "&"):
            break
        words.append(token.form)
        if len(words) > lexicon.longest:
            break
        if (meaning := lexicon.meanings.get(tuple(words))) is not None:
            best = meaning, end
    if best is None:
        return None
    start, end = tokens[place].start, tokens[best[1]].end
    return Item(text[start:end], start, end, best[0]), best[1] + 1 - place


def _sign(tokens: Sequence[Token], place: int) -> Item | None:
    """What a sign parts; other signs, and the hyphens of words, are nothing."""
    token = tokens[place]
    after = tokens[place + 1].before if place + 1 < len(tokens) else " "
    sign = "." if token.form in ENDS else SIGNS.get(token.form)
    if token.form == "-":
        sign = ":" if token.before and after else "-"
    if sign == "&":
        return Item(token.form, token.start, token.end, Hint("and"))
    return Item(token.form, token.start, token.end, None, sign=sign) if sign else None


def _misspelt(token: Token, text: str, lexicon: Lexicon, notes: Notes) -> Item:
    """A long word that is one slip from known ones of a single meaning is taken as it; else it is not understood."""
    written = text[token.start : token.end]
    near = sorted(lexicon.slips.near(token.form)) if token.form not in lexicon.not_typos else []
    meanings = [lexicon.meanings[(one,)] for one in near]
    if not near or any(one != meanings[0] for one in meanings):
        return Item(written, token.start, token.end, None)
    return Item(written, token.start, token.end, meanings[0], note=notes("slip", notes.quote(near[0])))


# sizes in numbers


def _measure(tokens: Sequence[Token], place: int, text: str, lexicon: Lexicon, notes: Notes) -> tuple[Item, int] | None:
    """ "30 kg", "20-25 kg", "45 cm at the withers": the size by the lexicon's bounds."""
    numbers, end = [_number(tokens[place].form)], place + 1
    if end + 1 < len(tokens) and tokens[end].form in UNTIL and tokens[end + 1].is_number:
        numbers.append(_number(tokens[end + 1].form))
        end += 2
    if end >= len(tokens) or tokens[end].form not in lexicon.units:
        return None
    height = _is_height(tokens, place, end, lexicon)
    kind, share = lexicon.units[tokens[end].form]
    if end + 1 < len(tokens) and tokens[end + 1].form in lexicon.tall:
        end += 1
    start, stop = tokens[place].start, tokens[end].end
    values = [number * share for number in numbers]
    meaning, note = _size(kind, values, height, lexicon, notes)
    return Item(text[start:stop], start, stop, meaning, note), end + 1 - place


def _size(kind: str, values: Sequence[float], height: bool, lexicon: Lexicon, notes: Notes) -> tuple[Meaning, str]:
    if not lexicon.bounds:
        return Known("measure"), ""
    if kind == "cm" and not height:
        return Known("length"), ""
    words, bounds = lexicon.bounds["words"], lexicon.bounds[kind]
    places = sorted(sum(value > bound for bound in bounds) for value in values)
    said = tuple(words[places[0] : places[-1] + 1])
    unit = {"kg": "кг", "cm": "см"}[kind] if notes.russian else kind
    name = lexicon.bounds["attribute"]
    return Value({name: said}, bound=True, whole=name), notes("bounds", *bounds, unit, *words)


def _is_height(tokens: Sequence[Token], place: int, end: int, lexicon: Lexicon) -> bool:
    """Whether a word of height stands near, in the same statement."""
    before = _until_sign(reversed(tokens[max(0, place - NEAR_TALL) : place]))
    behind = _until_sign(tokens[end + 1 : end + 1 + NEAR_TALL])
    return not lexicon.tall.isdisjoint(before + behind)


def _until_sign(tokens) -> list[str]:
    found = []
    for token in tokens:
        if token.form in ENDS or token.form == ",":
            break
        found.append(token.form)
    return found


def _number(form: str) -> float:
    return float(form.replace(",", "."))
