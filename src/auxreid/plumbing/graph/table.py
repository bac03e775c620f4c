"""The runs of the study as flat tables, one per stage, which dvc.yaml's foreach stages walk.

DVC's templating cannot look up "the prompts variant that this ablation names" inside a matrix of data set, ablation and
seed. So the looked-up keys are written out from params.yaml into pipeline/graph.yaml by `auxreid plan`; every stage
refuses to run while that file does not fit params.yaml.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.base.yaml_file import read_yaml
from auxreid.plumbing.dvc.experiment_copy import in_experiment, is_copy
from auxreid.plumbing.graph import views
from auxreid.plumbing.graph.applicability import (
    applicable_rows,
    baselines,
    captions_of,
    makes_keypoints,
    not_applicable,
    reads_texts,
    stage2_needs_attributes,
)
from auxreid.plumbing.graph.borrowed import (
    Predicted,
    attribute_datasets,
    attribute_model_of,
    caption_predictions,
    hrnet_datasets,
    hrnet_of,
    ingested_datasets,
    keypoint_datasets,
    labelled_datasets,
    lent,
    pretraining_predictions,
    row_predictions,
    variant_predictions,
)
from auxreid.plumbing.graph.sources import FOLDER as SOURCES
from auxreid.plumbing.graph.sources import idea_file
from auxreid.plumbing.settings.config import BASELINES, REFERENCE_ROW, Config
from auxreid.plumbing.settings.load import PARAMS, load_config
from auxreid.plumbing.settings.rows import AblationConfig, variant_needs_attributes

GRAPH_FILE = Path("pipeline/graph.yaml")
STAGES = (
    "ingest",
    "protocol",
    "pose",
    "keypoints",
    "attributes",
    "labels",
    "pretrain",
    "pretrain_branch",
    "prompts",
    "finetune",
    "descriptors",
    "evaluate",
    "compare",
    "metric_features",
    "metric",
    "metric_table",
    "index",
    "search",
)
NOTHING = "pipeline/nothing/"
NO_WEIGHTS = "pipeline/nothing/weights.txt"  # what a stage depends on that reads no local weights
NO_CAPTIONS = "pipeline/nothing/captions.txt"  # or no captions of another data set
NO_LABELS = "pipeline/nothing/labels.txt"  # or no predicted attributes
NO_TEXT = "pipeline/nothing/text.txt"  # or no text tower
NO_PROMPTS = "pipeline/nothing/prompts.txt"  # or no texts
NO_POSE = "pipeline/nothing/pose.txt"  # or no pose
NO_IDEA = "pipeline/nothing/idea.txt"  # or no idea of the room `auxiliary`
NO_DESCRIPTORS = "pipeline/nothing/descriptors.txt"  # or no descriptors
NO_DESCRIBING = "pipeline/nothing/describing.txt"  # or no code that embeds by them
NO_HRNET = "pipeline/nothing/hrnet.txt"  # or no HRNet
NO_ATTRIBUTES = "pipeline/nothing/attributes.txt"  # or no attribute model
NO_PREDICTING = "pipeline/nothing/predicting.txt"  # or no code that predicts by it
NO_CODE = (NO_IDEA, NO_DESCRIBING, NO_PREDICTING)
NO_HELD_OUT = "pipeline/nothing/held_out.txt"  # or no embeddings of held-out individuals
NO_FEEDBACK = "pipeline/nothing/feedback.txt"  # or no feedback
WRITTEN_BY = {"written_by": "auxreid plan"}  # the file's one parameter: without any, DVC shows each value in it as one
TOP_KEY = "graph"  # DVC merges the file with params.yaml, whose sections bear stage names too
SCORES = {"evaluate": "scores", "metric": "metric_scores"}  # folders of results/ with a file per row and seed
SCORES_NAME = re.compile(r"[a-z0-9_]+-[0-9]+\.(json|parquet|safetensors)")  # below <folder>/<data set>/
HEADER = "# Written by `auxreid plan` from params.yaml. Do not edit.\n"

Graph = dict[str, dict[str, dict[str, Any]]]  # stage -> key -> fields


def split_of(config: Config, dataset: str, seed: int) -> int:
    """The data set's split that a seed evaluates on: PRID2011's seed picks one of its random splits."""
    body = config.datasets[dataset]
    return seed % (body.n_splits or 1)


def build_graph(config: Config) -> Graph:
    """All stage instances of the study, by stage and key."""
    graph: Graph = {stage: {} for stage in STAGES}
    for dataset in ingested_datasets(config):
        graph["ingest"][dataset] = _ingested(config, dataset)
    _add_models(graph, config)
    for dataset in config.study.datasets:
        if config.recipe(dataset).has_chain:
            for row in (*baselines(config, dataset), *applicable_rows(config, dataset)):
                for seed in config.seeds(row):
                    _add_row(graph, config, dataset, row, seed)
            graph["protocol"][dataset] = {"dataset": dataset, "recipe": config.datasets[dataset].recipe}
            graph["compare"][dataset] = _comparison(config, dataset)
        if config.recipe(dataset).metric is not None and config.metric_names:
            _add_metric(graph, config, dataset)
        if dataset in config.study.search:
            _add_search(graph, config, dataset)
    return graph


def _ingested(config: Config, dataset: str) -> dict[str, Any]:
    """A data set without a vocabulary of its own depends on its own block once more: DVC's names must all be there."""
    body = config.datasets[dataset]
    own = f"datasets.{dataset}" if body.vocabulary is None else f"vocabularies.{body.vocabulary}"
    return {"dataset": dataset, "folder": body.folder, "vocabulary": own}


def _add_models(graph: Graph, config: Config) -> None:
    """Networks for keypoints and attributes, and what they say of every image of theirs or of another data set."""
    for dataset in hrnet_datasets(config):
        weights = local_file(config.recipe(dataset).pose.checkpoint)
        graph["pose"][dataset] = _with_recipe(config, dataset) | {"weights": weights}
    for dataset in keypoint_datasets(config):
        by = config.datasets[dataset].keypoints_by
        files = {"dataset": dataset, "hrnet_of": hrnet_of(config, dataset)}
        graph["keypoints"][dataset] = files | _noted({} if by is None else {"keypoints": by})
    for dataset in attribute_datasets(config):
        weights = local_file(config.recipe(dataset).attributes.weights)
        graph["attributes"][dataset] = _with_recipe(config, dataset) | {"weights": weights}
    for dataset in labelled_datasets(config):
        by = config.datasets[dataset].attributes_by
        files = {"dataset": dataset, "model_of": by, "recipe": config.datasets[by].recipe}
        graph["labels"][dataset] = files | _noted({"attributes": by})


def _with_recipe(config: Config, dataset: str) -> dict[str, Any]:
    return {"dataset": dataset, "recipe": config.datasets[dataset].recipe}


def _noted(predicted: Predicted) -> dict[str, Any]:
    """What the record of a stage tells of predictions; nothing where there are none."""
    return {"predicted": predicted} if predicted else {}


def labels_file(config: Config, dataset: str | None) -> str:
    """The attributes that another data set's model predicted for a data set."""
    if dataset is None or config.datasets[dataset].attributes_by is None:
        return NO_LABELS
    return f"results/labels/{dataset}/labels.parquet"


def _add_row(graph: Graph, config: Config, dataset: str, row: str, seed: int) -> None:
    """The stages of one row and seed; those that rows share are added once."""
    split = split_of(config, dataset, seed)
    common = {"dataset": dataset, "recipe": config.datasets[dataset].recipe, "split": split}
    if config.datasets[dataset].trained_on is None:
        start = _start_split(config, dataset, seed)
        graph["pretrain"][f"{dataset}-{start}"] = common | {"split": start} | _start_files(config, dataset)
        _add_what_ranks(graph, config, common | {"seed": seed}, row)
    files = _ranked(config, dataset, row, seed) | _noted(row_predictions(config, dataset, row))
    graph["evaluate"][f"{dataset}-{row}-{seed}"] = common | {"row": row, "seed": seed} | files


def _add_what_ranks(graph: Graph, config: Config, common: dict[str, Any], row: str) -> None:
    """A row's training, or the fit of what it ranks another one's encoder by; neither for a baseline."""
    if row in BASELINES:
        return
    if config.ablations[row].rank is None:
        _add_training(graph, config, common, row)
        return
    dataset, seed = common["dataset"], common["seed"]
    graph["descriptors"][f"{dataset}-{row}-{seed}"] = common | {"row": row} | _described(config, dataset, row, seed)


def _described(config: Config, dataset: str, row: str, seed: int) -> dict[str, Any]:
    """What descriptors are fitted to: an encoder, and where they or it take joints, those of the training images."""
    ranked, fits_joints = _ranked(config, dataset, row, seed), config.ablations[row].rank.fits_joints
    pose = _keypoints(dataset) if fits_joints else ranked["pose"]
    files = {name: ranked[name] for name in ("encoder", "idea", "attributes", "predicting")} | {"pose": pose}
    return files | _noted(row_predictions(config, dataset, row))


def _ranked(config: Config, dataset: str, row: str, seed: int) -> dict[str, str]:
    """The files that a row's images are embedded by."""
    trained = config.trained_row(row)
    ranks = row not in BASELINES and config.ablations[row].rank is not None
    predicts = ranks and config.ablations[row].ranks_attributes
    return {
        "encoder": encoder_path(config, dataset, row, seed),
        "pose": _keypoints(dataset) if config.ranks_pose(row) else NO_POSE,
        "idea": NO_IDEA if trained is None else _idea(trained),
        "descriptors": descriptors_file(config, dataset, row, seed) if ranks else NO_DESCRIPTORS,
        "describing": (SOURCES / "descriptors.json").as_posix() if ranks else NO_DESCRIBING,
        "attributes": attribute_model(attribute_model_of(config, dataset)) if predicts else NO_ATTRIBUTES,
        "predicting": (SOURCES / "labels.json").as_posix() if predicts else NO_PREDICTING,  # whose stage predicts too
    }


def ranked_with(config: Config, dataset: str, row: str, seed: int) -> dict[str, str]:
    """The files beside its encoder that photographs of no data set are embedded by: `descriptors`, the `attributes`
    model that they take predictions of, and where a pose is taken the `hrnet` that finds it."""
    files = _ranked(config, dataset, row, seed)
    found = {name: files[name] for name in ("descriptors", "attributes") if not files[name].startswith(NOTHING)}
    return found if files["pose"] == NO_POSE else found | {"hrnet": _hrnet(config, dataset)}


def attribute_model(dataset: str) -> str:
    """The classifier that was trained on a data set."""
    return f"results/attributes/{dataset}/model.safetensors"


def descriptors_file(config: Config, dataset: str, row: str, seed: int) -> str:
    """What a row with `rank` ranks by."""
    return f"results/descriptors/{config.datasets[dataset].trainer}-{row}-{seed}/descriptors.safetensors"


def _start_split(config: Config, dataset: str, seed: int) -> int:
    """The split whose training images the start has seen; 0 for all seeds where it has seen none of the data set's."""
    return split_of(config, dataset, seed) if captions_of(config, dataset) == dataset else 0


def _start_files(config: Config, dataset: str) -> dict[str, str]:
    """What a data set's start is made of: given weights, and captions, by the name of the data set that they are of."""
    encoder, source = config.recipe(dataset).encoder, captions_of(config, dataset)
    named = encoder.pretrained if encoder.kind == "open_clip" else getattr(encoder, "checkpoint", None)
    others = source is not None and source != dataset  # its own images are read anyway
    return {
        "weights": local_file(named),
        "captions_of": source or "",
        "captions": f"results/ingest/{source}/frames.arrow" if others else NO_CAPTIONS,
        "labels": labels_file(config, source),
    } | _noted(caption_predictions(config, dataset))


def _add_training(graph: Graph, config: Config, common: dict[str, Any], row: str) -> None:
    """A row's stage 2, and stage 1 where it has one; `common` is what both say of data set, split and seed."""
    body, dataset, seed = config.ablations[row], common["dataset"], common["seed"]
    prompts = NO_PROMPTS
    for name in config.pretrainings_of(row):
        _add_pretraining(graph, config, common, name)
    if body.prompts is not None:
        source = getattr(config.prompts[body.prompts], "encoder", None) or "pretrained"
        graph["prompts"][f"{dataset}-{body.prompts}-{seed}"] = common | {
            "variant": body.prompts,
            "image": encoder_path(config, dataset, source, seed),
            "text": _text_tower(config, dataset, source, seed) if reads_texts(config, row) else NO_TEXT,
            "labels": labels_file(config, dataset if variant_needs_attributes(config.prompts[body.prompts]) else None),
            **_noted(variant_predictions(config, dataset, body.prompts)),
        }
        prompts = f"results/prompts/{dataset}-{body.prompts}-{seed}/prompts.safetensors"
    graph["finetune"][f"{dataset}-{row}-{seed}"] = common | {
        "row": row,
        "start": encoder_path(config, dataset, body.start or "pretrained", seed),
        "prompts": prompts,
        "pose": _pose_file(config, dataset, body) if body.needs_pose else NO_POSE,
        "idea": _idea(body),
        "labels": labels_file(config, dataset if stage2_needs_attributes(body) else None),
        **_noted(row_predictions(config, dataset, row)),
    }


def _add_pretraining(graph: Graph, config: Config, common: dict[str, Any], name: str) -> None:
    """A start with a third tower: all that the plain one is made of, and a pose where it is of one."""
    dataset, body = common["dataset"], config.pretrainings[name]
    split = _start_split(config, dataset, common["seed"])
    entry = {"dataset": dataset, "recipe": common["recipe"], "split": split, "pretraining": name}
    pose = _keypoints(captions_of(config, dataset)) if body.branch == "pose" else NO_POSE
    entry |= _start_files(config, dataset) | {"pose": pose}
    entry |= _noted(pretraining_predictions(config, dataset, name))
    graph["pretrain_branch"][f"{dataset}-{split}-{name}"] = entry


def _comparison(config: Config, dataset: str) -> dict[str, Any]:
    """The rows of a comparison in the order of its table, each with its form; and why some are not applicable."""
    forms = {row: config.ablations[row].form for row in config.rows}
    return {
        "dataset": dataset,
        "layout": config.datasets[dataset].layout,
        "reference": REFERENCE_ROW,
        "rows": dict.fromkeys(baselines(config, dataset), "") | forms,
        "not_applicable": not_applicable(config, dataset),
        "predictions": lent(config, dataset),
        "keypoints": _keypoints(dataset) if makes_keypoints(config, dataset) else NO_POSE,
        "labels": labels_file(config, dataset),
    }


def _add_metric(graph: Graph, config: Config, dataset: str) -> None:
    """The metric rows of a data set: features once per split, rows and seeds, and their table."""
    common = {"dataset": dataset, "recipe": config.datasets[dataset].recipe}
    for seed in config.study.seeds:
        split = split_of(config, dataset, seed)
        key = f"{dataset}-{split}"
        backbone = _metric_backbone(config, dataset, seed)
        graph["metric_features"][key] = common | {"split": split, "backbone": backbone}
        for row in config.metric_names:
            graph["metric"][f"{dataset}-{row}-{seed}"] = common | {
                "row": row,
                "seed": seed,
                "split": split,
                "features": f"results/metric_features/{key}/features.safetensors",
                "backbone": backbone if config.metric_rows[row].trained else NO_WEIGHTS,
            }
    rows = {"rows": list(config.metric_names), "seeds": list(config.study.seeds)}
    graph["metric_table"][dataset] = common | rows


def _add_search(graph: Graph, config: Config, dataset: str) -> None:
    """The rows of a data set's search for each seed of the row whose embedding it takes, and their evaluation."""
    search = config.recipe(dataset).search
    embedding = search.embedding
    by = config.datasets[dataset].attributes_by
    predictions = f"results/attributes/{dataset}/predictions.parquet"
    common = {"dataset": dataset, "recipe": config.datasets[dataset].recipe}
    attributes = {
        "attributes": attribute_model(by or dataset),
        "attributes_recipe": config.datasets[by or dataset].recipe,
        "predictions": predictions if by is None else labels_file(config, dataset),
    }
    seeds = config.study.seeds if embedding.kind == "metric" else config.seeds(embedding.row)
    for seed in seeds:
        files = {"metric": _metric_network, "row": _chain_network}[embedding.kind](config, dataset, embedding.row, seed)
        named = {
            "kind": embedding.kind,
            "of_row": embedding.row,
            "seed": seed,
            "split": split_of(config, dataset, seed),
        }
        graph["index"][f"{dataset}-{seed}"] = common | named | files | attributes
    graph["search"][dataset] = common | {
        "kind": embedding.kind,
        "of_row": embedding.row,
        "attributes_recipe": attributes["attributes_recipe"],
        "seeds": list(seeds),
        "split": split_of(config, dataset, seeds[0]),
        "text": graph["index"][f"{dataset}-{seeds[0]}"]["text"],
        "feedback": search.feedback or NO_FEEDBACK,
    }


def _metric_network(config: Config, dataset: str, row: str, seed: int) -> dict[str, Any]:
    """The files of a metric row; its backbone is not named twice where it is the attribute classifier's."""
    body = config.metric_rows[row]
    own = config.recipe(dataset).metric.features.backbone.kind == "attributes"
    scores = f"results/metric_scores/{dataset}/{row}-{seed}.safetensors"
    return {
        "embedding": f"results/metric/{dataset}-{row}-{seed}/model.safetensors",
        "backbone": NO_WEIGHTS if own else _metric_backbone(config, dataset, seed),
        "on_attributes": own,
        "trained": bool(body.trained),
        "held_out": NO_HELD_OUT if body.loss is None else scores,
        "text": NO_TEXT,
        "descriptors": NO_DESCRIPTORS,
        "describing": NO_DESCRIBING,
        "hrnet": NO_HRNET,
    }


def _chain_network(config: Config, dataset: str, row: str, seed: int) -> dict[str, Any]:
    """The files of a row of the chain; what is ranked by descriptors lies in no space with texts."""
    files = {"embedding": encoder_path(config, dataset, row, seed), "backbone": NO_WEIGHTS, "held_out": NO_HELD_OUT}
    beside, ranked = ranked_with(config, dataset, row, seed), _ranked(config, dataset, row, seed)
    described = {
        "descriptors": ranked["descriptors"],
        "describing": ranked["describing"],
        "hrnet": beside.get("hrnet", NO_HRNET),
    }
    text = NO_TEXT if "descriptors" in beside else _text_tower(config, dataset, row, seed)
    return files | {"on_attributes": False, "trained": False, "text": text} | described


def _metric_backbone(config: Config, dataset: str, seed: int) -> str:
    """The file of the encoder that the metric rows start from; of another data set's CLIPs, that of the first seed."""
    backbone = config.recipe(dataset).metric.features.backbone
    if backbone.kind == "clip":
        of_seed = seed if backbone.dataset == dataset else config.study.seeds[0]
        return f"{_start(config, backbone.dataset, of_seed)}/image.safetensors"
    if backbone.kind == "attributes":
        return attribute_model(dataset)
    return local_file(backbone.weights)


def encoder_path(config: Config, dataset: str, row: str, seed: int) -> str:
    """The file of a row's image encoder: a baseline's comes from pretrain, an ablation's from finetune; of a row that
    ranks another one's encoder it is that one's. Or that of one of `pretrainings`."""
    if row in config.ablations:
        row = config.ablations[row].encoder_of or row
    dataset = config.datasets[dataset].trainer
    if row in config.pretrainings:
        return f"{_towers(config, dataset, row, seed)}/image.safetensors"
    if row not in BASELINES:
        return f"results/finetune/{dataset}-{row}-{seed}/encoder.safetensors"
    return f"{_start(config, dataset, seed)}/{'image' if row == 'pretrained' else 'initial'}.safetensors"


def _start(config: Config, dataset: str, seed: int) -> str:
    """The folder of the towers that a chain starts from."""
    return f"results/pretrain/{dataset}-{_start_split(config, dataset, seed)}"


def _text_tower(config: Config, dataset: str, row: str, seed: int) -> str:
    """The text tower that was trained with a row's encoder, before it was tuned."""
    return f"{_towers(config, dataset, row, seed)}/text.safetensors"


def _towers(config: Config, dataset: str, row: str, seed: int) -> str:
    """The folder of the towers that a row's chain starts from, by way of the rows that it starts from."""
    while row in config.ablations:
        row = config.ablations[row].encoder_of or config.ablations[row].start or "pretrained"
    if row in config.pretrainings:
        return f"results/pretrain_branch/{dataset}-{_start_split(config, dataset, seed)}-{row}"
    return _start(config, dataset, seed)


def _idea(row: AblationConfig) -> str:
    """The hash of the code that computes what a row adds."""
    return NO_IDEA if row.auxiliary is None else idea_file(row.auxiliary.kind).as_posix()


def _pose_file(config: Config, dataset: str, row: AblationConfig) -> str:
    """What a row reads its pose from: HRNet itself where it runs in training, else what it left of every image."""
    if row.pose is not None and row.pose.source == "hrnet_in_train_mode":
        return _hrnet(config, dataset)
    return _keypoints(dataset)


def _hrnet(config: Config, dataset: str) -> str:
    return f"results/pose/{hrnet_of(config, dataset)}/hrnet.safetensors"


def _keypoints(dataset: str) -> str:
    return f"results/keypoints/{dataset}/keypoints.parquet"


def local_file(named: str | None) -> str:
    """A path that a stage must depend on; tags and names of published weights are no paths."""
    is_path = named is not None and ("/" in named or named.endswith((".safetensors", ".pt", ".pth", ".bin")))
    return named if is_path else NO_WEIGHTS


def write_graph(config: Config, path: Path = GRAPH_FILE) -> None:
    """Write the graph file of a configuration, and beside it the one of what DVC shows."""
    graph = build_graph(config)
    write_text(path, graph_text(graph))
    write_text(path.with_name(views.NAME), views.views_text(views.build_views(graph, config.prompts)))


def graph_text(graph: Graph) -> str:
    """What the graph file holds."""
    return HEADER + yaml.safe_dump(WRITTEN_BY | {TOP_KEY: graph}, sort_keys=False, width=120)


def check_graph(config: Config, path: Path = GRAPH_FILE) -> None:
    """Compare the graph file and that of what DVC shows with the configuration.

    Raises:
        ConfigError: names the first stage instance, plot or artifact that is missing, superfluous or different, and the
            remedy.
    """
    written, graph = written_graph(path), build_graph(config)
    for stage, wanted in graph.items():
        found = written.get(stage) or {}
        for key in [*wanted, *found]:
            if wanted.get(key) != found.get(key):
                raise ConfigError(
                    f"{path} does not fit params.yaml: {stage}@{key} is {found.get(key, 'not there')}, params.yaml "
                    f"asks for {wanted.get(key, 'none')}; {remedy()}"
                )
    if not is_copy(Path.cwd()):  # in a copy for an experiment, DVC's `-S` has written the table alone
        views.check_views(views.build_views(graph, config.prompts), path.with_name(views.NAME))


def remedy() -> str:
    """What to do about a table that is out of date, for this process: DVC's `-S` writes params.yaml alone."""
    if is_copy(Path.cwd()):
        return "queue it by `auxreid queue -S KEY=VALUE`, which writes both; the workspace is as it was"
    if in_experiment():
        return f"go on with `auxreid plan` and `dvc repro`, or back with `git checkout {PARAMS}`"
    return "run `auxreid plan`"


def written_graph(path: Path) -> Graph:
    """What the graph file says, empty where there is none."""
    if not path.is_file():
        return {}
    remedy = "run `auxreid plan`"
    content = read_yaml(path, ConfigError, remedy, remedy) or {}
    graph = (content.get(TOP_KEY) or {}) if isinstance(content, dict) else content
    if not isinstance(graph, dict) or not all(isinstance(keys, dict) for keys in graph.values() if keys):
        raise ConfigError(f"{path}: no tables of runs by stage under '{TOP_KEY}'; {remedy}")
    return graph


def load_study(path: str | Path = PARAMS) -> Config:
    """The validated configuration, with the graph file checked against it: the first call of every stage.

    Raises:
        ConfigError: params.yaml is wrong, or the graph file is out of date.
    """
    config = load_config(path)
    check_graph(config)
    return config


def remove_stale_scores(config: Config, results: Path = Path("results")) -> list[Path]:
    """Delete score files of rows that left the study, so that its tables depend on the study's rows alone.

    Returns:
        The files that were deleted.
    """
    graph = build_graph(config)
    stale = [path for stage, name in SCORES.items() for path in _stale(graph[stage], results / name)]
    stale += _stale_rows(graph, results / "index_rows")
    for path in stale:
        path.unlink(missing_ok=True)  # a stage that starts removes its own
    return stale


def _stale_rows(graph: Graph, folder: Path) -> list[Path]:
    """Rows of an index of seeds that a data set's search has no more; a search that is no part of the study stays."""
    files = (path for dataset in graph["search"] for path in sorted((folder / dataset).glob("*.parquet")))
    return [path for path in files if path.stem.isdecimal() and f"{path.parent.name}-{path.stem}" not in graph["index"]]


def _stale(entries: dict[str, dict[str, Any]], folder: Path) -> list[Path]:
    wanted = {f"{body['dataset']}/{body['row']}-{body['seed']}" for body in entries.values()}
    return [
        path
        for path in sorted(folder.glob("*/*"))
        if SCORES_NAME.fullmatch(path.name) and path.relative_to(folder).with_suffix("").as_posix() not in wanted
    ]
