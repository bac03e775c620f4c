"""What a stage's script gets: the settings, the files and the folder that its entry in the graph names."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

from auxreid.plumbing.base.errors import ConfigError, UsageError
from auxreid.plumbing.base.few import few
from auxreid.plumbing.base.near_names import near
from auxreid.plumbing.dvc.stages import STAGES_FILE, read_stages
from auxreid.plumbing.graph.feasible import TRAINING, stop_if_infeasible, tell_of_ingest
from auxreid.plumbing.graph.sources import FOLDER as SOURCES
from auxreid.plumbing.graph.sources import check_sources
from auxreid.plumbing.graph.table import GRAPH_FILE, NO_CODE, NOTHING, build_graph, load_study
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.stage.passed_over import passed_over
from auxreid.plumbing.stage.run import Run, stage_run

RESULTS = Path("results")
KEYS_SHOWN = 4  # where none is like the one that was asked for
# Sections whose blocks have names.
ONE_OF = {
    "datasets": "dataset",
    "vocabularies": "vocabulary",
    "ablations": "ablation",
    "pretrainings": "pretraining",
    "prompts": "variant",
    "metric_rows": "metric_row",
}


@dataclass(frozen=True)
class Stage:
    """One instance of a stage, as dvc.yaml and the table of runs describe it.

    A file or a block of params.yaml that dvc.yaml does not name is not here: what a script reads, DVC knows of.
    """

    name: str  # finetune
    key: str  # sample_people-clip_reid-0
    entry: Mapping[str, Any]  # of the table of runs: data set, row, seed, split, variant
    blocks: Mapping[str, Any]  # of params.yaml, validated, by dotted name
    reads: Mapping[str, Path | None]  # by name, as _read_name has it; None: there is no such file for this instance
    code: str  # hash of the code that runs

    @property
    def out(self) -> Path:
        """The folder to write to."""
        return RESULTS / self.name / self.key

    @property
    def dataset(self) -> str:
        return self.entry["dataset"]

    @property
    def settings(self) -> SimpleNamespace:
        """The blocks under short names: `finetune` for recipes.X.finetune, `ablation` for ablations.X."""
        return SimpleNamespace(**{_short_name(name): block for name, block in self.blocks.items()})

    @property
    def inputs(self) -> list[Path]:
        """All files that are read."""
        return [path for path in self.reads.values() if path is not None]

    @contextmanager
    def run(self, seed: int | None = None, replaced: Mapping[str, Any] | None = None, **more: object) -> Iterator[Run]:
        """The stage under its record (see :func:`stage_run`), whose parameters are the blocks.

        Before a training, and after an ingest, it is told what the data set makes impossible.

        Args:
            seed: where the graph gives none.
            replaced: blocks as they are really used, by their short names.
            more: further parameters of the record, beside what models of other data sets predicted.

        Raises:
            DataError: the stage trains, and the study cannot be run on the data set.
        """
        params: dict[str, Any] = dict(more)
        params |= {f"{what}_predicted_by": by for what, by in self.entry.get("predicted", {}).items()}
        for name, block in self.blocks.items():
            block = (replaced or {}).get(_short_name(name), block)
            *path, last = name.split(".")
            reduce(lambda inner, part: inner.setdefault(part, {}), path, params)[last] = _plain(block)
        with stage_run(
            self.name,
            self.key,
            dataset=self.dataset,
            params=params,
            ablation=self.entry.get("row"),
            seed=self.entry.get("seed", seed),
        ) as run:
            if self.name in TRAINING:
                stop_if_infeasible(load_config(), self.dataset)
            yield run
            if self.name == "ingest":
                with passed_over("look at what can be trained"):  # it reads other data sets' files too
                    tell_of_ingest(load_config(), self.dataset)


def open_stage(name: str, key: str, root: Path) -> Stage:
    """The instance of a stage, once params.yaml, the table of runs and the sources are known to fit each other.

    Args:
        root: the checkout whose sources run.

    Raises:
        ConfigError: params.yaml is wrong, or the table or results/sources/ is out of date.
        UsageError: there is no such key; the nearest ones are named.
    """
    config = load_study()
    graph = build_graph(config)
    entries = graph[name]
    if key not in entries:
        raise UsageError(f"{key!r} is no {name} of {GRAPH_FILE}{_instead(key, list(entries))}")
    entry = entries[key]
    text = read_stages(root).get(name)
    if text is None:
        raise ConfigError(f"{root / STAGES_FILE}: has no stage {name}")
    blocks = {block: _find(config, block) for block in _blocks(text.get("params", []), key, entry)}
    deps = text.get("deps", [])
    return Stage(name, key, entry, blocks, dict(_reads(deps, key, entry)), _checked_code(name, deps, key, entry, root))


def _checked_code(name: str, deps: list[str], key: str, entry: Mapping[str, Any], root: Path) -> str:
    """The hash of the stage's code, and behind it that of the idea that it uses."""
    paths = [Path(_filled(dep, key, entry)) for dep in deps]
    named = [path.relative_to(SOURCES).with_suffix("").as_posix() for path in paths if SOURCES in path.parents]
    return "+".join(check_sources(one, root) for one in dict.fromkeys((name, *named)))


def _instead(key: str, keys: list[str]) -> str:
    """The keys that may have been meant, however the stage was written before them; else the first of all."""
    if found := near(key.rpartition("@")[2], keys):
        return found
    return f", which has {few(keys, KEYS_SHOWN) or 'none'}"


def _blocks(params: list[str], key: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """The blocks of params.yaml that a stage's `params` name."""
    return (_filled(name, key, entry) for name in params)


def _reads(deps: list[str], key: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, Path | None]]:
    """By name; without the hashes of the code that runs, which are `code`."""
    for dep in deps:
        path = _filled(dep, key, entry)
        if SOURCES in Path(path).parents or path in NO_CODE:
            continue
        yield _read_name(dep), None if path.startswith(NOTHING) else Path(path)


def _read_name(dep: str) -> str:
    """`start` of ${item.start}, `frames` of .../frames.arrow, `protocol` of results/protocol/${item.dataset}.json."""
    if whole := re.fullmatch(r"\$\{item\.(\w+)\}", dep):
        return whole[1]
    path = Path(dep)
    return path.parent.name if "$" in path.name else path.stem


def _filled(template: str, key: str, entry: Mapping[str, Any]) -> str:
    for name, value in entry.items():
        template = template.replace(f"${{item.{name}}}", str(value))
    return template.replace("${key}", key)


def _find(config: Config, name: str) -> Any:
    found: Any = config
    for part in name.split("."):
        found = found[part] if isinstance(found, Mapping) else getattr(found, part)
    return found


def _short_name(block: str) -> str:
    section, _, name = block.partition(".")
    return ONE_OF[section] if section in ONE_OF and "." not in name else block.rpartition(".")[2]


def _plain(block: Any) -> Any:
    if isinstance(block, Mapping):
        return {name: _plain(inner) for name, inner in block.items()}
    return block.model_dump(mode="json") if isinstance(block, BaseModel) else block
