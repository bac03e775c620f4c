"""What becomes a task of its own: shared stages, and the private stages of each row and seed together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.repro import Stages
from auxreid.plumbing.graph.table import Graph

AT_HOME = "compare"  # reads the scores of all rows: seconds, on the coordinator, once they are there
ROW_STAGES = ("finetune", "descriptors", "evaluate")  # their keys name the row and the seed


@dataclass(frozen=True)
class Unit:
    """Stages that one task runs, in this order; needs are the units whose results they read."""

    name: str
    stages: tuple[str, ...]
    needs: frozenset[str]


def select(graph: Graph, rows: Iterable[str], seeds: Iterable[int]) -> list[str]:
    """The evaluations of some rows and seeds of the study; no rows or no seeds given means all of them.

    Raises:
        ConfigError: a row or a seed that is not in the study.
    """
    study = runs = graph["evaluate"]
    for field, place, asked in (("row", "rows", set(rows)), ("seed", "seeds", set(seeds))):
        present = {body[field] for body in study.values()}
        if unknown := sorted(asked - present):
            raise ConfigError(
                f"--{place} {' '.join(map(str, unknown))}: the study has {', '.join(map(str, sorted(present)))}; "
                f"they are set by study.{place} of params.yaml and `auxreid plan`"
            )
        runs = {key: body for key, body in runs.items() if not asked or body[field] in asked}
    if not runs:
        raise ConfigError(f"no row of --rows {' '.join(rows)} runs with a seed of --seeds {' '.join(map(str, seeds))}")
    return [f"evaluate@{key}" for key in runs]


def group(stages: Stages) -> dict[str, Unit]:
    """Units by name, each after those that it needs.

    The stages of one row and seed are one unit. A stage whose followers all lie in one unit belongs to it: a prompts
    variant that a single row reads is trained where it is read. What several units read is shared, and a unit.
    """
    home: dict[str, str] = {}
    for name in reversed(list(stages)):  # a stage comes after what it depends on
        kind, _, key = name.partition("@")
        followers = {home[other] for other, needs in stages.items() if name in needs and other in home}
        if kind in ROW_STAGES:
            home[name] = key
        elif kind != AT_HOME:
            home[name] = followers.pop() if len(followers) == 1 else name
    return _in_order(stages, home)


def _in_order(stages: Stages, home: Mapping[str, str]) -> dict[str, Unit]:
    members: dict[str, list[str]] = {}
    for name in stages:
        if name in home:
            members.setdefault(home[name], []).append(name)
    needs = {unit: {home[need] for name in names for need in stages[name]} - {unit} for unit, names in members.items()}
    order = TopologicalSorter(needs).static_order()
    return {unit: Unit(unit, tuple(members[unit]), frozenset(needs[unit])) for unit in order}
