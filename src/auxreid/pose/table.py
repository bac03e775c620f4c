"""The keypoint table of a data set: one Parquet file, a row per frame."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.pose.predict import Poses

JOINTS_KEY = b"joints"
FIELDS = [
    pa.field("frame_id", pa.int64(), nullable=False),
    pa.field("keypoints", pa.list_(pa.float32()), nullable=False),  # x, y in pixels and confidence, joint after joint
    pa.field("embedding", pa.list_(pa.float32()), nullable=False),
]


@dataclass(frozen=True)
class KeypointTable:
    """What `read_keypoints` gives; rows in the order of the file."""

    joints: tuple[str, ...]
    frame_id: np.ndarray  # int64 [n]
    keypoints: np.ndarray  # float32 [n, J, 3]
    embedding: np.ndarray  # float32 [n, J * 32]


def write_keypoints(path: Path, joints: Iterable[str], batches: Iterable[tuple[np.ndarray, Poses]]) -> None:
    """Write batches of frame ids [b] and poses; the file appears under its name only when it is complete."""
    schema = pa.schema(FIELDS, metadata={JOINTS_KEY: json.dumps(list(joints)).encode()})
    with finished_file(path) as unfinished, pq.ParquetWriter(unfinished, schema) as writer:
        for frame_id, poses in batches:
            columns = [pa.array(frame_id), _lists(poses.keypoints), _lists(poses.embedding)]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def read_keypoints(path: Path) -> KeypointTable:
    """Read what `write_keypoints` wrote.

    Raises:
        DataError: the file is missing or no keypoint table.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: no readable keypoint table ({error})") from error
    if JOINTS_KEY not in (table.schema.metadata or {}):
        raise DataError(f"{path}: a Parquet file, but no keypoint table: its schema names no joints")
    rows = table.num_rows
    joints = tuple(json.loads(table.schema.metadata[JOINTS_KEY]))
    keypoints = table["keypoints"].combine_chunks().flatten().to_numpy().reshape(rows, len(joints), 3)
    embedding = table["embedding"].combine_chunks().flatten().to_numpy().reshape(rows, -1)
    return KeypointTable(joints, table["frame_id"].to_numpy(), keypoints, embedding)


def frame_rows(table: KeypointTable, frames, source: str) -> np.ndarray:
    """The table's row of each frame, int64 [n].

    Raises:
        DataError: the table lacks one of the frames; `source` is how it is called.
    """
    row_of = {frame: row for row, frame in enumerate(table.frame_id.tolist())}
    found = np.array([row_of.get(frame, -1) for frame in frames.frame_id.tolist()], dtype=np.int64)
    missing = frames.frame_id[found < 0]
    if len(missing):
        raise DataError(f"{source}: has no row for {len(missing)} frames of {frames.meta.dataset}, e.g. {missing[0]}")
    return found


def _lists(values: np.ndarray) -> pa.Array:
    rows = values.reshape(len(values), -1).astype(np.float32)  # [b, k]
    offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
    return pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1)))
