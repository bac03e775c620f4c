"""Proposed dogs: what a person decided stands, and the other photographs are grouped within its bounds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from auxreid.assembling.clusters import NEVER, clusters
from auxreid.assembling.decisions import Verdict
from auxreid.assembling.thresholds import Thresholds


@dataclass(frozen=True)
class Proposal:
    """A dog, or what may be one.

    Attributes:
        photos: sorted.
        seen: those of which a person has said that they are one dog; empty where nobody has.
        doubt: from 0 to 1: how near it is to falling apart, or to joining another one. 0 where a person has seen all.
    """

    photos: tuple[str, ...]
    seen: frozenset[str]
    doubt: float

    @property
    def urgency(self) -> float:
        """By which a review is ordered: a doubt about many photographs is worth more than one about few."""
        return round(self.doubt * sqrt(len(self.photos)), 3)

    @property
    def is_single(self) -> bool:
        """Whether it is one photograph, like no other, that nobody has confirmed: perhaps of another's dog."""
        return len(self.photos) == 1 and not self.seen


def propose(
    photos: Sequence[str],
    alike: np.ndarray,
    apart: Iterable[tuple[int, int]],
    verdict: Verdict,
    thresholds: Thresholds,
) -> list[Proposal]:
    """Group photographs into dogs; rejected ones are in none. The order of the photographs changes nothing.

    Args:
        photos: their names [n].
        alike: float32 [n, n], see `likeness.py`.
        apart: pairs of positions that cannot be one dog.
    """
    place = {photo: at for at, photo in enumerate(photos)}
    alike = _kept_apart(alike, apart, place, verdict)
    dogs = [some for dog in verdict.dogs if (some := [photo for photo in dog if photo in place])]
    free = sorted(set(photos) - {photo for dog in dogs for photo in dog} - verdict.rejected)
    atoms = sorted([[photo] for photo in free] + dogs)
    known = [not verdict.seen.isdisjoint(atom) for atom in atoms]
    between = _between([[place[photo] for photo in atom] for atom in atoms], known, alike, thresholds)
    group = clusters(between, thresholds.link, thresholds.weakest)
    doubts = _doubts(group, np.array(known, bool), between, thresholds)
    found = []
    for number in range(group.max(initial=-1) + 1):
        inside = [atom for atom, own in zip(atoms, group, strict=True) if own == number]
        members = tuple(sorted(photo for atom in inside for photo in atom))
        found.append(Proposal(members, frozenset(verdict.seen.intersection(members)), doubts[number]))
    return sorted(found, key=lambda one: one.photos)


def _kept_apart(
    alike: np.ndarray, apart: Iterable[tuple[int, int]], place: dict[str, int], verdict: Verdict
) -> np.ndarray:
    """Likeness with `NEVER` where a constraint or a person says so; who confirmed a pair wins over a constraint."""
    alike = alike.copy()
    pairs = [*apart, *(tuple(place[photo] for photo in pair) for pair in verdict.apart if pair <= place.keys())]
    for one, other in pairs:
        alike[one, other] = alike[other, one] = NEVER
    return alike


def _between(atoms: list[list[int]], known: list[bool], alike: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """float32 [m, m]: the likeness of atoms: photographs, some that stay together, and dogs that a person has seen.

    It is the mean over pairs; to a dog that a person has seen, that to its nearest photographs.
    """
    lone = [atom[0] for atom in atoms]
    between = alike[np.ix_(lone, lone)].copy()
    flat, sizes = np.concatenate([*map(np.array, atoms), []]).astype(int), np.array([len(atom) for atom in atoms])
    starts = np.cumsum(sizes) - sizes
    several = [at for at, atom in enumerate(atoms) if len(atom) > 1 or known[at]]
    for at in sorted(several, key=lambda at: known[at]):
        to_own = alike[np.ix_(flat, atoms[at])]
        best = -np.sort(-to_own, axis=1)[:, : thresholds.nearest] - thresholds.seen if known[at] else to_own
        mean = np.add.reduceat(best.mean(axis=1), starts) / sizes
        never = np.minimum.reduceat(to_own.min(axis=1), starts) <= NEVER
        between[at] = between[:, at] = np.where(never, NEVER, mean)
    seen = np.flatnonzero(known)
    between[np.ix_(seen, seen)] = NEVER  # these are joined by a person alone
    np.fill_diagonal(between, 0)
    return between


def _doubts(group: np.ndarray, known: np.ndarray, between: np.ndarray, thresholds: Thresholds) -> list[float]:
    """Of each group the larger one of two: of its loosest member, and of the group that is most like it.

    The first is 1 at the weakest pair that is allowed and 0 at twice the link; the second is 0 and 1 where the mean
    likeness to the next group is the weakest pair's and the link.
    """
    count = int(group.max(initial=-1)) + 1
    inside = np.zeros((len(group), count), np.float32)
    inside[np.arange(len(group)), group] = 1
    sizes = inside.sum(axis=0)
    to_groups = between @ inside  # [m, count], sums over the groups' atoms
    across = (inside.T @ to_groups) / np.outer(sizes, sizes)
    np.fill_diagonal(across, NEVER)
    open_ = [~known[group == number].all() for number in range(count)]
    doubts = []
    for number in range(count):
        members = np.flatnonzero(group == number)
        loose = 0.0
        if len(members) > 1:
            held = to_groups[members, number] / (len(members) - 1)
            loose = (2 * thresholds.link - float(held.min())) / (2 * thresholds.link - thresholds.weakest)
        next_to = (float(across[number].max(initial=NEVER)) - thresholds.weakest) / (
            thresholds.link - thresholds.weakest
        )
        doubts.append(round(float(np.clip(max(loose, next_to), 0, 1)), 2) if open_[number] else 0.0)
    return doubts
