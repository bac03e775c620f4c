"""Which data set's models may serve another one: what is checked of `predicted_by` and `trained_on` in params.yaml."""

from collections.abc import Iterator

from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.datasets import DatasetConfig
from auxreid.plumbing.settings.recipes import PoseConfig


def broken_predictions(config: Config) -> Iterator[str]:
    """A line for each data set whose attributes or keypoints cannot be had from the one that it names."""
    for name, body in config.datasets.items():
        for what, by in (("attributes", body.attributes_by), ("keypoints", body.keypoints_by)):
            if by is not None and (fault := _fault(config, name, what, by)) is not None:
                yield f"datasets.{name}.{what}.predicted_by = {by!r}: {fault}"


def broken_trainers(config: Config) -> Iterator[str]:
    """A line for each data set that cannot be tested by the encoders of the one that it names."""
    for name, body in config.datasets.items():
        if body.trained_on is not None:
            yield from (f"datasets.{name}.trained_on = {body.trained_on!r}: {text}" for text in _trainer(config, name))


def _trainer(config: Config, name: str) -> Iterator[str]:
    body = config.datasets[name]
    by = body.trained_on
    if by not in config.datasets:
        yield f"not in datasets ({', '.join(sorted(config.datasets))})"
        return
    if by == name or config.datasets[by].trained_on is not None:
        yield "null says that a data set trains its own rows" if by == name else "nothing is trained on it either"
        return
    hrnet = config.datasets[by].keypoints_by or by
    if body.keypoints is not None and body.keypoints_by != hrnet:
        known = f"datasets.{name}.keypoints: null or {{predicted_by: {hrnet}}}"
        yield f"its rows know keypoints by the HRNet of {hrnet}; allowed is {known}"
    if name not in config.study.datasets:
        return
    if by not in config.study.datasets:
        yield f"not in study.datasets ({', '.join(config.study.datasets)}), with whose rows and seeds it is trained"
    for one in (name, by):
        recipe = config.recipes.get(config.datasets[one].recipe or "")
        if recipe is None or not recipe.has_chain:
            yield f"{_recipe(config.datasets[one].recipe, one)} trains no rows of ablations"
        elif one == name and recipe.metric is not None and config.metric_names:
            yield f"recipes.{body.recipe} has a metric section, and metric rows would be trained on {name} itself"
    if name in config.study.search:
        yield f"study.search has {name}, and a search is fitted on the images that its rows are trained on"


def _fault(config: Config, name: str, what: str, by: str) -> str | None:
    if by not in config.datasets:
        return f"not in datasets ({', '.join(sorted(config.datasets))})"
    lender, word = config.datasets[by], config.datasets[name].word
    if by == name:
        return "a data set cannot label itself; name another"
    if lender.trained_on is not None:
        return f"nothing is trained on it: datasets.{by}.trained_on = {lender.trained_on!r}"
    if lender.word != word:
        return f"datasets.{by}.word = {lender.word!r}, and datasets.{name}.word = {word!r}: it knows no {word}"
    theirs, ours = _described_as(config, by), _described_as(config, name)
    if what == "attributes" and theirs != ours:
        return f"its attributes are those of {theirs}, and this one's are told as those of {ours}"
    further = lender.attributes_by if what == "attributes" else lender.keypoints_by
    if further is not None:
        return f"datasets.{by}.{what} are themselves predicted by {further!r}; name a data set with its own"
    return no_classifier(config, by) if what == "attributes" else _no_hrnet(config, by)


def _described_as(config: Config, name: str) -> str:
    """Whose attributes a data set's are, which is how sentences tell them."""
    body = config.datasets[name]
    own = "dogs" if body.of_animals else "people"
    return own if body.vocabulary is None else f"vocabulary {body.vocabulary!r}"


def no_classifier(config: Config, by: str) -> str | None:
    """Why a data set trains no attribute model; None where it does."""
    body = config.datasets[by]
    if not body.has_attributes:
        return f"datasets.{by}.attributes names no table to train a model on"
    recipe = config.recipes.get(body.recipe or "")
    if recipe is None or recipe.attributes is None:
        return f"{_recipe(body.recipe, by)} has no attributes section, hence no model that could predict"
    return None


def _no_hrnet(config: Config, by: str) -> str | None:
    """Why a data set gets no HRNet; None where it does."""
    body = config.datasets[by]
    recipe = config.recipes.get(body.recipe or "")
    if recipe is None or recipe.pose is None:
        return f"{_recipe(body.recipe, by)} has no pose section, hence no HRNet that could predict"
    return nothing_to_fit(by, body, recipe.pose)


def nothing_to_fit(name: str, body: DatasetConfig, pose: PoseConfig) -> str | None:
    """Why an HRNet cannot be fitted on a data set; None where it can, or is given."""
    if pose.checkpoint == "fit" and body.keypoints is None:
        return f"recipes.{body.recipe}.pose fits HRNet, and datasets.{name}.keypoints names no file to fit it on"
    return None


def _recipe(name: str | None, dataset: str) -> str:
    return f"datasets.{dataset}.recipe, which is null," if name is None else f"recipes.{name}"
