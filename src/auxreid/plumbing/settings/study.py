"""What a `dvc repro` runs over, how its rows are told apart, and which encoder is registered."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from auxreid.plumbing.settings.section import DatasetName, Name, NonNegativeInt, Section, Seeds

RegistryMetric = Literal[
    "mAP", "mINP", "CMC_1", "CMC_5", "CMC_10", "CMC_20", "reranked_mAP", "reranked_mINP", "reranked_CMC_1"
]


class Study(Section):
    """What a `dvc repro` runs over."""

    datasets: Annotated[tuple[DatasetName, ...], Field(min_length=1)]
    seeds: Seeds
    rows: tuple[Name, ...] | None = None  # ablations to run; null: all of them
    metric_rows: tuple[Name, ...] | None = ()  # of metric_rows, to run; null: all of them
    search: tuple[DatasetName, ...] = ()  # data sets whose search is built
    row_seeds: dict[Name, Seeds | None] = Field(default_factory=dict)  # of rows with seeds of their own; null: `seeds`

    def seeds_of(self, row: str) -> tuple[int, ...]:
        """The seeds that a row runs with."""
        return self.row_seeds.get(row) or self.seeds


class CompareConfig(Section):
    """How the rows of the study are told apart."""

    level: Annotated[float, Field(gt=0.0, lt=1.0)]  # of the intervals; what it leaves to 1 is that of the tests
    power: Annotated[float, Field(gt=0.0, lt=1.0)]  # with which the table says what difference could have been found
    pictures: NonNegativeInt  # queries per row that gained most, and as many that lost most
    controls: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]]  # row -> rows that it has to be above


class RegistryConfig(Section):
    """Which encoder of a data set is the registered one in MLflow. No stage reads it, so that it alone has defaults."""

    metric: RegistryMetric = "mAP"  # of the evaluation; larger is better
    rows: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None  # that may be registered; null: all
    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] = "best"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*\{dataset\}[A-Za-z0-9_.-]*$")] = "{dataset}-encoder"

    @field_validator("alias")
    @classmethod
    def _alias_is_free(cls, alias: str) -> str:
        if alias == "latest" or re.fullmatch(r"v\d+", alias):
            raise ValueError("MLflow keeps 'latest' and 'v' with a number for itself")
        return alias
