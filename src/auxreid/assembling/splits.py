"""Train, val and test that share no dog and no sequence; a dog that had a split keeps it where that can be."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from auxreid.data.layouts.listed import SHARES
from auxreid.data.splits import linked_groups


def split_dogs(
    pairs: Sequence[tuple[str, str]], single: Collection[str], before: Mapping[str, str], seed: int
) -> dict[str, str]:
    """The split of each dog.

    Dogs that share a sequence are dealt together. A group of which some dogs had a split gets that of most of them; the
    others are dealt in random order, each to the split that lacks most of its share.

    Args:
        pairs: dog and sequence of each photograph.
        single: dogs that may be none of their own: groups of these alone are dealt apart, so that each split has its
            share of both.
        before: splits of dogs in the last run.
    """
    group_of = linked_groups(sorted(set(pairs)))
    groups: dict[int, list[str]] = defaultdict(list)
    for dog, number in group_of.items():
        groups[number].append(dog)
    whole = {number: [dog for dog in dogs if dog not in single] for number, dogs in groups.items()}
    named = {number: len(dogs) for number, dogs in whole.items() if dogs}
    others = {number: len(dogs) for number, dogs in groups.items() if number not in named}
    part_of = {**_deal(named, groups, before, seed), **_deal(others, groups, before, seed)}
    return {dog: part_of[number] for dog, number in group_of.items()}


def _deal(
    weights: Mapping[int, int], groups: Mapping[int, list[str]], before: Mapping[str, str], seed: int
) -> dict[int, str]:
    lacking = {part: share * sum(weights.values()) for part, share in SHARES.items()}
    part_of: dict[int, str] = {}
    for number, weight in weights.items():
        had = Counter(before[dog] for dog in groups[number] if dog in before)
        if had:
            part_of[number] = min(had, key=lambda part: (-had[part], part))
            lacking[part_of[number]] -= weight
    new = sorted(weights.keys() - part_of.keys())
    for number in np.random.default_rng(seed).permutation(new).tolist():
        part_of[number] = max(lacking, key=lambda part: lacking[part])
        lacking[part_of[number]] -= weights[number]
    return part_of
