"""Facts that the user asserts narrow the records; those that lack the fact stay."""

from collections.abc import Iterator, Sequence

import numpy as np

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.candidates import Record
from auxreid.lostpets.distance import kilometres
from auxreid.lostpets.query import Facts


class Known:
    """What n records say of date, place and kind."""

    def __init__(self, records: Sequence[Record]):
        self.days = np.array([one.date or "NaT" for one in records], "datetime64[D]")
        self.latitude = np.array([_number(one.latitude) for one in records])
        self.longitude = np.array([_number(one.longitude) for one in records])
        self.kinds = np.array([one.kind for one in records], str)

    def narrowed(self, facts: Facts) -> tuple[np.ndarray, list[Filter]]:
        """The places of the records that stay, int64, and what each fact has done, one after the other."""
        left, filters = np.arange(len(self.kinds)), []
        for name, fits, lacks in self._asserted(facts):
            stays = fits[left] | lacks[left]
            counts = {"before": len(left), "after": int(stays.sum()), "lacking": int(lacks[left].sum())}
            filters.append(Filter(name=name, **counts))
            left = left[stays]
        return left, filters

    def _asserted(self, facts: Facts) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """(name, bool [n] that the record fits, bool [n] that it lacks the fact)."""
        if facts.near is not None:
            near = facts.near
            apart = kilometres(near.latitude, near.longitude, self.latitude, self.longitude)
            yield "near", apart <= near.km, np.isnan(apart)
        undated = np.isnat(self.days)
        if facts.since is not None:
            yield "since", self.days >= np.datetime64(facts.since), undated
        if facts.until is not None:
            yield "until", self.days <= np.datetime64(facts.until), undated
        if facts.kinds:
            yield "kind", np.isin(self.kinds, facts.kinds), np.zeros(len(self.kinds), bool)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
