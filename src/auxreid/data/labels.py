"""Attributes that a model predicted: the file of every frame's probabilities, and the words that are made of them.

The probabilities are of pixels and a model alone, and know of no split. A word is made when frames are opened: one for
each individual in each split (attributes are the individual's, and stage 1 and the targets take one word of it), of the
frames that it has there, so that no test image says a word about a training individual.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file

METADATA = b"auxreid"
FRAME = "frame_id"
REMEDY = "make it anew by `dvc repro -f` of its labels stage"


@dataclass(frozen=True)
class Labels:
    """A file of predicted attributes; its probabilities are read when they are first asked for."""

    path: Path
    predicted_by: str  # the data set whose model it was
    vocabulary: dict[str, list[str]]  # attribute -> words, in the order of the probabilities

    @cached_property
    def frame_id(self) -> np.ndarray:
        """int64 [n], in the order of the file."""
        return self._table[FRAME].to_numpy()

    def probabilities(self, name: str) -> np.ndarray:
        """float32 [n, k] of the words of an attribute."""
        column, words = self._table[name].combine_chunks(), len(self.vocabulary[name])
        values = column.flatten().to_numpy()
        if len(values) != words * len(column):
            found = f"{name} has {len(values)} probabilities, expected {words} for each of {len(column)} frames"
            raise DataError(f"{self.path}: {found}; {REMEDY}")
        return values.reshape(-1, words)

    def codes(self, name: str, frame_id: np.ndarray, identity: np.ndarray, split: np.ndarray) -> np.ndarray:
        """int64 [n]: the place of each frame's word in `vocabulary[name]`.

        Args:
            frame_id, identity, split: of all n frames of the data set, in the order of its file.

        Raises:
            DataError: the file is of other frames.
        """
        return agreed_words(self._of_frames(name, frame_id), identity, split)

    def image_codes(self, name: str, frame_id: np.ndarray) -> np.ndarray:
        """int64 [n]: the place of each frame's own likeliest word, whatever others show. Raises as :meth:`codes`."""
        return self._of_frames(name, frame_id).argmax(axis=1)

    def _of_frames(self, name: str, frame_id: np.ndarray) -> np.ndarray:
        if not np.array_equal(self.frame_id, frame_id):
            found = f"of {len(self.frame_id)} frames, not of the {len(frame_id)} that were ingested"
            raise DataError(f"{self.path}: is {found}; {REMEDY}")
        return self.probabilities(name)

    @cached_property
    def _table(self) -> pa.Table:
        return pq.read_table(self.path)


def agreed_words(probabilities: np.ndarray, identity: np.ndarray, split: np.ndarray) -> np.ndarray:
    """The word of each frame: of a known individual the one that its frames in the split agree on.

    That is the word with the largest mean probability over them. A mean of log-probabilities would be right if frames
    were independent and the model at home in the pictures. Frames of a track are not, and a model of another data set
    is too sure of itself: one frame, cut off or showing somebody else, would then outvote all others.

    Args:
        probabilities: [n, k].
        identity: int64 [n]; a frame of nobody known (0 and below) speaks for itself.
        split: object [n].
    Returns:
        int64 [n] in 0..k-1; of equal means the first word.
    """
    groups = individuals(identity, split)
    sums = np.zeros((groups.max(initial=-1) + 1, probabilities.shape[1]))
    np.add.at(sums, groups, probabilities.astype(np.float64))
    return sums.argmax(axis=1)[groups]


def individuals(identity: np.ndarray, split: np.ndarray) -> np.ndarray:
    """A group number from 0 per frame, int64 [n]: an individual in a split, or a frame of nobody known by itself."""
    _, places = np.unique(np.asarray(split, dtype=str), return_inverse=True)
    alone = np.arange(len(identity)) * (identity <= 0)
    keys = np.stack([np.where(identity > 0, identity, 0), np.where(identity > 0, places, -1), alone], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)


def write_labels(
    path: str | Path,
    predicted_by: str,
    vocabulary: Mapping[str, Sequence[str]],
    frame_id: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
) -> None:
    """Write the file; it appears under its name only when it is complete.

    Args:
        predicted_by: the data set whose model it was.
        vocabulary: attribute -> words.
        frame_id: int64 [n].
        probabilities: per attribute [n, k], in the order of its words.
    """
    about = {"predicted_by": predicted_by, "vocabulary": {name: list(words) for name, words in vocabulary.items()}}
    columns: dict[str, pa.Array] = {FRAME: pa.array(frame_id, pa.int64())}
    for name in vocabulary:
        columns[name] = pa.array(list(probabilities[name].astype(np.float32)), pa.list_(pa.float32()))
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about)})
    with finished_file(path) as unfinished:
        pq.write_table(table, unfinished)


def read_labels(path: str | Path) -> Labels:
    """What `write_labels` wrote.

    Raises:
        DataError: the file is missing, or no such file.
    """
    path = Path(path)
    try:
        about = json.loads((pq.read_schema(path).metadata or {})[METADATA])
        return Labels(path, about["predicted_by"], about["vocabulary"])
    except FileNotFoundError:
        raise DataError(f"{path}: no such file of predicted attributes") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: no file of predicted attributes ({error!r}); {REMEDY}") from error
