"""params.yaml as the tests vary it.

The settings' classes have no defaults, so that a test starts from the file's values and names only what it is about.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml

from auxreid.plumbing.settings.load import parse_config
from auxreid.plumbing.settings.recipes import FinetuneConfig

ROOT = Path(__file__).parent.parent


def one_seed(params: dict, rows: Iterable[str]) -> None:
    """These rows with one seed each."""
    params["study"] |= {"rows": list(rows), "seeds": [0], "row_seeds": {}}


def those_alone(params: dict, rows: Iterable[str]) -> None:
    """These rows with one seed each, and no block that nothing of the study reads: DVC parses all, for every stage."""
    one_seed(params, rows)
    without_other_rows(params, rows)
    study = params["study"]
    recipes = {params["datasets"][name].get("recipe") for name in study["datasets"]}
    _keep(params, datasets=study["datasets"], recipes=recipes, metric_rows=study.get("metric_rows", []))


def without_other_rows(params: dict, rows: Iterable[str]) -> None:
    """No block of a row but these and those that they are made of, and no variant of prompts that none of them has."""
    blocks, prompts = params["ablations"], params["prompts"]
    kept = {*rows, *(blocks[row].get("encoder_of") for row in rows)} & {*blocks}
    variants = {blocks[row].get("prompts") for row in kept} & {*prompts}
    kept |= {prompts[name].get("encoder") for name in variants} & {*blocks}
    controls = {row: [one for one in named if one in kept] for row, named in params["compare"]["controls"].items()}
    params["compare"]["controls"] = {row: named for row, named in controls.items() if row in kept and named}
    _keep(params, ablations=kept, prompts=variants)
    _keep(params["study"], row_seeds=kept)


def _keep(params: dict, **names: Iterable[str]) -> None:
    """In each of these blocks, the entries of these names alone."""
    for block, kept in names.items():
        params[block] = {name: value for name, value in params[block].items() if name in kept}


def read_params(path: Path) -> dict:
    """By libyaml, as all that reads or writes the long file often."""
    return yaml.load(path.read_text(), yaml.CSafeLoader)


def write_params(path: Path, params: dict) -> None:
    path.write_text(yaml.dump(params, Dumper=yaml.CSafeDumper, sort_keys=False))


@cache
def written() -> str:
    """params.yaml as JSON: it is read hundreds of times, and by a YAML parser that takes many times as long."""
    return json.dumps(read_params(ROOT / "params.yaml"))


def raw_params() -> dict:
    """All of params.yaml, with no block that an anchor shares between two places; of every row, one seed is run."""
    raw = json.loads(written())
    one_seed(raw, raw["ablations"])
    return raw


CONFIG = parse_config(raw_params())
FIRST_ROW = min(CONFIG.ablations)  # where messages list rows, by name


def new_row(**changes) -> dict:
    """A row of `ablations` that differs from CLIP-ReID in these."""
    return {"form": "added", "prompts": "learned"} | changes


def finetune_settings(**changes) -> FinetuneConfig:
    """The thesis's settings of stage 2 with these in their place."""
    return CONFIG.recipes["rn50"].finetune.replaced(changes)
