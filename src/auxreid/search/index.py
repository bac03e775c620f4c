"""The rows of an index from a data set's frames, networks and predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auxreid.data.frames import Frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.progress import track
from auxreid.search.looks import Looks
from auxreid.search.rows import NO_FOLD, Header, IndexRows

THUMBNAIL = 160  # pixels of the longer side
QUALITY = 80  # of JPEG
FACTS = ("frame_id", "date", "place", "sha256", "sequence")
NAMED = 12  # characters of a photograph's hash in the name of a dog that nobody knows


def index_rows(
    header: Header,
    path: Path,
    frames: Frames,
    looks: Looks,
    places: Mapping[str, Any] | None,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
) -> IndexRows:
    """Rows of all frames.

    Args:
        path: the file of the frames, for what they say of date and place.
        looks: of the frames, in their order.
        places: by name, with latitude and longitude in degrees.
        held_out: embeddings [n, e] by networks that have not learnt from the dog, and their folds [n].
    """
    facts = read_facts(path, frames.frame_id)
    known = frames.identity > 0
    names = frame_names(facts["sha256"])
    where = np.array([_coordinates((places or {}).get(name)) for name in facts["place"]]).reshape(-1, 2)
    embedded, fold = held_out or (None, None)
    return IndexRows(
        header=header,
        frame=names,
        dog=np.where(known, frames.identity_name.astype(str), _unknown(names)),
        split=frames.split.astype(str),
        sequence=facts["sequence"],
        date=facts["date"],
        place=facts["place"],
        latitude=where[:, 0],
        longitude=where[:, 1],
        looks=looks,
        thumbnail=[thumbnail(frames.preview(row)) for row in track(range(len(frames)), "thumbnails")],
        held_out=embedded,
        fold=fold,
    )


def read_facts(path: Path, frame_id: np.ndarray) -> dict[str, np.ndarray]:
    """What a frames file says of the frames of these numbers; texts [n]."""
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().select(FACTS)
    return {name: np.array(table[name].to_pylist(), str)[frame_id] for name in FACTS[1:]}


def frame_names(hashes: np.ndarray) -> np.ndarray:
    """A name for each photograph [n]: its file's hash, and a number behind it where a file is there again."""
    seen: dict[str, int] = {}
    names = []
    for one in hashes.tolist():
        seen[one] = seen.get(one, 0) + 1
        names.append(one if seen[one] == 1 else f"{one}-{seen[one]}")
    return np.array(names)


def predicted(path: Path, vocabulary: Mapping[str, Sequence[str]], frame_id: np.ndarray) -> dict[str, np.ndarray]:
    """Per attribute float32 [n, k] of the frames of these numbers, from a table of predictions.

    Raises:
        DataError: the table is not of these frames, or of another vocabulary.
    """
    table = pq.read_table(path)
    numbers = table["frame_id"].to_numpy()
    order = np.argsort(numbers)
    rows = order[np.searchsorted(numbers, frame_id, sorter=order).clip(max=len(order) - 1)]
    if not np.array_equal(numbers[rows], frame_id):
        raise DataError(f"{path}: lacks frames of the data set; make it anew by `dvc repro`")
    found = {}
    for name, words in vocabulary.items():
        values = table[name].combine_chunks().flatten().to_numpy()
        if len(values) != len(numbers) * len(words):
            raise DataError(f"{path}: {name} has not {len(words)} probabilities of each frame")
        found[name] = values.reshape(-1, len(words))[rows]
    return found


def placed(frame_id: np.ndarray, held_out: Any, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Held-out embeddings float32 [n, width] and folds int64 [n] of all frames; zero and -1 where there is none."""
    embedding = np.zeros((len(frame_id), width), np.float32)
    fold = np.full(len(frame_id), NO_FOLD)
    rows = np.searchsorted(frame_id, held_out.frame_id)
    embedding[rows], fold[rows] = held_out.embeddings, held_out.fold
    return embedding, fold


def thumbnail(image: np.ndarray) -> bytes:
    """A small JPEG of an image uint8 RGB [h, w, 3], without anything beside its pixels."""
    scale = min(1.0, THUMBNAIL / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    small = image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _coordinates(place: Any) -> tuple[float, float]:
    return (np.nan, np.nan) if place is None else (place.latitude, place.longitude)


def _unknown(names: np.ndarray) -> np.ndarray:
    """Names of dogs that nobody knows, each of one photograph."""
    return np.array([f"unknown {name[:NAMED]}{name[64:]}" for name in names.tolist()])
