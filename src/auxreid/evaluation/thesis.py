"""Table 2 of the thesis: what its author measured on Market-1501 with CLIP's RN50. None of these figures is ours."""

from typing import NamedTuple


class ThesisRow(NamedTuple):
    """A row of Table 2, in per cent."""

    epochs: int  # of stage 2
    mAP: float
    CMC_1: float


LAYOUT = "market1501"  # the only data set that the thesis gives figures for

TABLE_2 = {
    "visual_only": ThesisRow(120, 88.1, 94.7),
    "clip_reid": ThesisRow(120, 89.8, 95.7),
    "clip_reid_twice": ThesisRow(120, 89.7, 95.4),
    "attribute_prompts": ThesisRow(120, 85.5, 94.2),
    "attribute_smoothing_stage1": ThesisRow(120, 88.9, 95.6),
    "attribute_smoothing_both": ThesisRow(120, 16.7, 29.8),
    "keypoints_raw": ThesisRow(120, 87.5, 94.3),
    "keypoints_unit": ThesisRow(360, 88.1, 94.9),
    "keypoints_mean_norm": ThesisRow(480, 88.9, 95.3),
    "hrnet_mean_norm": ThesisRow(480, 88.1, 95.1),
}


def thesis_row(layout: str, name: str, form: str) -> ThesisRow | None:
    """The thesis's figures for a row of a data set of this layout: it ran Market-1501, and the thesis forms alone."""
    return TABLE_2.get(name) if layout == LAYOUT and form == "thesis" else None
