"""Names in params.yaml that point nowhere, and studies that cannot run: what is checked across sections."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from auxreid.plumbing.settings.config import BASELINES, FIRST_ENCODERS, METRIC_REFERENCE, Config
from auxreid.plumbing.settings.prediction_checks import broken_predictions, broken_trainers
from auxreid.plumbing.settings.section import fault_lines


def broken_references(config: Config) -> Iterator[str]:
    """Names that point nowhere, checked across sections."""
    for name, dataset in config.datasets.items():
        if dataset.recipe is not None and dataset.recipe not in config.recipes:
            yield f"datasets.{name}.recipe = {dataset.recipe!r}: not in recipes ({_names(config.recipes)})"
        if dataset.vocabulary is not None and dataset.vocabulary not in config.vocabularies:
            where = f"datasets.{name}.vocabulary = {dataset.vocabulary!r}"
            yield f"{where}: not in vocabularies ({_names(config.vocabularies)})"
    for name in (config.registry and config.registry.rows) or ():
        yield from _no_encoder(config, "registry.rows", name)
    yield from _broken_controls(config)
    yield from _broken_captions(config)
    yield from broken_predictions(config)
    yield from broken_trainers(config)
    yield from _broken_studies(config)
    yield from _missing_seeds(config)
    yield from _broken_pretrainings(config)
    yield from _broken_rows(config)
    yield from _broken_metric_rows(config)
    yield from _broken_metric_study(config)
    yield from _broken_search(config)
    for name, variant in config.prompts.items():
        encoder = getattr(variant, "encoder", None)
        if encoder is not None:
            yield from _no_encoder(config, f"prompts.{name}.encoder", encoder, tuple(config.pretrainings))


def _broken_controls(config: Config) -> Iterator[str]:
    known = (*BASELINES, *config.ablations)
    for row, controls in config.compare.controls.items():
        where = f"compare.controls.{row}"
        if row not in known:
            yield f"{where}: {row!r} is not in ablations ({_names(config.ablations)})"
        for name in controls:
            if name not in known:
                yield f"{where}: {name!r} is neither in ablations ({_names(config.ablations)}) nor a baseline"
        if row in controls or len(set(controls)) < len(controls):
            yield f"{where} = {list(controls)}: the row itself is none of its controls, and none stands there twice"


def _broken_captions(config: Config) -> Iterator[str]:
    for name, recipe in config.recipes.items():
        source = recipe.pretrain.captions_from if recipe.pretrain is not None else None
        if source is None:
            continue
        where = f"recipes.{name}.pretrain.captions_from = {source!r}"
        if source not in config.datasets:
            yield f"{where}: not in datasets ({_names(config.datasets)})"
        elif not config.datasets[source].has_attributes:
            able = _names(other for other, body in config.datasets.items() if body.has_attributes)
            yield f"{where}: datasets.{source}.attributes names no table to make captions of; allowed: {able}"


def _broken_rows(config: Config) -> Iterator[str]:
    for name, ablation in config.ablations.items():
        if name in BASELINES:
            yield f"ablations.{name}: the name is taken by a baseline row"
        if ablation.prompts is not None and ablation.prompts not in config.prompts:
            yield f"ablations.{name}.prompts = {ablation.prompts!r}: not in prompts ({_names(config.prompts)})"
        if ablation.start is not None:
            first = (*config.pretrainings, *FIRST_ENCODERS)
            faults = _no_encoder(config, f"ablations.{name}.start", ablation.start, first)
            yield from (f"{fault}; null is the pretrained CLIP" for fault in faults)
        if ablation.encoder_of is not None:
            yield from _no_encoder(config, f"ablations.{name}.encoder_of", ablation.encoder_of, BASELINES)
        yield from _wider_inputs(config, name)
        yield from _bad_replacements(config, name)
    for name in config.ablations:
        if name in _rows_before(config, name):
            yield f"ablations.{name}: starts from itself, by way of {_names(_rows_before(config, name))}"


def _broken_pretrainings(config: Config) -> Iterator[str]:
    for name in config.pretrainings:
        if name in config.ablations or name in BASELINES:
            yield f"pretrainings.{name}: the name is taken by a row of ablations, or a baseline"


def _wider_inputs(config: Config, name: str) -> Iterator[str]:
    """Encoders that a row gives images alone, and that were trained with further channels."""
    row = config.ablations[name]
    variant, own = config.prompts.get(row.prompts or ""), row.auxiliary
    for key, other in (("start", row.start), ("prompts", getattr(variant, "encoder", None))):
        idea = config.ablations[other].auxiliary if other in config.ablations else None
        if idea is not None and idea.widens_input and (key, own and own.kind) != ("start", idea.kind):
            why = f"the encoder of {other} takes more than images, by its auxiliary {idea.kind}"
            yield f"ablations.{name}.{key} = {getattr(row, key)!r}: {why}"


def _no_encoder(config: Config, key: str, row: str, others: tuple[str, ...] = ()) -> Iterator[str]:
    """Why a key cannot name a row for the encoder that it trains; `others` are encoders that it may name as well."""
    if row not in (*config.ablations, *others):
        also = f", nor {' or '.join(others)}" if others else ""
        yield f"{key} = {row!r}: not in ablations ({_names(config.ablations)}){also}"
    elif row in config.ablations and config.ablations[row].rank is not None:
        other = config.ablations[row].encoder_of
        yield f"{key} = {row!r}: trains no encoder, it ranks that of {other}; name {other}"


def _broken_metric_rows(config: Config) -> Iterator[str]:
    for name, row in config.metric_rows.items():
        if name in config.ablations or name in BASELINES:
            yield f"metric_rows.{name}: the name is taken by a row of ablations, or a baseline"
        if (row.loss is None) != (name == METRIC_REFERENCE):
            named = f"the row {METRIC_REFERENCE} has loss null, and no other"
            yield f"metric_rows.{name}.loss = {row.loss or 'null'}: {named}"
        for recipe, body in config.recipes.items():
            if body.metric is not None:
                try:
                    body.metric.train.replaced(row.train or {})
                except ValidationError as error:
                    yield from fault_lines(error, f"metric_rows.{name}.train (on recipe {recipe})")


def _broken_metric_study(config: Config) -> Iterator[str]:
    asked = config.study.metric_rows or ()
    for name in asked:
        if name not in config.metric_rows:
            yield f"study.metric_rows: {name!r} is not in metric_rows ({_names(config.metric_rows)})"
    if config.metric_names and METRIC_REFERENCE not in config.metric_names:
        yield f"study.metric_rows: {METRIC_REFERENCE!r} must be among them, the row that the others are compared with"
    known = {name: config.recipes.get(body.recipe) for name, body in config.datasets.items()}
    able = {name for name, recipe in known.items() if recipe is not None and recipe.metric is not None}
    if asked and not able.intersection(config.study.datasets):
        yield f"study.metric_rows: no recipe of the study's data sets has a metric section; these have: {_names(able)}"
    for dataset in able.intersection(config.study.datasets) if config.metric_names else ():
        backbone, by = config.recipe(dataset).metric.features.backbone, config.datasets[dataset].attributes_by
        if backbone.kind == "attributes" and by is not None:
            where = f"recipes.{config.datasets[dataset].recipe}.metric.features.backbone.kind = 'attributes'"
            yield f"{where}: {dataset} trains no attribute model, since {by}'s predicts its attributes"
        source = getattr(backbone, "dataset", None)
        chains = [name for name in config.study.datasets if known.get(name) is not None and known[name].has_chain]
        if source is not None and source not in chains:
            where = f"recipes.{config.datasets[dataset].recipe}.metric.features.backbone.dataset = {source!r}"
            yield f"{where}: no data set of the study that pre-trains a CLIP; these do: {_names(chains)}"


def _broken_search(config: Config) -> Iterator[str]:
    able = [name for name in config.study.datasets if name in config.datasets and _has_search(config, name)]
    for name in config.study.search:
        if name not in able:
            wanted = "no data set of the study whose recipe has a search section"
            yield f"study.search: {name!r} is {wanted}; these have: {_names(able)}"
            continue
        where = f"recipes.{config.datasets[name].recipe}.search.embedding.row"
        embedding, body = config.recipe(name).search.embedding, config.datasets[name]
        if not body.has_attributes or (config.recipe(name).attributes is None and body.attributes_by is None):
            needed = "a search needs an attribute model, by the recipe's attributes or another data set's"
            yield f"study.search: {name!r}: {needed}"
        if (body.n_splits or 1) > 1:
            yield f"study.search: {name!r} is evaluated on {body.n_splits} splits, a search on one alone"
        rows = config.metric_names if embedding.kind == "metric" else config.rows
        asked = "study.metric_rows" if embedding.kind == "metric" else "study.rows"
        if embedding.kind == "row" and (fault := _no_photograph_has(config, embedding.row)):
            yield f"{where} = {embedding.row!r}: {fault}, and a photograph brings none"
        if embedding.row not in rows:
            yield f"{where} = {embedding.row!r}: not among {asked}, which study.search needs ({_names(rows)})"


def _no_photograph_has(config: Config, row: str) -> str | None:
    """What a row ranks beside the image that nothing finds in a photograph; joints of descriptors are found."""
    body = config.ablations.get(row)
    if body is None or body.rank is None:
        return "the row ranks images with a pose" if body is not None and body.ranks_pose else None
    if body.ranks_attributes:
        return "the row ranks images with attributes, which a search weighs itself"
    if body.rank.ranks_cameras:
        return "the row ranks images by their cameras"
    if body.rank.pools == "other_joints":
        return "a control that ranks with the joints of other images"
    return _no_photograph_has(config, body.encoder_of)


def _has_search(config: Config, dataset: str) -> bool:
    recipe = config.recipes.get(config.datasets[dataset].recipe)
    return recipe is not None and recipe.search is not None


def _rows_before(config: Config, row: str) -> set[str]:
    """All rows that a row needs, directly or not."""
    found: set[str] = set()
    todo = [row]
    while todo:
        new = config.rows_needed_by(todo.pop()) - found
        found |= new
        todo += new
    return found


def _broken_studies(config: Config) -> Iterator[str]:
    for index, name in enumerate(config.study.datasets):
        if name not in config.datasets:
            yield f"study.datasets.{index} = {name!r}: not in datasets ({_names(config.datasets)})"
        if name in config.study.datasets[:index]:
            yield f"study.datasets = {list(config.study.datasets)}: {name!r} stands there twice"
    rows = config.study.rows or ()
    for key, names in (("rows", rows), ("row_seeds", config.study.row_seeds)):
        for name in names:
            if name not in config.ablations:
                yield f"study.{key}: {name!r} is not in ablations ({_names(config.ablations)})"
    for name in rows:
        if name in config.ablations and (missing := _rows_before(config, name) - set(rows)):
            verb = config.verb(name)
            yield f"study.rows: {name!r} {verb} {_names(missing)}, which must be among the rows too"
    by_row = {f"row_seeds.{row}": seeds for row, seeds in config.study.row_seeds.items() if seeds is not None}
    for key, seeds in {"seeds": config.study.seeds, **by_row}.items():
        if len(set(seeds)) < len(seeds):
            yield f"study.{key} = {list(seeds)}: a seed stands there twice"


def _missing_seeds(config: Config) -> Iterator[str]:
    """A row is trained with one seed from start to end, so the rows that it starts from must run with its seeds too."""
    for row in config.rows:
        for other in sorted(config.rows_needed_by(row)):
            if missing := sorted(set(config.seeds(row)) - set(config.seeds(other))):
                yield (
                    f"study: {row!r} runs with seeds {list(config.seeds(row))} and {config.verb(row)} {other!r}, which "
                    f"runs with {list(config.seeds(other))}: give {other!r} seeds {missing} too, under row_seeds"
                )


def _bad_replacements(config: Config, ablation: str) -> Iterator[str]:
    """Faults of `ablations.<name>.finetune`, found by applying it to every recipe that trains rows."""
    for name, recipe in config.recipes.items():
        if recipe.finetune is not None:
            try:
                recipe.finetune.replaced(config.ablations[ablation].finetune or {})
            except ValidationError as error:
                yield from fault_lines(error, f"ablations.{ablation}.finetune (on recipe {name})")


def _names(names: Any) -> str:
    return ", ".join(sorted(names)) or "none is defined"
