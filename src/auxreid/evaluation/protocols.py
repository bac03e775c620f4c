"""Who asks and who is searched: the evaluation protocol of each data set, from frames and their embeddings.

What is ranked is an entity: one image, or in PRID2011's multi-shot protocol one person's track in one camera.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.base.errors import DataError

EVALUATED = ("query", "gallery")
# By protocol: what a true match must differ in, and where the data set says it.
APART = {
    "market1501": ("camera", "c<camera> of the file names"),
    "prid2011_single_shot": ("camera", "the folders cam_a and cam_b"),
    "prid2011_multi_shot": ("camera", "the folders cam_a and cam_b"),
    "dogs": ("sequence", "the column sequence of frames.csv"),
}


@dataclass(frozen=True)
class Entities:
    """m entities of a query or gallery set, made of one frame or several each."""

    embedding: np.ndarray  # float32 [m, d]
    identity: np.ndarray  # int64 [m]; -1 junk, 0 distractor
    group: np.ndarray  # int64 [m]; a gallery entity of the query's identity and group is no match for it
    representative: np.ndarray  # int64 [m], the frame that stands for it in a picture: a position in the frames
    members: tuple[np.ndarray, ...]  # m times int64 [k], positions in the frames

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.embedding, self.identity, self.group, self.representative)}
        if lengths != {len(self.members)}:
            raise ValueError(f"{len(self.members)} entities, but columns of lengths {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.members)


def open_evaluated(path: str | Path, split: int) -> Frames:
    """The query and gallery frames of one of the data set's splits.

    Raises:
        DataError: the file is not a frames file, or has no query or no gallery frames in this split.
    """
    frames = open_frames(path, split=split).where(split=EVALUATED)
    missing = [name for name in EVALUATED if name not in frames.split]
    if missing:
        raise DataError(f"{path}: split {split} has no {' and no '.join(missing)} frames, there is nothing to rank")
    return frames


def query_and_gallery(frames: Frames, embedding: np.ndarray, protocol: str) -> tuple[Entities, Entities]:
    """Query and gallery entities of the frames whose split is query or gallery.

    Args:
        frames: n frames; those of other splits take no part.
        embedding: [n, d], one row per frame.
        protocol:
            market1501: image against image, the group is the camera.
            prid2011_single_shot: the same with one image per person and camera.
            prid2011_multi_shot: a person's track in a camera is the plain mean of its frames' embeddings, not
                normalised again.
            dogs: image against image, the group is the sequence; an image of no sequence is a group of its own.

    Raises:
        DataError: another protocol, embeddings that do not fit the frames, or several images of one person in a camera
            under the single-shot protocol.
    """
    if protocol not in PROTOCOLS:
        raise DataError(f"protocol {protocol!r}, allowed: {', '.join(PROTOCOLS)}")
    if len(embedding) != len(frames):
        raise DataError(f"{len(embedding)} embeddings for {len(frames)} frames of {frames.meta.dataset}")
    query, gallery = (
        PROTOCOLS[protocol](frames, embedding, np.flatnonzero(frames.split == name)) for name in EVALUATED
    )
    return query, gallery


def _images_by_camera(frames: Frames, embedding: np.ndarray, rows: np.ndarray) -> Entities:
    return _images(frames, embedding, rows, frames.camera.astype(np.int64))


def _images_by_sequence(frames: Frames, embedding: np.ndarray, rows: np.ndarray) -> Entities:
    _, group = np.unique(frames.sequence.astype(str), return_inverse=True)  # one numbering for query and gallery
    alone = frames.sequence == ""
    group[alone] = -1 - np.flatnonzero(alone)
    return _images(frames, embedding, rows, group)


def _single_shot(frames: Frames, embedding: np.ndarray, rows: np.ndarray) -> Entities:
    for identity, camera, track in _tracks(frames, rows):
        if len(track) > 1:
            raise DataError(
                f"{frames.meta.dataset}: {len(track)} images of identity {identity} in camera {camera} (the first is "
                f"{frames.path[track[0]]}), the single-shot protocol takes one"
            )
    return _images_by_camera(frames, embedding, rows)


def _multi_shot(frames: Frames, embedding: np.ndarray, rows: np.ndarray) -> Entities:
    tracks = _tracks(frames, rows)
    return Entities(
        embedding=np.stack([embedding[track].mean(axis=0) for _, _, track in tracks]),
        identity=np.array([identity for identity, _, _ in tracks], np.int64),
        group=np.array([camera for _, camera, _ in tracks], np.int64),
        representative=np.array([track[len(track) // 2] for _, _, track in tracks], np.int64),
        members=tuple(track for _, _, track in tracks),
    )


PROTOCOLS = {
    "market1501": _images_by_camera,
    "prid2011_single_shot": _single_shot,
    "prid2011_multi_shot": _multi_shot,
    "dogs": _images_by_sequence,
}


def _images(frames: Frames, embedding: np.ndarray, rows: np.ndarray, group: np.ndarray) -> Entities:
    members = tuple(rows[:, None])
    return Entities(embedding[rows], frames.identity[rows], group[rows], rows, members)


def _tracks(frames: Frames, rows: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """(identity, camera, positions in the frames' order) of every person in every camera, sorted by the first two."""
    keys = np.stack([frames.identity[rows], frames.camera[rows].astype(np.int64)], axis=1)  # [n, 2]
    unique, track_of = np.unique(keys, axis=0, return_inverse=True)
    by_track = np.argsort(track_of, kind="stable")
    ends = np.bincount(track_of, minlength=len(unique)).cumsum()[:-1]
    return [(int(i), int(c), rows[part]) for (i, c), part in zip(unique, np.split(by_track, ends), strict=True)]
