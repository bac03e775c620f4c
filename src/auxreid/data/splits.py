"""Ways to divide individuals into train and test: seeded halves, splits from a file, and groups dealt by weight."""

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

from auxreid.plumbing.base.errors import DataError

SPLIT_SEED = 0  # splits are part of a protocol, not of a run: all runs share them


def half_splits(identities: Sequence[int], n_splits: int, seed: int = SPLIT_SEED) -> list[dict[str, list[int]]]:
    """Draw `n_splits` random divisions of the identities into equal halves; of an odd number, test gets one more.

    Raises:
        DataError: fewer than two identities.
    """
    people = np.array(sorted(identities))
    if len(people) < 2:
        raise DataError(f"{len(people)} people take part in the splits, at least 2 are needed")
    halves = []
    for number in range(n_splits):
        order = np.random.default_rng([seed, number]).permutation(people)
        train, test = order[: len(people) // 2], order[len(people) // 2 :]
        halves.append({"train": sorted(train.tolist()), "test": sorted(test.tolist())})
    return halves


def read_splits(path: Path, known: Mapping[str, int], needed: int = 1) -> list[dict[str, list[int]]]:
    """Read a list of {"train": [names], "test": [names]} objects and return identity numbers in place of names.

    Args:
        path: a JSON file.
        known: the people who may be named, and their identity numbers.
        needed: how many splits the file must have at least.

    Raises:
        DataError: no such file, another structure, too few splits, an unknown person, or one who is in both halves or
            twice in one.
    """
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; without the key `splits`, splits are drawn") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not isinstance(splits, list) or not splits:
        raise DataError(f"{path}: expected a list of splits, found {type(splits).__name__}")
    if len(splits) < needed:
        raise DataError(f"{path}: {len(splits)} splits, the data set's n_splits is {needed}")
    faults = [fault for number, split in enumerate(splits) for fault in _split_faults(split, known, f"split {number}")]
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
    return [{half: sorted(known[name] for name in split[half]) for half in ("train", "test")} for split in splits]


def _split_faults(split: object, known: Mapping[str, int], where: str) -> list[str]:
    if not isinstance(split, dict) or not all(isinstance(split.get(half), list) for half in ("train", "test")):
        return [f"{where}: expected an object with the lists train and test"]
    faults = [f"{where}: {half} is empty" for half in ("train", "test") if not split[half]]
    names = split["train"] + split["test"]
    unknown = sorted({str(name) for name in names if name not in known})
    if unknown:
        allowed = f"{len(known)} people, {min(known)} to {max(known)}" if known else "nobody"
        faults.append(f"{where}: unknown people {', '.join(unknown)}; known to this protocol are {allowed}")
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        faults.append(f"{where}: named more than once: {', '.join(repeated)}")
    return faults


def linked_groups(pairs: Sequence[tuple[Hashable, Hashable]]) -> dict[Hashable, int]:
    """Number the groups of left members that are linked, directly or through others, by a shared right member.

    Two dogs filmed in one sequence are linked: (dog, sequence) pairs give groups that share no dog and no sequence.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for left, right in pairs:
        ends = [("left", left), ("right", right)]
        for end in ends:
            parent.setdefault(end, end)
        parent[root(ends[1])] = root(ends[0])
    numbers: dict[Hashable, int] = {}
    return {left: numbers.setdefault(root(("left", left)), len(numbers)) for left in dict.fromkeys(p[0] for p in pairs)}


def deal(weights: Mapping[int, int], shares: Mapping[str, float], seed: int = SPLIT_SEED) -> dict[int, str]:
    """Deal groups of given weights to named parts in random order, each to the part that lacks most of its share.

    Args:
        weights: the weight of each group, for example how many dogs it has.
        shares: the share of the whole weight that each part should get; they sum to 1.
    """
    total = sum(weights.values())
    lacking = {part: share * total for part, share in shares.items()}
    dealt = {}
    for group in np.random.default_rng(seed).permutation(sorted(weights)).tolist():
        part = max(lacking, key=lambda name: lacking[name])
        lacking[part] -= weights[group]
        dealt[group] = part
    return dealt
