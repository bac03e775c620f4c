"""The runs of the study as flat tables, one per stage, which dvc.yaml's foreach stages walk.

DVC's templating cannot look up "the prompts variant that this ablation names" inside a matrix of data set, ablation and
seed. So the looked-up keys are written out from params.yaml into pipeline/graph.yaml by `auxreid plan`; every stage
refuses to run while that file does not fit params.yaml.
"""

from pathlib import Path

import yaml

from auxreid.config import BASELINES, Config, load_config
from auxreid.errors import ConfigError

GRAPH_FILE = Path("pipeline/graph.yaml")
NO_WEIGHTS = "pipeline/no_weights.txt"  # what a stage depends on that reads no local weights
TOP_KEY = "graph"  # DVC merges the file with params.yaml, whose sections bear stage names too
HEADER = "# Written by `auxreid plan` from params.yaml. Do not edit.\n"

Graph = dict[str, dict[str, dict[str, str | int]]]  # stage -> key -> fields


def split_of(config: Config, dataset: str, seed: int) -> int:
    """The data set's split that a seed evaluates on: PRID2011's seed picks one of its random splits."""
    body = config.datasets[dataset]
    return seed % body.n_splits if body.layout == "prid2011" else 0


def build_graph(config: Config) -> Graph:
    """All stage instances of the study, by stage and key."""
    graph: Graph = {stage: {} for stage in ("ingest", "pose", "attributes")}
    graph |= {stage: {} for stage in ("pretrain", "prompts", "finetune", "evaluate", "compare")}
    for dataset in config.studied:
        _add_data_stages(graph, config, dataset)
        if config.recipe(dataset).has_chain:
            for seed in config.study.seeds:
                _add_chain(graph, config, dataset, seed)
            graph["compare"][dataset] = {"dataset": dataset}
    return graph


def _add_data_stages(graph: Graph, config: Config, dataset: str) -> None:
    body, recipe = config.datasets[dataset], config.recipe(dataset)
    graph["ingest"][dataset] = {"folder": body.folder}
    if recipe.pose is not None:
        weights = _local_file(recipe.pose.checkpoint)
        graph["pose"][dataset] = {"recipe": body.recipe, "weights": weights}
    if recipe.attributes is not None:
        graph["attributes"][dataset] = {"recipe": body.recipe, "weights": _local_file(recipe.attributes.weights)}


def _add_chain(graph: Graph, config: Config, dataset: str, seed: int) -> None:
    recipe, split = config.datasets[dataset].recipe, split_of(config, dataset, seed)
    common: dict[str, str | int] = {"dataset": dataset, "recipe": recipe}
    start = f"{dataset}-{split}"
    encoder = config.recipe(dataset).encoder
    named = encoder.pretrained if encoder.kind == "open_clip" else getattr(encoder, "checkpoint", None)
    graph["pretrain"][start] = common | {"split": split, "weights": _local_file(named)}
    files = {"untrained": f"results/pretrain/{start}/initial", "pretrained": f"results/pretrain/{start}/image"}
    for ablation, body in config.ablations.items():
        prompts, key = f"{dataset}-{body.prompts}-{seed}", f"{dataset}-{ablation}-{seed}"
        keys = {"seed": seed, "pretrain": start}
        graph["prompts"][prompts] = common | keys | {"variant": body.prompts}
        graph["finetune"][key] = common | keys | {"ablation": ablation, "prompts": prompts}
        files[ablation] = f"results/finetune/{key}/encoder"
    for row in (*BASELINES, *config.ablations):
        encoder_file = f"{files[row]}.safetensors"
        graph["evaluate"][f"{dataset}-{row}-{seed}"] = common | {"row": row, "seed": seed, "encoder": encoder_file}


def _local_file(named: str | None) -> str:
    """A path that a stage must depend on; tags and names of published weights are no paths."""
    is_path = named is not None and ("/" in named or named.endswith((".safetensors", ".pt", ".pth", ".bin")))
    return named if is_path else NO_WEIGHTS


def write_graph(config: Config, path: Path = GRAPH_FILE) -> None:
    """Write the graph file of a configuration."""
    path.write_text(
        HEADER + yaml.safe_dump({TOP_KEY: build_graph(config)}, sort_keys=False, width=120), encoding="utf-8"
    )


def check_graph(config: Config, path: Path = GRAPH_FILE) -> None:
    """Compare the graph file with the configuration.

    Raises:
        ConfigError: names the first stage instance that is missing, superfluous or different, and the remedy.
    """
    written = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for stage, wanted in build_graph(config).items():
        found = ((written or {}).get(TOP_KEY) or {}).get(stage) or {}
        for key in [*wanted, *found]:
            if wanted.get(key) != found.get(key):
                raise ConfigError(
                    f"{path} does not fit params.yaml: {stage}@{key} is {found.get(key, 'not there')}, params.yaml "
                    f"asks for {wanted.get(key, 'none')}; run `auxreid plan`"
                )


def load_study(path: str | Path = "params.yaml") -> Config:
    """The validated configuration, with the graph file checked against it: the first call of every stage.

    Raises:
        ConfigError: params.yaml is wrong, or the graph file is out of date.
    """
    config = load_config(path)
    check_graph(config)
    return config


def remove_stale_scores(config: Config, root: Path = Path("results/scores")) -> list[Path]:
    """Delete score files of rows that left the study, so that `compare` depends on the study's rows alone.

    Returns:
        The files that were deleted.
    """
    wanted = {f"{body['dataset']}/{body['row']}-{body['seed']}" for body in build_graph(config)["evaluate"].values()}
    stale = [
        path for path in sorted(root.glob("*/*")) if path.relative_to(root).with_suffix("").as_posix() not in wanted
    ]
    for path in stale:
        path.unlink()
    return stale
