"""params.yaml: what is accepted, and how faults are named."""

import copy
from pathlib import Path

import pytest
import yaml

from auxreid.config import load_config, parse_config
from auxreid.errors import ConfigError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def fault(raw: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    return str(caught.value)


def test_the_repository_is_valid():
    config = load_config(ROOT / "params.yaml")
    assert {"visual_only", "clip_reid"} <= set(config.ablations)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("recipes.sample_people.finetune.lr", -1.0, r"finetune.lr = -1.0: Input should be greater than 0"),
        ("recipes.sample_people.finetune.epochs", "many", r"finetune.epochs = 'many': .*integer"),
        ("recipes.sample_people.finetune.learning_rate", 1, r"learning_rate = 1: Extra inputs are not permitted"),
        ("recipes.sample_people.finetune.milestones", [5, 3], r"milestones \[5, 3\] must ascend"),
        ("recipes.sample_people.encoder.kind", "vgg", r"encoder.*'vgg'.*'open_clip', 'resnet', 'timm'"),
        ("study.people", ["nobody"], r"study.people.0 = 'nobody': not in datasets \(dogs, market1501"),
        ("study.dogs", ["sample_people"], r"recipes.sample_people.attributes: missing, study.dogs names"),
        ("study.seeds", [], r"study.seeds = \[\]: .*at least 1"),
        ("study.seeds", [1, 1], r"study.seeds = \[1, 1\]: a seed stands there twice"),
        ("datasets.sample_people.recipe", "none", r"datasets.sample_people.recipe = 'none': not in recipes"),
        ("datasets.sample_people.protocol", "dogs", r"protocol 'dogs' does not fit layout 'prid2011'"),
        (
            "ablations.clip_reid.prompts",
            "learnt",
            r"ablations.clip_reid.prompts = 'learnt': not in prompts \(attrib",
        ),
        ("ablations.clip_reid.form", "best", r"ablations.clip_reid.form = 'best': .*'thesis', 'corrected' or 'added'"),
        ("ablations.clip_reid.finetune", {"margn": 1}, r"clip_reid.finetune \(on sample_people\): margn = 1: Extra"),
        ("ablations.untrained", {"form": "thesis", "prompts": "learned"}, r"ablations.untrained: the name is taken"),
        ("ablations.Clip-Reid", {"form": "thesis", "prompts": "learned"}, r"should match pattern"),
    ],
)
def test_faults_name_path_value_and_what_is_allowed(raw, path, value, message):
    *parents, last = path.split(".")
    body = raw
    for parent in parents:
        body = body[parent]
    body[last] = value
    with pytest.raises(ConfigError, match=message):
        parse_config(raw)


@pytest.mark.parametrize("section", ["study", "datasets", "recipes", "prompts", "ablations"])
def test_a_missing_section_is_named(raw, section):
    del raw[section]
    assert f"{section}: Field required" in fault(raw)


def test_all_faults_are_told_at_once(raw):
    raw["study"]["people"] = ["nobody"]
    raw["ablations"]["clip_reid"]["prompts"] = "learnt"
    assert "nobody" in fault(raw) and "learnt" in fault(raw)


def test_part_of_a_chain_is_an_error(raw):
    raw["recipes"]["sample_people"] = copy.deepcopy(raw["recipes"]["sample_people"])
    del raw["recipes"]["sample_people"]["prompts"]
    assert "has input, encoder, finetune but no prompts" in fault(raw)


def test_an_ablation_replaces_only_what_it_names(raw):
    raw["ablations"]["clip_reid"]["finetune"] = {"margin": 0.5}
    config = parse_config(raw)
    base, changed = config.recipe("sample_people").finetune, config.finetune("sample_people", "clip_reid")
    assert changed.margin == 0.5 and changed.model_dump() | {"margin": base.margin} == base.model_dump()


def test_a_config_cannot_be_changed(raw):
    with pytest.raises(ValueError, match="frozen"):
        parse_config(raw).study.seeds = (1,)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"params\.yaml: no such file"):
        load_config(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("study: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("- a list")
    with pytest.raises(ConfigError, match="found list"):
        load_config(tmp_path / "params.yaml")
