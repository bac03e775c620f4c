"""Training on some of a data set's identities: evenly chosen, or one of several parts that share nobody."""

from collections.abc import Collection, Sequence
from typing import Any

from auxreid.data.checks import Checked
from auxreid.plumbing.base.errors import DataError


def chosen_identities(identities: Collection[int], asked: Any) -> list[int]:
    """The identities to train on.

    Sorted, they are dealt in turns to `parts`; of the asked `part`, `count` are taken at equal steps from the first on,
    so that 50 of 200 are among 100 of the same 200.

    Args:
        asked: `train_identities` of a data set's configuration.

    Raises:
        DataError: there are fewer, or the part has nobody.
    """
    people = sorted(identities)
    where = f"split train has {len(people)} identities"
    if asked.parts is not None:
        people = people[asked.part :: asked.parts]
        where += f", and {len(people)} of them are in part {asked.part} of {asked.parts}"
    count = len(people) if asked.count is None else asked.count
    if not 0 < count <= len(people):
        raise DataError(f"train_identities asks for {count or 'some'}: {where}")
    return [people[place * len(people) // count] for place in range(count)]


def with_fewer_identities(
    images: Sequence[Checked], splits: Sequence[dict[str, list[int]]], asked: Any
) -> tuple[list[Checked], list[dict[str, list[int]]], str]:
    """Without the training images of the identities that are not chosen: the images, the splits, and a note of it.

    Of repeated splits, each has its own choice; images stay of whoever trains or is tested in any of them. Images of
    nobody known stay.

    Raises:
        DataError: see `chosen_identities`.
    """
    known = {one.source.identity for one in images if one.source.split == "train" and one.source.identity > 0}
    trained, tested = known.union(*(one["train"] for one in splits)), {who for one in splits for who in one["test"]}
    fewer = [one | {"train": chosen_identities(one["train"], asked)} for one in splits]
    kept = {who for one in fewer for who in one["train"]} if splits else set(chosen_identities(known, asked))
    out = trained - kept - tested
    remaining = [one for one in images if one.source.identity not in out]
    part = "" if asked.parts is None else f", those of part {asked.part} of {asked.parts}"
    number = len(kept) if not splits else len(fewer[0]["train"])
    note = f"train_identities: {number} of {len(known)} training identities are kept{part}; left out are "
    note += f"{len(images) - len(remaining)} training images of others"
    return remaining, fewer, note
