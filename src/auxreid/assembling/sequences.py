"""Which photographs are of one moment: by their time and likeness, or by likeness alone."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auxreid.assembling.items import Item, same_photograph
from auxreid.assembling.thresholds import Thresholds


def sequences(items: Sequence[Item], alike: np.ndarray, thresholds: Thresholds) -> list[str]:
    """The name of each photograph's sequence, made of its first photograph's.

    Neighbours in time are one sequence if they are `burst_s` apart at most, or `sequence_s` and alike. Photographs
    without a time stand in the order of their names, and are one only if they are as alike as few of different dogs
    are. Crops of one photograph are one in any case.
    """
    links = [*same_photograph(items)]
    for order, timed in orders(items):
        for one, other in pairwise(order):
            if _linked(items[one], items[other], alike[one, other], timed, thresholds):
                links.append((one, other))
    count = len(items)
    rows, columns = np.array(links, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links), bool), (rows, columns)), (count, count))
    group = connected_components(graph, directed=False)[1] if count else []
    first: dict[int, str] = {}
    for item, number in sorted(zip(items, group, strict=True), key=lambda pair: _order(pair[0])):
        first.setdefault(int(number), item.photo)
    return [f"seq_{first[int(number)]}" for number in group]


def orders(items: Sequence[Item]) -> list[tuple[list[int], bool]]:
    """Positions in the orders in which photographs follow each other, each with whether it is by time."""
    streams: dict[tuple[bool, str], list[int]] = {}
    for position, item in enumerate(items):
        timed = item.is_frame or item.look.taken is not None
        stream = item.stream if item.is_frame or not timed else ""
        streams.setdefault((timed, stream), []).append(position)
    return [(sorted(some, key=lambda at: _order(items[at])), key[0]) for key, some in sorted(streams.items())]


def _order(item: Item) -> tuple:
    taken = item.look.taken
    return (item.is_frame, taken is None, taken or 0.0, item.stream, item.place, item.photo)


def _linked(one: Item, other: Item, alike: float, timed: bool, thresholds: Thresholds) -> bool:
    if not timed:
        return alike >= thresholds.neighbour_likeness
    gap = abs(_second(other) - _second(one))
    near = gap <= thresholds.sequence_s and alike >= thresholds.sequence_likeness
    return near or gap <= thresholds.burst_s


def _second(item: Item) -> float:
    return item.second if item.is_frame else item.look.taken
