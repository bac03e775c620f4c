"""Which noun each adjective of a description is of, and so which attribute it tells."""

from collections.abc import Sequence

from auxreid.search.words.clauses import Clause, Cutter, Named, Said
from auxreid.search.words.items import Item
from auxreid.search.words.lexicon import Lexicon
from auxreid.search.words.notes import Notes
from auxreid.search.words.phrase import Phrase
from auxreid.search.words.report import Reporter


def phrases_of(items: Sequence[Item], text: str, lexicon: Lexicon, notes: Notes) -> list[Phrase]:
    """What was said, in the order of the text."""
    clauses = Cutter(items).cut()
    bind(clauses)
    return Reporter(items, text, lexicon, notes).report(clauses)


def bind(clauses: Sequence[Clause]) -> None:
    """Gives each adjective its noun, within its clause or, where that has none, in the clause before or behind."""
    waiting: list[Said] = []  # adjectives that say nothing without a noun
    before: Named | None = None  # the noun of the clause before, if adjectives may follow it
    for clause in clauses:
        if clause.opens:
            waiting, before = _give_up(waiting), None
        nouns = clause.nouns
        if nouns:
            _of_next(waiting, nouns[0])
            waiting = []
            _bind_within(clause)
            before = nouns[-1] if not isinstance(clause.parts[0], Said) else None
            continue
        for said in clause.adjectives:
            if tell(said, None) is None and before is not None and tell(said, before) is not None:
                _give(said, before)
            elif tell(said, None) is None:
                waiting.append(said)
            else:
                _give(said, None)
    _give_up(waiting)


def tell(said: Said, named: Named | None) -> str | None:
    """The attribute that an adjective tells of a noun, or of the animal; None: none that is known."""
    if said.value.bound or named is None or named.noun.whole:
        return said.value.whole
    return next((name for name in named.noun.of if name in said.value.means), None)


def _bind_within(clause: Clause) -> None:
    """Each run of adjectives between two nouns goes to one of them, or is divided."""
    left: Named | None = None
    run: list[Said] = []
    joined_left, last_joined = False, False  # a joiner parts the run from its left noun, or ends it
    for one in [*clause.parts, None]:
        if isinstance(one, Said):
            joined_left = joined_left or (not run and last_joined)
            run.append(one)
            last_joined = False
        elif isinstance(one, str):
            last_joined = True
        else:
            right = None if last_joined and left is not None and not joined_left else one
            _divide(run, None if joined_left and one is not None else left, right)
            left, run, joined_left, last_joined = one, [], False, False


def _divide(run: Sequence[Said], left: Named | None, right: Named | None) -> None:
    went_left = False
    for number, said in enumerate(run):
        if left is None or right is None:
            to_left = right is None
        else:
            own, other = _fit(said, left), _fit(said, right)
            taken = left.filled or (number > 0 and not (said.joiner == "or" and went_left))
            to_left = own > other if not (taken and other) else False
            to_left = to_left or (own == other and not taken)
        went_left = to_left
        _give(said, left if to_left else right)
        if right is not None and not to_left and not said.value.bound:
            right.filled = True


def _fit(said: Said, named: Named) -> int:
    """2: it tells an attribute of the noun; 1: a colour, which any part may have."""
    return 2 if tell(said, named) is not None else int(said.value.colour)


def _give(said: Said, named: Named | None) -> None:
    said.target = named
    said.attribute = tell(said, named)
    said.words = tuple(said.value.means[said.attribute]) if said.attribute is not None else ()


def _of_next(waiting: Sequence[Said], noun: Named) -> None:
    for said in waiting:
        _give(said, noun if tell(said, noun) is not None else None)
        noun.filled |= said.target is noun


def _give_up(waiting: Sequence[Said]) -> list[Said]:
    for said in waiting:
        _give(said, None)
    return []
