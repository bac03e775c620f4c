"""The study of `auxreid pets`: the search of the sample's dogs, and what it needs."""

from typing import Any

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.settings.config import METRIC_REFERENCE, Config

DATASET = "sample_dogs"


def target(dataset: str = DATASET) -> str:
    """The stage that makes a search."""
    return f"search@{dataset}"


def is_asked_for(config: Config, dataset: str = DATASET) -> bool:
    """Whether the study builds the search already."""
    return dataset in config.study.search


def pets_study(config: Config, dataset: str = DATASET) -> dict[str, Any]:
    """The block `study` of a study that builds a data set's search by one seed, and no more.

    Raises:
        ConfigError: params.yaml has no such data set, or its recipe no search.
    """
    if dataset not in config.datasets or config.recipe(dataset).search is None:
        raise ConfigError(f"datasets.{dataset}: there is none, or its recipe has no search section")
    embedding = config.recipe(dataset).search.embedding
    rows: list[str] = []
    metric_rows = list(dict.fromkeys([METRIC_REFERENCE, embedding.row])) if embedding.kind == "metric" else []
    if embedding.kind == "row":
        rows = _with_needed(config, embedding.row)
    seeds = config.study.seeds[:1]
    return {
        "datasets": [dataset],
        "seeds": list(seeds),
        "rows": rows,
        "metric_rows": metric_rows,
        "search": [dataset],
        "row_seeds": {},
    }


def _with_needed(config: Config, row: str) -> list[str]:
    """A row and those that it starts from."""
    found, todo = {row}, [row]
    while todo:
        new = config.rows_needed_by(todo.pop()) - found
        found |= new
        todo += new
    return sorted(found)
