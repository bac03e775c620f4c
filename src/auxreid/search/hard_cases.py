"""The hard case as a picture: a query whose nearest dog by likeness is another one, alike to the metric model and less
like it in its attributes than the true one, and which the fusion puts right."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from auxreid.data.frames import Frames
from auxreid.evaluation.ranked_lists import draw_lists, first_places, frame_captions, ranked_list
from auxreid.evaluation.ranking import nearest
from auxreid.search.asked import Asked, Seed
from auxreid.search.evaluate import FUSION, VISUAL_ONLY, Evaluation
from auxreid.search.fusion import VISUAL

NAMED = 3  # terms in a title


@dataclass(frozen=True)
class HardCase:
    """A query, and by how much less the attributes speak for the dog that likeness took than for the true one."""

    query: int  # place among the queries
    less: dict[str, float]  # per attribute the difference of the two terms, in nats


def hard_cases(evaluation: Evaluation, count: int) -> list[HardCase]:
    """Of the first seed, at most so many; those of the largest differences come first."""
    before, after = (evaluation.row(name).first for name in (VISUAL_ONLY, FUSION))
    if before is None or after is None:
        return []
    seed, found = evaluation.seeds[0], []
    for row in np.flatnonzero((before.ranked.first_match_rank > 1) & (after.ranked.first_match_rank == 1)):
        wrong, right = (_terms(seed, one.asked, int(row), _first(one.asked, int(row))) for one in (before, after))
        less = {name: wrong[name] - right[name] for name in wrong if name != VISUAL}
        if sum(less.values()) < 0:
            found.append(HardCase(int(row), less))
    return sorted(found, key=lambda one: sum(one.less.values()))[:count]


def hard_case_picture(evaluation: Evaluation, frames: Frames, count: int) -> Image.Image | None:
    """Two ranked lists of each case, by likeness alone and by the fusion; None where there is no such case.

    Args:
        frames: the test frames that were evaluated.
    """
    cases = hard_cases(evaluation, count)
    if not cases:
        return None
    captions, lists, titles = frame_captions(frames), [], []
    for case in cases:
        for name, title in (
            (VISUAL_ONLY, f"{VISUAL_ONLY}: the first is less like it in {told(case)}"),
            (FUSION, FUSION),
        ):
            judged = evaluation.row(name).first
            places = first_places(-judged.asked.scores, judged.asked.query, judged.asked.gallery)
            lists.append(ranked_list(case.query, judged.asked.query, places, judged.ranked, captions))
            titles.append(title)
    return draw_lists(lists, frames.image, titles)


def told(case: HardCase) -> str:
    """ "color -2.1, ears -0.7", the largest differences."""
    largest = sorted(case.less.items(), key=lambda item: item[1])[:NAMED]
    return ", ".join(f"{name} {value:+.1f}" for name, value in largest if value < -0.05)


def _first(asked: Asked, row: int) -> int:
    """The gallery photograph that is ranked first for a query."""
    query, gallery = asked.query, asked.gallery
    labels = query.identity[row], query.group[row], gallery.identity, gallery.group
    places, _ = nearest(-asked.scores[row], *labels, 1)
    return int(places[0])


def _terms(seed: Seed, asked: Asked, row: int, entry: int) -> dict[str, float]:
    own, theirs = (seed.looks.take(part.members[place]) for part, place in ((asked.query, row), (asked.gallery, entry)))
    return {name: float(values[0]) for name, values in seed.fusion.terms(own, theirs, {}).items()}
