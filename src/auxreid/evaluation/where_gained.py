"""Where a row gained and lost against another: by how alike the strongest wrong match is, how well the query is seen,
and by cameras.

What is counted are ranked lists, one for each query and seed that both rows have. A group's difference is that of mAP
over its lists, with the interval that the whole comparison uses. Groups by value are thirds of the lists.

The wrong match is the other row's, so that a group is also one of what that row got right and wrong by chance: lists
without any can hardly gain. Two rows' figures against the same other row can be compared, group by group.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from auxreid.data.frames import Frames
from auxreid.evaluation.comparison import Interval, Row, interval_of, paired_seeds
from auxreid.evaluation.gained_lost import frame_positions
from auxreid.evaluation.scores import read_places
from auxreid.evaluation.statistics import estimate

ALL, NO_GROUP, NO_FRAME = "all lists", -1, -1
PAIRS_SHOWN = 8  # pairs of cameras; the others are one group
OTHER_PAIRS, NONE_WRONG = "other pairs", "no wrong match in the first places"
ALIKE = "attributes that query and strongest wrong match share"
CONFIDENCE, ANNOTATED = "mean confidence of the query's joints", "the query's joints that are annotated as seen"
CAMERA, CAMERAS = "camera of the query", "cameras of query and strongest wrong match"


@dataclass(frozen=True)
class Lists:
    """The ranked lists of a row beside those of another, s seeds by n queries."""

    names: tuple[str, str]  # of the row and of the other
    splits: tuple[int, ...]  # the split that each seed is evaluated on
    frame_id: np.ndarray  # int64 [n], of the queries
    difference: np.ndarray  # float64 [s, n] of AP in fractions; NaN where the seed does not ask, or without true match
    wrong: np.ndarray  # int64 [s, n], the other row's first wrong place; NO_FRAME: its first places are all right


@dataclass(frozen=True)
class Grouping:
    """A way to tell lists apart."""

    title: str
    names: tuple[str, ...]
    codes: np.ndarray  # int64 [s, n], places in `names`; NO_GROUP: nothing is known of the list


@dataclass(frozen=True)
class Part:
    """A group of lists, and what the row is before the other on them in points of per cent."""

    by: str  # the grouping's title
    name: str
    lists: int
    gained: int
    lost: int
    value: float
    interval: Interval


def read_lists(root: Path, row: Row, other: Row) -> Lists:
    """The lists of two rows under the seeds that both have.

    Raises:
        DataError: a score file is not there or has other columns.
        ValueError: the rows have no seed in common.
    """
    seeds = paired_seeds(row, other)
    pairs = [[one.queries[one.seeds.index(seed)] for one in (row, other)] for seed in seeds]
    frame_id = np.unique(np.concatenate([mine.frame_id for mine, _ in pairs]))
    difference = np.full((len(seeds), len(frame_id)), np.nan)
    wrong = np.full(difference.shape, NO_FRAME)
    for number, (seed, (mine, its)) in enumerate(zip(seeds, pairs, strict=True)):
        at = np.searchsorted(frame_id, mine.frame_id)
        difference[number, at] = mine.ranked.average_precision - its.ranked.average_precision
        places = read_places(root, other.scores[0].dataset, other.name, seed, np.arange(len(at)))
        false = [one.frame_id[~one.is_true] for one in places]
        wrong[number, at] = [frames[0] if len(frames) else NO_FRAME for frames in false]
    splits = tuple(row.scores[row.seeds.index(seed)].split for seed in seeds)
    return Lists((row.name, other.name), splits, frame_id, difference, wrong)


def groupings(lists: Lists, frames: Mapping[int, Frames], keypoints: Path | None) -> list[Grouping]:
    """All ways to tell the lists apart that the data set knows of; each has two groups at least.

    Args:
        frames: of each split that the lists are of, with its attributes.
        keypoints: the data set's keypoint table, where there is one; else its annotated keypoints are taken.

    Raises:
        DataError: the scores name a frame that is not there.
    """
    found = [by_attributes(lists, frames), by_visibility(lists, frames, keypoints), *by_cameras(lists, frames)]
    return [one for one in found if one is not None and len(np.unique(one.codes[one.codes != NO_GROUP])) > 1]


def by_attributes(lists: Lists, frames: Mapping[int, Frames]) -> Grouping | None:
    """By the share of equal attributes, among those known of both; None where the data set has none."""
    if not all(one.meta.attributes for one in frames.values()):
        return None
    shares = np.full(lists.difference.shape, np.nan)
    for number, split in enumerate(lists.splits):
        codes = _attribute_codes(frames[split])
        asked = _asked(lists, number) & (lists.wrong[number] != NO_FRAME)
        query = codes[frame_positions(frames[split], lists.frame_id[asked])]
        shares[number, asked] = share_of_equal(query, codes[frame_positions(frames[split], lists.wrong[number, asked])])
    thirds = by_thirds(ALIKE, shares, lambda share: f"{100 * share:.0f} %")
    return _with_none_wrong(thirds, lists)


def share_of_equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Share of equal codes among those known (not -1) of both, row by row: int64 [m, A] twice -> float64 [m].

    NaN where none is known of both.
    """
    both = (one >= 0) & (other >= 0)
    known = both.sum(axis=1)
    return np.divide((both & (one == other)).sum(axis=1), known, out=np.full(len(one), np.nan), where=known > 0)


def by_visibility(lists: Lists, frames: Mapping[int, Frames], keypoints: Path | None) -> Grouping | None:
    """By the mean confidence of the query's joints, or the share of them that is annotated as seen."""
    if keypoints is not None:
        numbers, seen = mean_confidence(keypoints)
        title, written = CONFIDENCE, "{:.2f}".format
    else:
        some = next(iter(frames.values()))  # keypoints are the same in each split
        points, annotated = some.keypoints()
        if not annotated.any():
            return None
        numbers, seen = some.frame_id[annotated], (points[annotated][..., 2] > 1).mean(axis=1)  # COCO's 2: seen
        title, written = ANNOTATED, lambda share: f"{100 * share:.0f} %"
    order = np.argsort(numbers, kind="stable")
    place = np.searchsorted(numbers[order], lists.frame_id).clip(max=len(numbers) - 1)
    known = numbers[order][place] == lists.frame_id
    of_query = np.where(known, seen[order][place], np.nan)  # [n]
    asked = np.stack([_asked(lists, number) for number in range(len(lists.splits))])
    return by_thirds(title, np.where(asked, of_query, np.nan), written)


def mean_confidence(keypoints: Path) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers [m] of a keypoint table, and the mean confidence of their joints [m]."""
    table = pq.read_table(keypoints, columns=["frame_id", "keypoints"])
    points = table["keypoints"].combine_chunks().flatten().to_numpy()  # x, y and confidence, joint after joint
    return table["frame_id"].to_numpy(), points.reshape(table.num_rows, -1, 3)[..., 2].mean(axis=1, dtype=np.float64)


def by_cameras(lists: Lists, frames: Mapping[int, Frames]) -> list[Grouping]:
    """By the query's camera, and by the pair of it and that of the strongest wrong match; none without cameras."""
    query, wrong = (np.zeros(lists.difference.shape, np.int64) for _ in range(2))
    for number, split in enumerate(lists.splits):
        asked = _asked(lists, number)
        query[number, asked] = frames[split].camera[frame_positions(frames[split], lists.frame_id[asked])]
        asked = asked & (lists.wrong[number] != NO_FRAME)
        wrong[number, asked] = frames[split].camera[frame_positions(frames[split], lists.wrong[number, asked])]
    if not query.any():
        return []
    names, codes = np.unique(query, return_inverse=True)
    codes = np.where(query > 0, codes.reshape(query.shape), NO_GROUP)
    return [Grouping(CAMERA, tuple(map(str, names)), codes), _camera_pairs(query, wrong, lists)]


def _camera_pairs(query: np.ndarray, wrong: np.ndarray, lists: Lists) -> Grouping:
    """The pairs that most lists are of, in the order of cameras; what is left is one group."""
    pairs = np.sort(np.stack([query, wrong], axis=-1), axis=-1)  # [s, n, 2]
    known = (query > 0) & (wrong > 0)
    unique, codes, counts = np.unique(pairs[known], axis=0, return_inverse=True, return_counts=True)
    shown = np.sort(np.argsort(-counts, kind="stable")[:PAIRS_SHOWN])
    names = [f"{one} and {two}" if one != two else f"{one} alone" for one, two in unique[shown]]
    place = np.full(len(unique), len(shown))
    place[shown] = np.arange(len(shown))
    found = np.full(query.shape, NO_GROUP)
    found[known] = place[codes.reshape(-1)]
    return _with_none_wrong(Grouping(CAMERAS, (*names, OTHER_PAIRS), found), lists)


def by_thirds(title: str, values: np.ndarray, written: Callable[[float], str]) -> Grouping | None:
    """Thirds of the known values [s, n]; equal values stay together, so that there may be fewer groups.

    Returns:
        None where nothing is known.
    """
    known = ~np.isnan(values)
    if not known.any():
        return None
    edges = np.unique(np.quantile(values[known], [1 / 3, 2 / 3], method="inverted_cdf"))
    edges = edges[edges < values[known].max()]
    codes = np.where(known, np.searchsorted(edges, values), NO_GROUP)
    texts = [written(edge) for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    names = [f"up to {texts[0]}", *between, f"above {texts[-1]}"] if texts else [written(values[known].max())]
    return Grouping(title, tuple(names), codes)


def _with_none_wrong(found: Grouping | None, lists: Lists) -> Grouping | None:
    """A further group of the lists whose first places are all right."""
    if found is None:
        return None
    right = (lists.wrong == NO_FRAME) & ~np.isnan(lists.difference)
    return Grouping(found.title, (*found.names, NONE_WRONG), np.where(right, len(found.names), found.codes))


def parts(lists: Lists, found: list[Grouping], level: float) -> list[Part]:
    """All lists, then each group that has one, in the order of the groupings and their names."""
    everything = Grouping(ALL, (ALL,), np.zeros(lists.difference.shape, np.int64))
    made = []
    for grouping in (everything, *found):
        for code, name in enumerate(grouping.names):
            values = np.where(grouping.codes == code, lists.difference, np.nan)
            if not np.isnan(values).all():
                made.append(_part(grouping.title, name, values, level))
    return made


def _part(by: str, name: str, values: np.ndarray, level: float) -> Part:
    whole = estimate(values)
    gained, lost = int((values > 0).sum()), int((values < 0).sum())
    return Part(by, name, int((~np.isnan(values)).sum()), gained, lost, 100 * whole.mean, interval_of(whole, level))


def parts_csv(of_rows: Mapping[tuple[str, str], list[Part]]) -> str:
    """The table behind the figures: a line per row, what it is compared with, and group; points of per cent."""
    columns = ("row", "against", "by", "group", "lists", "gained", "lost", "difference", "low", "high")
    lines = [
        (*names, one.by, one.name, one.lists, one.gained, one.lost, one.value, one.interval.low, one.interval.high)
        for names, found in of_rows.items()
        for one in found
    ]
    table = pd.DataFrame.from_records(lines, columns=list(columns))
    return table.round(2).replace({-0.0: 0.0}).to_csv(index=False, lineterminator="\n")


def _asked(lists: Lists, number: int) -> np.ndarray:
    """bool [n]: the queries that have a difference under a seed."""
    return ~np.isnan(lists.difference[number])


def _attribute_codes(frames: Frames) -> np.ndarray:
    """int64 [m, A] of all frames."""
    return np.stack([frames.attribute_codes(name) for name in frames.meta.attributes], axis=1)
