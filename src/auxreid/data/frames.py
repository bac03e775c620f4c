"""The frames table: one memory-mapped Arrow file per data set, with every usable image and what is known of it."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auxreid.data.decoding import LARGE, decode
from auxreid.data.labels import Labels, read_labels
from auxreid.data.vocabulary import SPLITS, Telling, Told
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file

META_KEY = b"auxreid"
BATCH_ROWS = 256
BATCH_BYTES = 16 * 2**20
REMEDY = (
    "restore it by `dvc checkout -f {0}` or `dvc pull -f {0}`, or make it anew by `dvc repro -f` of its ingest stage"
)

CORE_FIELDS = [
    pa.field("frame_id", pa.int64(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("dataset", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("identity", pa.int64(), nullable=False),
    pa.field("identity_name", pa.string(), nullable=False),
    pa.field("camera", pa.int32(), nullable=False),
    pa.field("sequence", pa.string(), nullable=False),
    pa.field("date", pa.string(), nullable=False),
    pa.field("place", pa.string(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("sha256", pa.string(), nullable=False),
    pa.field("image", pa.binary(), nullable=False),
    pa.field("keypoints", pa.list_(pa.float32()), nullable=True),
]


@dataclass(frozen=True)
class FramesMeta:
    """What holds for a whole data set; stored as JSON in the schema of its frames file."""

    dataset: str
    layout: str
    protocol: str
    word: str  # what a prompt calls an individual: "person", "dog"
    joints: list[str] = field(default_factory=list)
    skeleton: list[list[int]] = field(default_factory=list)  # pairs of joint numbers, from 0
    attributes: dict[str, list[str]] = field(default_factory=dict)  # name -> words, in the order of their codes
    splits: list[dict[str, list[int]]] = field(default_factory=list)  # [{"train": identities, "test": identities}]
    telling: Telling = ()  # of an animal's attributes; none: they are a person's
    predicted_by: str = ""  # the data set whose model the attributes are of; empty in a file: it has its own, or none

    def schema(self) -> pa.Schema:
        attributes = [pa.field(f"attr_{name}", pa.string(), nullable=True) for name in self.attributes]
        return pa.schema(CORE_FIELDS + attributes, metadata={META_KEY: json.dumps(asdict(self)).encode()})

    @classmethod
    def from_schema(cls, schema: pa.Schema, path: Path) -> "FramesMeta":
        text = (schema.metadata or {}).get(META_KEY)
        if text is None:
            raise DataError(f"{path}: an Arrow file, but not a frames file: its schema has no {META_KEY!r} entry")
        try:
            stored = json.loads(text)
            meta = cls(**stored | {"telling": tuple(_told(one) for one in stored.get("telling", ()))})
            fits = schema.equals(meta.schema())
        except (ValueError, TypeError) as error:  # bytes that are no UTF-8, JSON, or fields
            raise DataError(f"{path}: its schema is broken ({error}); {REMEDY.format(path)}") from error
        if not fits:
            raise DataError(f"{path}: its columns are not those of a frames file; {REMEDY.format(path)}")
        return meta


def write_frames(path: str | Path, rows: Iterable[Mapping[str, Any]] | pa.Table, meta: FramesMeta) -> int:
    """Write a frames file as a stream of record batches and return the number of rows.

    A row needs `path`, `split`, `identity`, `width`, `height` and `image` (the file's bytes). `frame_id` (the row's
    number), `dataset` (from `meta`) and `sha256` are filled in, the other columns default to empty. The file appears
    under its name only when it is complete; equal rows give equal bytes.

    Raises:
        DataError: a missing or unknown column, a split or an attribute word outside its vocabulary, or keypoints that
            are not 3 numbers per joint.
    """
    schema, count = meta.schema(), 0
    with (
        finished_file(path) as unfinished,
        pa.OSFile(str(unfinished), "wb") as sink,
        pa.ipc.new_file(sink, schema) as out,
    ):
        for batch in _batches(_completed(_mappings(rows), meta)):
            out.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def open_frames(path: str | Path, split: int = 0, labels: str | Path | None = None) -> "Frames":
    """Open a frames file without reading its images.

    Args:
        path: a file written by `write_frames`.
        split: which of the data set's repeated splits the `split` column follows (PRID2011 has ten); without repeated
            splits it has no effect.
        labels: a file of predicted attributes (data/labels.py), which then are the frames'.

    Raises:
        DataError: a file is not there, cannot be read or is broken, the data set has no split of that number, or it has
            attributes of its own beside predicted ones.
    """
    store = _Store(Path(path), split, None if labels is None else Path(labels))
    return Frames(store, np.arange(store.table.num_rows))


class Frames:
    """A selection of the rows of a frames file. `take` and `where` select further and copy no image.

    It can be pickled: a copy holds the path and the row numbers and opens the file again, for example in a worker.
    """

    def __init__(self, store: "_Store", rows: np.ndarray):
        self._store = store
        self._rows = rows  # [n] row numbers in the file

    def __reduce__(self):
        labels = self._store.labels
        return _reopen, (self._store.path, self._store.split_index, labels and labels.path, self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def meta(self) -> FramesMeta:
        return self._store.meta

    @cached_property
    def frame_id(self) -> np.ndarray:
        """int64 [n]"""
        return self._store.numbers("frame_id")[self._rows]

    @cached_property
    def identity(self) -> np.ndarray:
        """int64 [n]; -1 is junk or unknown, 0 a distractor."""
        return self._store.numbers("identity")[self._rows]

    @cached_property
    def camera(self) -> np.ndarray:
        """int32 [n]; 0 where there is no camera."""
        return self._store.numbers("camera")[self._rows]

    @cached_property
    def size(self) -> np.ndarray:
        """int32 [n, 2]: width and height in pixels."""
        return np.stack([self._store.numbers("width"), self._store.numbers("height")], axis=1)[self._rows]

    @cached_property
    def split(self) -> np.ndarray:
        """object [n]: train, val, query, gallery, test or none, in the split that was opened."""
        return self._store.split[self._rows]

    @cached_property
    def path(self) -> np.ndarray:
        """object [n], relative to the data set's folder."""
        return self._store.texts("path")[self._rows]

    @cached_property
    def sequence(self) -> np.ndarray:
        """object [n]; empty where there is no sequence."""
        return self._store.texts("sequence")[self._rows]

    @cached_property
    def identity_name(self) -> np.ndarray:
        """object [n]: the identity as the data set names it."""
        return self._store.texts("identity_name")[self._rows]

    def image_bytes(self, index: int) -> memoryview:
        """The image file's bytes, as they lie in the mapped file.

        Raises:
            DataError: they are not those that were packed.
        """
        return self._store.image(int(self._rows[index]))

    def image(self, index: int) -> np.ndarray:
        """uint8 RGB [h, w, 3], turned upright if the file says how."""
        return self._decoded(index, reduced=False)

    def preview(self, index: int) -> np.ndarray:
        """As `image`, but a very large one at an eighth of its width and height."""
        return self._decoded(index, reduced=bool(self.size[index].prod(dtype=np.int64) > LARGE))

    def _decoded(self, index: int, reduced: bool) -> np.ndarray:
        pixels = decode(self.image_bytes(index), reduced)
        if pixels is None:
            raise DataError(f"{self._store.path}, row {self._rows[index]} ({self.path[index]}): no image that is known")
        return pixels

    def keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        """float32 [n, J, 3] of x, y (pixels of the image as `image` gives it) and COCO visibility v (0, 1 or 2), and
        bool [n] telling which rows are annotated. Rows that are not are zero."""
        points, annotated = self._store.keypoints
        return points[self._rows], annotated[self._rows]

    def attribute_codes(self, name: str) -> np.ndarray:
        """int64 [n]: the place of each row's word in `meta.attributes[name]`, -1 where it is missing."""
        return self._store.codes(name)[self._rows]

    def image_codes(self, name: str) -> np.ndarray:
        """As :meth:`attribute_codes`, of predicted attributes what is likeliest by each image alone.

        Raises:
            DataError: the attributes are not predicted ones.
        """
        return self._store.image_codes(name)[self._rows]

    def take(self, selection: Sequence[int] | np.ndarray) -> "Frames":
        """The rows at these positions, in this order, or those where a boolean mask [n] is true."""
        selection = np.asarray(selection)
        if selection.size == 0:
            selection = selection.astype(np.int64) if selection.dtype != bool else selection
        return Frames(self._store, self._rows[selection])

    def where(self, split: str | tuple[str, ...]) -> "Frames":
        """The rows of one split, or of any of several.

        Raises:
            DataError: a name that is no split.
        """
        wanted = (split,) if isinstance(split, str) else tuple(split)
        for name in wanted:
            _check_split(name, self._store.path)
        return self.take(np.isin(self.split.astype(str), wanted))


class _Store:
    """The mapped file. Columns are turned into arrays on first use; images never are."""

    def __init__(self, path: Path, split_index: int, labels: Path | None):
        self.path = path
        self.split_index = split_index
        try:
            self.table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            self.table.validate(full=True)
        except FileNotFoundError as error:
            raise DataError(f"{path}: no such frames file") from error
        except PermissionError as error:
            raise DataError(f"{path}: this user may not read it; change its permissions ({error.strerror})") from error
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: not a complete frames file ({error}); {REMEDY.format(path)}") from error
        self.meta = FramesMeta.from_schema(self.table.schema, path)
        self.labels = None if labels is None else read_labels(labels)
        if self.labels is not None:
            self.meta = _relabelled(self.meta, self.labels, path)
        if self.meta.splits and not 0 <= split_index < len(self.meta.splits):
            raise DataError(f"{path}: split {split_index} was asked for, allowed are 0..{len(self.meta.splits) - 1}")
        chunks = self.table["image"].chunks
        self._starts = np.cumsum([0] + [len(chunk) for chunk in chunks])
        # Arrow's own element access copies the bytes; its buffers are the mapped file.
        self._offsets = [np.frombuffer(chunk.buffers()[1], np.int32) for chunk in chunks]
        self._bytes = [memoryview(chunk.buffers()[2]) for chunk in chunks]

    def numbers(self, name: str) -> np.ndarray:
        return self.table[name].to_numpy()

    def texts(self, name: str) -> np.ndarray:
        return self.table[name].to_numpy()

    def image(self, row: int) -> memoryview:
        """The bytes of an image, compared with the hash of those that were packed: most decoders see no difference."""
        chunk = int(np.searchsorted(self._starts, row, side="right")) - 1
        start, end = self._offsets[chunk][row - self._starts[chunk] :][:2]
        content = self._bytes[chunk][start:end]
        if hashlib.sha256(content).hexdigest() != self._hashes[row]:
            where = f"{self.path}, row {row} ({self.texts('path')[row]})"
            raise DataError(f"{where}: not the image that was packed; {REMEDY.format(self.path)}")
        return content

    @cached_property
    def _hashes(self) -> np.ndarray:
        return self.texts("sha256")

    @cached_property
    def split(self) -> np.ndarray:
        written = self.texts("split")
        if not self.meta.splits:
            return written
        identity, camera = self.numbers("identity"), self.numbers("camera")
        return resolve_split(written, identity, camera, self.meta.splits, self.split_index)

    @cached_property
    def keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        column = self.table["keypoints"].combine_chunks()
        annotated = column.is_valid().to_numpy(zero_copy_only=False)
        points = np.zeros((len(column), len(self.meta.joints), 3), np.float32)
        points[annotated] = column.drop_null().flatten().to_numpy().reshape(annotated.sum(), len(self.meta.joints), 3)
        return points, annotated

    def codes(self, name: str) -> np.ndarray:
        if name not in self.meta.attributes:
            allowed = ", ".join(self.meta.attributes) or "none"
            raise DataError(f"{self.path}: no attribute {name!r}; the data set has: {allowed}")
        if self.labels is not None:
            return self.labels.codes(name, self.numbers("frame_id"), self.numbers("identity"), self.split)
        words = pa.array(self.meta.attributes[name], pa.string())
        codes = pc.index_in(self.table[f"attr_{name}"], value_set=words)
        return pc.fill_null(codes, -1).to_numpy().astype(np.int64)

    def image_codes(self, name: str) -> np.ndarray:
        if self.labels is None:
            raise DataError(f"{self.path}: its attributes are of individuals; predicted ones alone are of each image")
        return self.labels.image_codes(name, self.numbers("frame_id"))


def resolve_split(
    written: np.ndarray, identity: np.ndarray, camera: np.ndarray, splits: Sequence[Mapping[str, list[int]]], index: int
) -> np.ndarray:
    """The split of each frame in one of several repeated splits over two cameras.

    Args:
        written: object [n], the file's own column; kept for people who take part in no split.
        identity, camera: [n]; camera 1 asks (query), camera 2 is searched (gallery).
        splits: the identities to train and to test on, per split.
        index: which split.
    Returns:
        object [n] of split names.
    """
    everyone = [number for one in splits for half in one.values() for number in half]
    resolved = np.where(np.isin(identity, everyone), "none", written).astype(object)
    resolved[np.isin(identity, splits[index]["train"])] = "train"
    tested = np.isin(identity, splits[index]["test"])
    resolved[tested & (camera == 1)] = "query"
    resolved[tested & (camera == 2)] = "gallery"
    return resolved


def _relabelled(meta: FramesMeta, labels: Labels, path: Path) -> FramesMeta:
    if meta.attributes:
        named = ", ".join(meta.attributes)
        raise DataError(f"{path}: has attributes of its own ({named}), and {labels.path} predicted ones: keep one")
    return replace(meta, attributes=labels.vocabulary, predicted_by=labels.predicted_by)


def _reopen(path: Path, split: int, labels: Path | None, rows: np.ndarray) -> Frames:
    return Frames(_Store(path, split, labels), rows)


def _told(stored: Mapping[str, Any]) -> Told:
    return Told(**stored | {"words": tuple(stored["words"])})


def _mappings(rows: Iterable[Mapping[str, Any]] | pa.Table) -> Iterator[Mapping[str, Any]]:
    if isinstance(rows, pa.Table):
        for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
            yield from batch.to_pylist()
    else:
        yield from rows


def _completed(rows: Iterable[Mapping[str, Any]], meta: FramesMeta) -> Iterator[dict[str, Any]]:
    attributes = {f"attr_{name}": set(words) for name, words in meta.attributes.items()}
    defaults = dict.fromkeys(attributes) | {"identity_name": "", "camera": 0, "sequence": "", "date": "", "place": ""}
    for number, given in enumerate(rows):
        row = defaults | {"frame_id": number, "dataset": meta.dataset, "keypoints": None} | dict(given)
        if "image" in row and "sha256" not in row:
            row["sha256"] = hashlib.sha256(row["image"]).hexdigest()
        _check_row(row, number, meta, attributes)
        yield row


def _check_row(row: dict[str, Any], number: int, meta: FramesMeta, attributes: Mapping[str, set[str]]) -> None:
    where = f"frames of {meta.dataset}, row {number} ({row.get('path', 'no path')})"
    columns = {one.name for one in CORE_FIELDS} | set(attributes)
    if row.keys() != columns:
        missing, unknown = sorted(columns - row.keys()), sorted(row.keys() - columns)
        raise DataError(f"{where}: missing columns {missing}, unknown columns {unknown}")
    _check_split(row["split"], where)
    for column, words in attributes.items():
        if row[column] is not None and row[column] not in words:
            raise DataError(f"{where}: {column} is {row[column]!r}, allowed: {sorted(words)}")
    if row["keypoints"] is not None and len(row["keypoints"]) != 3 * len(meta.joints):
        raise DataError(f"{where}: {len(row['keypoints'])} keypoint numbers, expected 3 x {len(meta.joints)} joints")


def _check_split(name: str, where: object) -> None:
    if name not in SPLITS:
        raise DataError(f"{where}: split {name!r}, allowed: {', '.join(SPLITS)}")


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row["image"])
        if len(batch) == BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
