"""How good proposals are against labels, and what a review of them costs: a simulated person answers by the labels."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auxreid.assembling.decisions import Decision
from auxreid.assembling.proposals import Proposal

CANDIDATES = 5  # other dogs that the page shows beside one


@dataclass(frozen=True)
class Quality:
    """Of pairs of photographs: which share of the proposed ones is true, and which share of the true ones proposed."""

    precision: float
    recall: float
    dogs: int


def quality(proposals: Sequence[Proposal], truth: Mapping[str, str]) -> Quality:
    """Photographs without a label are passed over. Precision is 1 where no pair is proposed."""
    groups = [[truth[photo] for photo in one.photos if photo in truth] for one in proposals]
    proposed = sum(_pairs(len(group)) for group in groups)
    right = sum(_pairs(count) for group in groups for count in Counter(group).values())
    true = sum(_pairs(count) for count in Counter(dog for group in groups for dog in group).values())
    return Quality(right / proposed if proposed else 1.0, right / true if true else 1.0, len(proposals))


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def candidates(proposals: Sequence[Proposal], place: Mapping[str, int], alike: np.ndarray) -> dict[int, list[int]]:
    """For each proposal the others that are most like it, as the page shows them: by their most alike photographs."""
    at = [[place[photo] for photo in one.photos] for one in proposals]
    nearest = np.stack([alike[:, some].max(axis=1) for some in at], axis=1)  # [n, dogs]
    found = {}
    for number, some in enumerate(at):
        values = nearest[some].max(axis=0)
        values[number] = -np.inf
        found[number] = np.argsort(-values, kind="stable")[: min(CANDIDATES, len(at) - 1)].tolist()
    return found


def review(
    proposals: Sequence[Proposal],
    near: Mapping[int, Sequence[int]],
    truth: Mapping[str, str],
    sequence_of: Mapping[str, str],
    most: int,
) -> Iterator[tuple[list[Decision], int]]:
    """The decisions and the keys pressed at each of the first `most` proposals, the most urgent first.

    The person marks the photographs of other dogs than the most frequent one (a key for each, or for all of one
    sequence where these are of one dog), splits them off (a key for each dog), merges the shown candidates that are the
    same dog (a key each), and confirms (a key).
    """
    state = {number: set(one.photos) for number, one in enumerate(proposals)}
    order = sorted(range(len(proposals)), key=lambda at: (-proposals[at].urgency, proposals[at].photos))
    done = 0
    for number in (at for at in order if proposals[at].doubt > 0):
        if done == most:
            return
        if not state[number]:
            continue  # merged into another one before
        done += 1
        yield _looked_at(number, state, near[number], truth, sequence_of, f"{done:06d}")


def _looked_at(
    number: int,
    state: dict[int, set[str]],
    near: Sequence[int],
    truth: Mapping[str, str],
    sequence_of: Mapping[str, str],
    step: str,
) -> tuple[list[Decision], int]:
    photos = sorted(state[number])
    main, _ = min(Counter(truth[photo] for photo in photos).items(), key=lambda pair: (-pair[1], pair[0]))
    stays = [photo for photo in photos if truth[photo] == main]
    lines, keys = [], 0
    for dog in sorted({truth[photo] for photo in photos} - {main}):
        off = [photo for photo in photos if truth[photo] == dog]
        keys += _marks(off, photos, sequence_of) + 1
        lines += [Decision(f"{step}-1", "split", photo, other) for photo in off for other in stays]
        lines += [Decision(f"{step}-2", "together", photo, off[0]) for photo in off[1:]]
    for other in near:
        there = sorted(state[other])
        if there and all(truth[photo] == main for photo in there):
            keys += 1
            stays += there
            state[other] = set()
            lines += [Decision(f"{step}-3", "merge", photo, stays[0]) for photo in there]
    lines += [Decision(f"{step}-4", "confirm", photo, stays[0]) for photo in stays]
    state[number] = set()
    return lines, keys + 1


def _marks(off: Sequence[str], photos: Sequence[str], sequence_of: Mapping[str, str]) -> int:
    """How many keys mark some photographs of a dog."""
    there = Counter(sequence_of[photo] for photo in photos)
    of_each = Counter(sequence_of[photo] for photo in off)
    return sum(1 if count == there[sequence] else count for sequence, count in of_each.items())
