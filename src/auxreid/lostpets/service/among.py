"""A saved search on few new photographs: the engine's evidence and decision, without searching all of the base."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from auxreid.lostpets.answer import Answer, Filter
from auxreid.lostpets.base.row import Row
from auxreid.lostpets.candidates import Found
from auxreid.lostpets.distance import kilometres
from auxreid.lostpets.engine import Asked, Engine
from auxreid.lostpets.query import Facts
from auxreid.search.looks import Looks


def among(engine: Engine, asked: Asked, rows: Sequence[Row], dogs: int) -> Answer:
    """The answer if the base had these photographs alone; `dogs`: among how many the decision is made."""
    few = FewRows(engine.base.header, rows, dogs)
    return Engine(None, few, engine.fusion, engine.understand).answer(asked)


class FewRows:
    """Some photographs as a base that can be searched."""

    def __init__(self, header: Any, rows: Sequence[Row], dogs: int):
        self.header, self._rows, self._dogs = header, rows, dogs

    def candidates(self, embedding: np.ndarray | None, facts: Facts, most: int) -> Found:
        """Those that the facts leave, the nearest first."""
        left, filters = left_by(facts, self._rows)
        similarity = np.zeros(len(left), np.float32)
        if embedding is not None and left:
            similarity = np.stack([row.embedding for row in left]) @ embedding
        order = np.argsort(-similarity, kind="stable")[:most]
        chosen = [left[place] for place in order]
        return Found(
            frames=[row.frame for row in chosen],
            dogs=[row.dog for row in chosen],
            looks=looks_of(chosen, self.header),
            similarity=similarity[order],
            records=chosen,
            filters=filters,
            searched=len(left),
            searched_dogs=self._dogs,
        )


def looks_of(rows: Sequence[Row], header: Any) -> Looks:
    """What is seen on them."""
    names = header.vocabulary
    if not rows:
        empty = {name: np.empty((0, len(words)), np.float32) for name, words in names.items()}
        return Looks(np.empty((0, header.dimensions), np.float32), empty)
    return Looks(
        np.stack([row.embedding for row in rows]),
        {name: np.stack([row.probabilities[name] for row in rows]) for name in names},
    )


def left_by(facts: Facts, rows: Sequence[Row]) -> tuple[list[Row], list[Filter]]:
    """Those that stay, and what each fact has done: who lacks the fact stays."""
    left, told = list(rows), []
    for name, is_asked, fits, lacks in (
        ("near", facts.near is not None, lambda row: _within(facts, row), lambda row: row.latitude is None),
        ("since", facts.since is not None, lambda row: row.date >= facts.since, lambda row: row.date is None),
        ("until", facts.until is not None, lambda row: row.date <= facts.until, lambda row: row.date is None),
        ("kind", bool(facts.kinds), lambda row: row.kind in facts.kinds, lambda row: False),
    ):
        if is_asked:
            stays = [row for row in left if lacks(row) or fits(row)]
            told.append(Filter(name=name, before=len(left), after=len(stays), lacking=sum(map(lacks, stays))))
            left = stays
    return left, told


def _within(facts: Facts, row: Row) -> bool:
    there = np.array([row.latitude]), np.array([row.longitude])
    return bool(kilometres(facts.near.latitude, facts.near.longitude, *there)[0] <= facts.near.km)
