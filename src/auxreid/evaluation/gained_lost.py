"""Pictures of the queries at which a row gained and lost most against another: both ranked lists side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from auxreid.data.frames import Frames
from auxreid.evaluation.comparison import Row, paired_seeds
from auxreid.evaluation.ranked_lists import (
    Entry,
    draw_lists,
    frame_captions,
    place_entries,
    query_entry,
)
from auxreid.evaluation.scores import Places, read_places
from auxreid.plumbing.base.errors import DataError


@dataclass(frozen=True)
class Change:
    """One query under the reference row (first of each pair) and under another row (second)."""

    frame_id: int  # of the query
    average_precision: tuple[float, float]
    places: tuple[Places, Places]


def most_changed(difference: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the queries that gained most and of those that lost most, `count` each, the greatest change first.

    Args:
        difference: of the queries' APs, float [q]; NaN where a query has no true match.

    Returns:
        gained and lost, int64 [up to count] each; equal changes come in query order, no change is neither.
    """
    gained = np.argsort(-difference, kind="stable")  # NaN comes last
    lost = np.argsort(difference, kind="stable")
    return gained[difference[gained] > 0][:count], lost[difference[lost] < 0][:count]


def read_changes(root: Path, row: Row, reference: Row, count: int) -> list[Change]:
    """The `count` queries that gained most against the reference row, then as many that lost most.

    With several seeds these are the models of the first seed that both rows have: a ranked list is one model's.

    Raises:
        DataError: a score file is not there or has other columns.
        ValueError: the rows have no seed in common.
    """
    common = paired_seeds(row, reference)
    pair = [(one, one.queries[one.seeds.index(common[0])]) for one in (reference, row)]
    before, after = (queries.ranked.average_precision for _, queries in pair)
    chosen = np.concatenate(most_changed(after - before, count))
    places = (read_places(root, one.scores[0].dataset, one.name, common[0], chosen) for one, _ in pair)
    frame_id = pair[0][1].frame_id
    return [
        Change(int(frame_id[query]), (float(before[query]), float(after[query])), both)
        for query, both in zip(chosen, zip(*places, strict=True), strict=True)
    ]


def draw_changes(changes: Sequence[Change], names: tuple[str, str], frames: Frames) -> Image.Image:
    """Two lines per query: the query with the first places of the reference row, then those of the other row.

    Args:
        names: of the reference row and of the other, written above their lines with the query's AP.
        frames: with all frames that the changes name.

    Raises:
        DataError: a frame is not there (its number is named).
        ValueError: no change.
    """
    wanted = np.unique([number for change in changes for number in _frame_ids(change)])
    shown = frames.take(frame_positions(frames, wanted))
    captions = frame_captions(shown)
    lists = [line for change in changes for line in _lines(change, wanted, captions)]
    titles = [
        f"{name}: AP {precision:.3f}"
        for change in changes
        for name, precision in zip(names, change.average_precision, strict=True)
    ]
    return draw_lists(lists, shown.image, titles)


def _frame_ids(change: Change) -> list[int]:
    return [change.frame_id, *np.concatenate([places.frame_id for places in change.places]).tolist()]


def frame_positions(frames: Frames, wanted: np.ndarray) -> np.ndarray:
    """Where the frames of these numbers are, int64 [n].

    Raises:
        DataError: one is not there (its number is named).
    """
    order = np.argsort(frames.frame_id, kind="stable")
    found = np.searchsorted(frames.frame_id, wanted, sorter=order)
    there = np.isin(wanted, frames.frame_id)
    if not there.all():
        raise DataError(f"{frames.meta.dataset}: the scores name frame {wanted[~there][0]}, which is not in its frames")
    return order[found]


def _lines(change: Change, wanted: np.ndarray, captions: Sequence[str]) -> list[list[Entry | None]]:
    """Entries whose frames are positions in `wanted`, the ascending numbers of frames; the query stands once."""
    query = int(np.searchsorted(wanted, change.frame_id))
    firsts = (query_entry(query, captions, "query"), None)
    return [
        [first, *place_entries(np.searchsorted(wanted, places.frame_id), places.is_true, captions)]
        for first, places in zip(firsts, change.places, strict=True)
    ]
