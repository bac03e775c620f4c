"""Texts of many rows in little memory."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_PARTS = 64


@dataclass
class Names:
    """Of a column in which values come again: the different ones, in the order in which they came."""

    names: list[str | None] = field(default_factory=list)
    code: dict[str | None, int] = field(default_factory=dict)

    def codes(self, column: pa.ChunkedArray) -> np.ndarray:
        """Of each row the code, a new one for what is new."""
        encoded = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
        different = encoded.dictionary.to_pylist()
        for name in different:
            if name not in self.code:
                self.code[name] = len(self.names)
                self.names.append(name)
        return np.array([self.code[name] for name in different], np.int32)[encoded.indices.to_numpy()]

    def of(self, codes: np.ndarray) -> list[str | None]:
        return [self.names[code] for code in codes.tolist()]


class Texts:
    """Of a column in which each value is another: all of them, as Arrow has them, one after the other."""

    def __init__(self) -> None:
        self._parts = (np.zeros(1, np.int64), ())  # where each begins, and they

    def codes(self, column: pa.ChunkedArray) -> np.ndarray:
        """Of each row its place."""
        starts, parts = self._parts
        parts = [*parts, column.combine_chunks()]
        if len(parts) > MOST_PARTS:
            parts = [pa.concat_arrays(parts)]
        ends = np.cumsum([0, *map(len, parts)])
        self._parts = (ends, tuple(parts))
        return np.arange(starts[-1], ends[-1], dtype=np.int32)

    def of(self, places: np.ndarray) -> list[str]:
        starts, parts = self._parts
        part = np.searchsorted(starts, places, side="right") - 1
        found = np.empty(len(places), object)
        for number in np.unique(part):
            here = part == number
            found[here] = parts[number].take(pa.array(places[here] - starts[number])).to_pylist()
        return found.tolist()
