"""What a row and seed leave for the table: test embeddings and the validation, in one safetensors file.

They lie in results/metric_scores/<data set>/<row>-<seed>.safetensors.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from auxreid.metric.choice import Validation
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.tensor_file import KEY, read_tensors

HELD_OUT = "held_out."  # begins the names of these tensors


@dataclass(frozen=True)
class About:
    """Of which row the file is, and the epoch that validation took."""

    dataset: str
    row: str
    seed: int
    split: int
    protocol: str
    epoch: int


@dataclass(frozen=True)
class HeldOutEmbeddings:
    """Of the known training individuals' frames, float32 [k, e] of unit length: those of a fold [k] by one model, which
    has not learnt from the individuals in it."""

    frame_id: np.ndarray
    embeddings: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True)
class MetricScores:
    """Embeddings of unit length float32 [n, e] of the query and gallery frames of ids [n], and the validation.

    `held_out` is None of the row that learns nothing.
    """

    about: About
    frame_id: np.ndarray
    embeddings: np.ndarray
    validation: Validation
    held_out: HeldOutEmbeddings | None = None


def metric_score_file(root: Path, dataset: str, row: str, seed: int) -> Path:
    """The file of a row and seed, under the results folder `root`."""
    return Path(root) / "metric_scores" / dataset / f"{row}-{seed}.safetensors"


def write_metric_scores(root: Path, scores: MetricScores) -> None:
    """Write the file; equal scores give equal bytes."""
    tensors = {"frame_id": scores.frame_id, "embeddings": scores.embeddings, **asdict(scores.validation)}
    if scores.held_out is not None:
        tensors |= {HELD_OUT + name: value for name, value in asdict(scores.held_out).items()}
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    about = scores.about
    with finished_file(metric_score_file(root, about.dataset, about.row, about.seed)) as unfinished:
        save_file(tensors, unfinished, metadata={KEY: json.dumps(asdict(about))})


def read_metric_scores(root: Path, dataset: str, row: str, seed: int) -> MetricScores:
    """Read a row's file.

    Raises:
        DataError: the file is not there (with the command that makes it), is broken, or is about something else.
    """
    path = metric_score_file(root, dataset, row, seed)
    what = f"score file, as `dvc repro metric@{dataset}-{row}-{seed}` makes it"
    said, tensors = read_tensors(path, what, framework="numpy")
    try:
        about = About(**json.loads(said))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: not a score file ({error})") from error
    if (about.dataset, about.row, about.seed) != (dataset, row, seed):
        raise DataError(f"{path}: holds {about.row} with seed {about.seed} on {about.dataset}, its name says otherwise")
    validation = Validation(*(tensors[name] for name in ("precision", "untouched", "identity")))
    held_out = {name.removeprefix(HELD_OUT): value for name, value in tensors.items() if name.startswith(HELD_OUT)}
    others = HeldOutEmbeddings(**held_out) if held_out else None
    return MetricScores(about, tensors["frame_id"], tensors["embeddings"], validation, others)
