"""Features of photographs as a Parquet file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.serving.embedding import Encoder
from auxreid.serving.metric_encoder import MetricEncoder
from auxreid.serving.photos import LeftOut, Photo, Photos, look_at

META_KEY = b"auxreid"
AT_ONCE = 64 * 128  # photographs: whole batches, so that the features do not depend on it


class Chosen(Protocol):
    """What has been trained and how it is used, as auxreid.plumbing.graph.trained tells it."""

    path: Path
    precision: str
    is_metric: bool
    name: str
    backbone: Path | None  # of a metric row
    descriptors: Path | None  # of a row of the chain that ranks by some
    hrnet: Path | None  # that finds the joints of photographs
    attributes: Path | None  # a model, where descriptors take what it predicts


def usable_photos(paths: Sequence[Path]) -> tuple[list[Photo], list[LeftOut]]:
    """The photographs that can be used, in order, and the others with the reasons.

    Raises:
        DataError: none can; names the first ones.
    """
    photos, bad = look_at(paths)
    usable = [photo for photo in photos if photo is not None]
    if not usable:
        raise DataError(f"none of {len(paths)} images can be used: {bad[0].path} ({bad[0].reason})")
    return usable, bad


def open_network(chosen: Chosen) -> Encoder | MetricEncoder:
    """What embeds photographs: an encoder with what is beside it, or a metric row's model. Raises what they do."""
    if not chosen.is_metric:
        return Encoder(chosen.path, chosen.precision, chosen.descriptors, chosen.hrnet, chosen.attributes)
    if beside := chosen.descriptors or chosen.hrnet or chosen.attributes:
        raise DataError(f"{beside}: goes with an encoder of the chain, and {chosen.name} is a metric row's model")
    return MetricEncoder(chosen.path, chosen.backbone, chosen.precision)


def check_needs(encoder: Encoder | MetricEncoder, camera: int | None) -> None:
    """Raises DataError if an encoder needs more than images, and the camera where that is asked for."""
    if encoder.lacks_pose:
        raise DataError(
            f"{encoder.path}: {encoder.wanted()} must be given: name the HRNet that finds it by --hrnet, as embed and "
            "rank take it, or use auxreid.serving.embedding.embed_images"
        )
    if camera is None and encoder.wanted_camera is not None:
        raise DataError(f"{encoder.path}: name the camera by --camera: {encoder.wanted_camera}")


def embedded(encoder: Encoder | MetricEncoder, photos: Sequence[Photo], camera: int | None = None) -> np.ndarray:
    """float32 [n, d]. Raises DataError as :func:`check_needs`."""
    check_needs(encoder, camera)
    at_once = len(photos) if encoder.ranks_cameras else AT_ONCE  # and a camera's mean is that of all its images
    parts = [photos[start : start + at_once] for start in range(0, len(photos), at_once)]
    return np.concatenate(
        [encoder.embed(Photos(part, None if camera is None else [camera] * len(part))) for part in parts]
    )


def write_features(path: Path, names: Sequence[str], embedding: np.ndarray, about: Mapping[str, object]) -> None:
    """Columns `path` and `embedding`, a list of fixed size; `about` is JSON in the schema's metadata."""
    count, width = embedding.shape
    values = pa.FixedSizeListArray.from_arrays(pa.array(embedding.ravel(), pa.float32()), width)
    schema = pa.schema(
        [pa.field("path", pa.string(), nullable=False), pa.field("embedding", values.type, nullable=False)],
        metadata={META_KEY: json.dumps(about).encode()},
    )
    table = pa.Table.from_arrays([pa.array(names, pa.string()), values], schema=schema)
    assert table.num_rows == count
    with finished_file(path) as unfinished:
        pq.write_table(table, unfinished)
