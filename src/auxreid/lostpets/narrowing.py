"""Facts that the user asserts narrow records in memory as they narrow those of a base."""

from collections.abc import Sequence

import numpy as np

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.base.facts import EPOCH, NO_DATE, on_sphere
from auxreid.lostpets.base.filters import left_by
from auxreid.lostpets.base.row import KINDS
from auxreid.lostpets.candidates import Record
from auxreid.lostpets.query import Facts

DEGREES = ("latitude", "longitude")  # None is NaN


class Known:
    """What n records say of date, place and kind, as base.facts.Facts has it."""

    def __init__(self, records: Sequence[Record]):
        self.alive = np.ones(len(records), bool)
        self.date = np.array([NO_DATE if one.date is None else (one.date - EPOCH).days for one in records], np.int32)
        self.sphere = on_sphere(*(np.array([getattr(one, name) for one in records], np.float64) for name in DEGREES))
        self.kind = np.array([KINDS.index(one.kind) for one in records], np.uint8)

    def narrowed(self, facts: Facts) -> tuple[np.ndarray, list[Filter]]:
        """The places of the records that stay, int64, and what each fact has done, one after the other."""
        left, filters = left_by(facts, self)
        return np.flatnonzero(left), filters
