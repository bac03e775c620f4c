"""Names of dogs that stay: a proposal is called as the dog that most of its photographs were."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auxreid.assembling.proposals import Proposal
from auxreid.assembling.workplace import write_if_new
from auxreid.plumbing.base.errors import DataError


@dataclass
class Names:
    """What is remembered between runs.

    Attributes:
        last: the number of the newest dog; numbers of dogs that are gone are not used again.
        dog_of: each photograph's dog, also of photographs that are not read at present.
        split_of: each dog's split.
        key: of the set, under which browsers keep decisions: it stays when photographs come.
    """

    last: int = 0
    dog_of: dict[str, str] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    key: str = ""


def read_names(path: Path) -> Names:
    """Raises DataError if the file is broken."""
    if not path.is_file():
        return Names()
    try:
        return Names(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise DataError(f"{path}: broken; restore it, or remove it, and dogs get new names") from None


def write_names(path: Path, names: Names) -> None:
    """For :func:`read_names`."""
    content = {
        "key": names.key,
        "last": names.last,
        "dog_of": dict(sorted(names.dog_of.items())),
        "split_of": dict(sorted(names.split_of.items())),
    }
    write_if_new(path, json.dumps(content, indent=0) + "\n")


def name_dogs(proposals: Sequence[Proposal], names: Names, order: Mapping[str, int]) -> dict[str, Proposal]:
    """The proposals by their names; `names` is brought up to date.

    A dog that fell in two leaves its name to the part that a person has seen, then to the larger one.

    Args:
        order: the place of each photograph in the set, by which new dogs are numbered.
    """
    claims = []
    for number, one in enumerate(proposals):
        for dog, count in Counter(names.dog_of[photo] for photo in one.photos if photo in names.dog_of).items():
            seen = sum(names.dog_of.get(photo) == dog for photo in one.seen)
            claims.append((-seen, -count, dog, number))
    called: dict[int, str] = {}
    taken: set[str] = set()
    for _, _, dog, number in sorted(claims):
        if number not in called and dog not in taken:
            called[number] = dog
            taken.add(dog)
    for number in sorted(range(len(proposals)), key=lambda at: min(order[photo] for photo in proposals[at].photos)):
        if number not in called:
            names.last += 1
            called[number] = f"dog_{names.last:04d}"
    result = {called[number]: one for number, one in enumerate(proposals)}
    names.dog_of |= {photo: dog for dog, one in result.items() for photo in one.photos}
    return dict(sorted(result.items()))
