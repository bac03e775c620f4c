"""`auxreid queue`: values of keys as experiments in DVC's queue, also of keys on which the table of runs depends.

DVC writes params.yaml alone, and a table of runs that does not fit it is refused by every stage. So DVC is told both:
the values, and what they change in pipeline/graph.yaml, as overrides of that file. No file of the workspace is written
here, and nothing is queued before all combinations are known to be valid.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.dvc.enqueue import Asked, enqueue
from auxreid.plumbing.dvc.lockfile import LOCK_FILE, read_entries
from auxreid.plumbing.graph.ignored_files import ignored_files
from auxreid.plumbing.graph.overrides import combinations, overrides_between, with_overrides
from auxreid.plumbing.graph.study_files import missing_files
from auxreid.plumbing.graph.table import GRAPH_FILE, TOP_KEY, build_graph, written_graph
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.load import PARAMS, parse_config


@dataclass(frozen=True)
class Trial:
    """A combination of values that can be queued."""

    values: tuple[str, ...]  # overrides of params.yaml
    changes: tuple[str, ...]  # of the table of runs
    copied: tuple[str, ...]  # files and folders that Git does not know and a stage has to read

    @property
    def text(self) -> str:
        return " ".join(self.values)

    def asked(self, name: str | None) -> Asked:
        return Asked([*self.values, *(f"{GRAPH_FILE}:{change}" for change in self.changes)], self.copied, name)


def queue(root: Path, given: Sequence[str], name: str | None = None) -> Iterator[str]:
    """Queue an experiment for each combination of values; yields a line for each that is queued, and for what it needs.

    Args:
        root: the repository, which is the working folder.
        given: values by DVC's grammar: `KEY=VALUE`, `KEY=VALUE,VALUE`.
        name: of the experiment; of several, "-1", "-2", ... follow it, as with DVC.

    Raises:
        ConfigError: before anything is queued, a wrong key or value; else what DVC says.
    """
    trials = [trial(root, values) for values in combinations(given)]
    for number, one in enumerate(trials, start=1):
        called = name if name is None or len(trials) == 1 else f"{name}-{number}"
        for path in one.copied:
            yield f"{path}: Git does not bring it; DVC copies it for {one.text}"
        yield f"queued {enqueue(root, one.asked(called))}: {one.text}"
    yield "`dvc queue start` runs what is queued; then `auxreid publish`, and `auxreid runs --experiments`"


def trial(root: Path, values: tuple[str, ...]) -> Trial:
    """A combination, once its settings are known to be valid and its files to be there.

    Raises:
        ConfigError: names the values, and what is wrong with them.
    """
    raw = with_overrides(values)
    told = f"-S {' -S '.join(values)}"
    try:
        config = parse_config(raw, str(PARAMS))
    except ConfigError as error:
        raise ConfigError(f"{told}: {error}") from None
    if faults := missing_files(config)[0]:
        raise ConfigError("\n".join(f"{told}: {fault}" for fault in faults))
    locked = read_entries(root / LOCK_FILE) if (root / LOCK_FILE).is_file() else {}
    return Trial(values, graph_changes(config), tuple(ignored_files(root, config, raw, locked)))


def graph_changes(config: Config) -> tuple[str, ...]:
    """What is to be changed in the table of runs, as overrides of its file; none where it fits already.

    Raises:
        ConfigError: the file is not there, or DVC's grammar cannot say what is to be changed.
    """
    if not GRAPH_FILE.is_file():
        raise ConfigError(f"{GRAPH_FILE}: no such file; run `auxreid plan`")
    wanted = plain(build_graph(config))
    changes = tuple(overrides_between(written_graph(GRAPH_FILE), wanted, TOP_KEY, depth=2))
    if changes and with_overrides(changes, GRAPH_FILE).get(TOP_KEY) != wanted:
        raise ConfigError(f"{GRAPH_FILE}: DVC cannot be told what to change in it: {', '.join(changes)}")
    return changes


def plain(graph: Mapping[str, Any]) -> dict[str, Any]:
    """The table as it is read from its file."""
    return yaml.safe_load(yaml.safe_dump(graph, sort_keys=False))
