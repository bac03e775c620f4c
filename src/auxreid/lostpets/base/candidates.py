"""What a base answers: the photographs that look most alike, of those that the facts leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.base.row import Record
from auxreid.search.looks import Looks


@dataclass(frozen=True)
class Candidates:
    """Photographs, the most alike first, and how many they were chosen from."""

    records: Sequence[Record]
    looks: Looks
    similarity: np.ndarray  # float32 [m], cosine with the query
    filters: Sequence[Filter]
    searched: int  # photographs that the filters leave
    searched_dogs: int
    exact: bool  # false: an index chose those that were compared

    @cached_property
    def frames(self) -> list[str]:
        return [record.frame for record in self.records]

    @cached_property
    def dogs(self) -> list[str]:
        return [record.dog for record in self.records]

    def __len__(self) -> int:
        return len(self.records)
