"""What of a study a data set makes impossible, told from its frames before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from auxreid.clip.frame_captions import FrameCaptions
from auxreid.clipreid.body_coordinates import trunk_ends
from auxreid.clipreid.row_settings import row_settings
from auxreid.data.frames import Frames
from auxreid.data.layouts.listed import TABLES
from auxreid.evaluation.protocols import APART, EVALUATED, Entities, query_and_gallery
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.recipes import RecipeConfig
from auxreid.plumbing.settings.rows import AblationConfig


@dataclass(frozen=True)
class Study:
    """What is asked of a data set."""

    recipe: str  # its name in params.yaml
    settings: RecipeConfig
    rows: Mapping[str, AblationConfig]  # those that apply to the data set
    captioned: Frames | None  # training images of the data set whose captions pre-train the CLIP; None: none do
    joints: Sequence[str] = ()  # of its HRNet; none where they are not known yet
    labelled: bool = False  # all of `captioned` get their attributes, hence a caption, from a model


def study_faults(frames: Frames, study: Study) -> Iterator[str]:
    """A line for everything that cannot be: what params.yaml asks, what was found, and the remedy.

    Args:
        frames: all of the data set, in one of its splits.
    """
    of_rows = _training_faults(frames, study), _pose_faults(study)
    for fault in chain(_caption_faults(study), *of_rows, ranking_faults(frames)):
        yield f"{frames.meta.dataset}: {fault}"


def _caption_faults(study: Study) -> Iterator[str]:
    if study.captioned is None:
        return
    key, asked = f"recipes.{study.recipe}.pretrain", study.settings.pretrain.batch_size
    try:
        found = len(study.captioned) if study.labelled else len(FrameCaptions(study.captioned).rows)
    except DataError as error:
        yield f"{key}: {error}"
        return
    if found < asked:
        whose = study.captioned.meta.dataset
        yield (
            f"{key}.batch_size = {asked}, and {found} training images of {whose} have a caption: not one batch; "
            f"lower it to {found} at most"
        )


def _training_faults(frames: Frames, study: Study) -> Iterator[str]:
    identities = frames.where("train").identity
    people = len(np.unique(identities[identities > 0]))
    if not people:
        yield (
            f"recipes.{study.recipe}.finetune learns to tell individuals apart, and none of {len(identities)} training "
            f"images says whom it shows{_where_named(frames)}; name them, or take a recipe that trains no chain"
        )
        return
    for key, asked in _batches_asked(study).items():
        if asked > people:
            remedy = f"lower it to {people} at most" if people > 1 else "a second one is needed"
            yield f"{key} = {asked} individuals in a batch, and split train has {people}; {remedy}"


def _pose_faults(study: Study) -> Iterator[str]:
    for name, row in study.rows.items() if study.joints else ():
        if row.pose is not None and row.pose.coordinates is not None:
            try:
                trunk_ends(study.joints)
            except DataError as error:
                yield f"ablations.{name}.pose.coordinates = {row.pose.coordinates!r}: {error}"


def _batches_asked(study: Study) -> dict[str, int]:
    """How many individuals a batch of stage 2 holds, by the key that says so."""
    asked = {}
    for name, row in study.rows.items():
        own = "identities" in (row.finetune or {})
        key = f"ablations.{name}" if own else f"recipes.{study.recipe}"
        asked[f"{key}.finetune.identities"] = row_settings(study.settings.finetune, row).identities
    return asked


def ranking_faults(frames: Frames) -> Iterator[str]:
    """What makes an evaluation impossible; without the data set's name."""
    evaluated, protocol = frames.where(EVALUATED), frames.meta.protocol
    tested = frames.where((*EVALUATED, "test"))
    empty = [name for name in EVALUATED if name not in evaluated.split]
    if not len(tested):  # what the ingest refuses
        return
    if empty:
        yield f"protocol {protocol}: no {' and no '.join(empty)} images: {_why_empty(tested)}"
        return
    try:
        query, gallery = query_and_gallery(evaluated, np.empty((len(evaluated), 0), np.float32), protocol)
    except DataError as error:
        yield str(error)
        return
    if not _has_match(query, gallery):
        why = _why_alone(query, gallery, protocol, frames.meta.layout)
        yield f"protocol {protocol}: no query has a true match in the gallery: {why}"


def _has_match(query: Entities, gallery: Entities) -> bool:
    """Whether any query finds its individual in the gallery, apart from its own camera or sequence."""
    groups: dict[int, set[int]] = {}
    for identity, group in zip(gallery.identity.tolist(), gallery.group.tolist(), strict=True):
        groups.setdefault(identity, set()).add(group)
    asked = zip(query.identity.tolist(), query.group.tolist(), strict=True)
    return any(identity > 0 and groups.get(identity, set()) - {group} for identity, group in asked)


def _why_alone(query: Entities, gallery: Entities, protocol: str, layout: str) -> str:
    shared = np.intersect1d(query.identity[query.identity > 0], gallery.identity)
    if not len(shared):
        return "no individual of the query is in the gallery"
    what, where = APART[protocol]
    where = f"the column {what} of the table" if layout == "csv" else where
    groups = np.unique(np.concatenate([query.group, gallery.group]))
    count = f"all are of one {what}" if len(groups) == 1 else f"each is there in the query's own {what} alone"
    who = f"{len(shared)} individual{'s are' if len(shared) > 1 else ' is'}"
    return f"{who} in both, but {count}, and a match must be of another; see {where}"


def _why_empty(tested: Frames) -> str:
    if not (tested.identity > 0).any():
        return f"none of {len(tested)} test images says whom it shows{_where_named(tested)}"
    if tested.meta.layout in TABLES:
        what, (table, _, one) = APART[tested.meta.protocol][0], TABLES[tested.meta.layout]
        return f"no test {one} has two {what}s, of which one could ask for the other; see the column {what} of {table}"
    return f"the {len(tested)} test images are all {' or '.join(sorted(set(tested.split)))}"


def _where_named(frames: Frames) -> str:
    if frames.meta.layout not in TABLES:
        return ""
    table, column, _ = TABLES[frames.meta.layout]
    return f"; see the column {column} of {table}"
