"""A photograph of a report as a row of the base."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Row:
    """As the base takes it."""

    frame: str
    dog: str
    embedding: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    thumbnail: bytes = b""
    sequence: str = ""
    date: datetime.date | None = None
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    kind: str = "base"
    report: str | None = None
    source: str = ""
