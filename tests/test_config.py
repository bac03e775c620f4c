"""params.yaml: what is accepted, and how faults are named."""

from collections.abc import Iterator
from typing import get_args

import pytest
from ideas import HEADS
from params import FIRST_ROW, ROOT, new_row, raw_params
from pydantic import BaseModel

from auxreid.clipreid.row_settings import row_settings
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.datasets import Keypoints
from auxreid.plumbing.settings.load import load_config, parse_config
from auxreid.plumbing.settings.recipes import FinetuneConfig, RerankingConfig, TimmEncoderConfig
from auxreid.plumbing.settings.rows import Centroids, ViTConfig
from auxreid.plumbing.settings.study import CompareConfig, RegistryConfig

DOGS = {"layout": "dogs", "folder": "raw/dogs", "protocol": "dogs", "word": "dog"}


@pytest.fixture
def raw() -> dict:
    return raw_params()


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
        ("study.datasets", ["nobody"], r"study.datasets.0 = 'nobody': not in datasets \(dogs, market1501"),
        ("study.datasets", [], r"study.datasets = \[\]: .*at least 1"),
        ("study.datasets", ["dogs", "dogs"], r"study.datasets = \['dogs', 'dogs'\]: 'dogs' stands there twice"),
        ("study.seeds", [], r"study.seeds = \[\]: .*at least 1"),
        ("study.seeds", [1, 1], r"study.seeds = \[1, 1\]: a seed stands there twice"),
        ("datasets.sample_people.recipe", "none", r"datasets.sample_people.recipe = 'none': not in recipes"),
        ("datasets.dogs.splits", "s.json", "datasets.dogs.*splits is for layout 'prid2011'"),
        ("datasets.market1501.min_frames", 2, "datasets.market1501.*min_frames is for layout 'prid2011'"),
        ("datasets.sample_people.protocol", "dogs", r"protocol 'dogs' does not fit layout 'prid2011'"),
        (
            "ablations.clip_reid.prompts",
            "learnt",
            r"ablations.clip_reid.prompts = 'learnt': not in prompts \(attrib",
        ),
        ("ablations.clip_reid.form", "best", r"ablations.clip_reid.form = 'best': .*'thesis', 'corrected' or 'added'"),
        (
            "ablations.clip_reid.finetune",
            {"margn": 1},
            r"clip_reid.finetune = {'margn': 1}: .*margn is no key of a recipe's finetune \(epochs, ",
        ),
        ("ablations.untrained", new_row(), r"ablations.untrained: the name is taken"),
        ("ablations.Clip-Reid", new_row(), r"should match pattern"),
        ("recipes.sample_people.pose.width", 48, r"sample_people.pose.width = 48: Input should be a multiple of 32"),
        ("datasets.my dogs", {}, r"datasets.my dogs.*should match pattern"),
        ("datasets.Dogs", {**DOGS, "folder": "raw/Dogs"}, r"datasets.*dogs and Dogs differ in capitals alone"),
        ("compare.level", 1.0, "compare.level = 1.0: Input should be less than 1"),
        ("compare.power", 0, "compare.power = 0: Input should be greater than 0"),
        ("compare.controls", {"clip_reid": []}, "compare.controls.clip_reid = .*: Tuple should have at least 1 item"),
        ("compare.controls", {"gone": ["clip_reid"]}, "compare.controls.gone: 'gone' is not in ablations"),
        ("compare.controls", {"clip_reid": ["gone"]}, "compare.controls.clip_reid: 'gone' is neither in ablations"),
        ("compare.controls", {"clip_reid": ["clip_reid"]}, "the row itself is none of its controls"),
        ("registry", {"metric": "map"}, r"registry.metric = 'map': Input should be 'mAP', 'mINP'"),
        ("registry", {"rows": ["nothing"]}, r"registry.rows = 'nothing': not in ablations"),
        ("registry", {"name": "encoder"}, r"registry.name = 'encoder': String should match pattern"),
        ("registry", {"alias": "v3"}, r"registry.alias = 'v3': .*MLflow keeps"),
        ("recipes.sample_people.evaluate.reranking", {"k1": 0}, "evaluate.reranking.k1 = 0: Input should be greater"),
        ("recipes.sample_people.evaluate.reranking", {"weight": 2}, "reranking.weight = 2: Input should be less"),
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
    raw["study"]["datasets"] = ["nobody"]
    raw["ablations"]["clip_reid"]["prompts"] = "learnt"
    assert "nobody" in fault(raw) and "learnt" in fault(raw)


def test_part_of_a_chain_is_an_error(raw):
    del raw["recipes"]["sample_people"]["prompts"]
    assert "has input, encoder, finetune, evaluate but no prompts" in fault(raw)


def test_a_data_set_has_the_name_that_its_users_give_it(raw):
    raw["datasets"]["MSMT17_V1-part"] = DOGS
    raw["study"]["datasets"] = ["MSMT17_V1-part"]
    assert parse_config(raw).datasets["MSMT17_V1-part"].name == "MSMT17_V1-part"


def settings_of(config: Config, row: str) -> FinetuneConfig:
    """Stage 2's on the sample's people."""
    return row_settings(config.recipe("sample_people").finetune, config.ablations[row])


def test_an_ablation_replaces_only_what_it_names(raw):
    raw["ablations"]["clip_reid"]["finetune"] = {"margin": 0.5}
    config = parse_config(raw)
    base, changed = config.recipe("sample_people").finetune, settings_of(config, "clip_reid")
    assert changed.margin == 0.5 and changed.model_dump() | {"margin": base.margin} == base.model_dump()


def test_a_start_that_is_no_row_is_named(raw):
    raw["ablations"]["clip_reid_twice"]["start"] = "clip_read"
    raw["prompts"]["learned_twice"]["encoder"] = "nothing"
    message = fault(raw)
    assert f"ablations.clip_reid_twice.start = 'clip_read': not in ablations ({FIRST_ROW}, " in message
    assert f"prompts.learned_twice.encoder = 'nothing': not in ablations ({FIRST_ROW}, " in message


def test_a_start_may_be_an_encoder_before_clip_and_no_other_baseline(raw):
    for start in ("untrained", "image_weights"):
        raw["ablations"]["visual_only"]["start"] = start
        assert parse_config(raw).rows_needed_by("visual_only") == set()
    raw["ablations"]["visual_only"]["start"] = "pretrained"
    message = fault(raw)
    assert f"visual_only.start = 'pretrained': not in ablations ({FIRST_ROW}, " in message
    assert "or untrained or image_weights; null is the pretrained CLIP" in message


def test_no_row_gives_images_alone_to_an_encoder_of_more_channels(raw):
    channels = {"kind": "joint_channels", "sigma": 0.1, "left_out": 0.2, "weight": 1, "shuffled": False, "blank": False}
    raw["ablations"]["channels"] = new_row(auxiliary=channels)
    raw["ablations"]["further"] = new_row(auxiliary=channels | {"weight": 2}, start="channels")
    parse_config(raw)
    raw["ablations"]["plain"] = new_row(start="channels")
    raw["prompts"]["of_channels"] = raw["prompts"]["learned"] | {"encoder": "channels"}
    raw["ablations"]["texts"] = new_row(prompts="of_channels")
    message = fault(raw)
    why = "the encoder of channels takes more than images, by its auxiliary joint_channels"
    assert f"ablations.plain.start = 'channels': {why}" in message
    assert f"ablations.texts.prompts = 'of_channels': {why}" in message
    assert "further" not in message


@pytest.mark.parametrize("known", ["clip_reid", "visual_only"])
def test_a_row_that_starts_from_itself_is_an_error(raw, known):
    raw["ablations"][known]["start"] = known
    assert f"ablations.{known}: starts from itself, by way of {known}" in fault(raw)


def test_a_row_whose_prompts_see_its_own_encoder_is_an_error(raw):
    raw["prompts"]["learned"]["encoder"] = "clip_reid"
    assert "ablations.clip_reid: starts from itself, by way of clip_reid" in fault(raw)


def test_rows_that_start_from_each_other_are_an_error(raw):
    """visual_only starts from clip_reid, whose prompts see the encoder of visual_only."""
    raw["ablations"]["visual_only"]["start"] = "clip_reid"
    raw["prompts"]["learned"]["encoder"] = "visual_only"
    message = fault(raw)
    for row in ("clip_reid", "visual_only"):
        assert f"ablations.{row}: starts from itself, by way of clip_reid, visual_only" in message


def test_the_studys_rows_must_hold_what_they_start_from(raw):
    raw["study"]["rows"] = ["visual_only", "clip_reid_twice"]
    assert "study.rows: 'clip_reid_twice' starts from clip_reid, which must be among the rows too" in fault(raw)
    raw["study"]["rows"].append("clip_reid")
    parse_config(raw)
    raw["ablations"]["visual_only"]["start"] = "clip_reid_twice"  # and by way of it from clip_reid
    raw["study"]["rows"] = ["visual_only"]
    assert "study.rows: 'visual_only' starts from clip_reid, clip_reid_twice, which must" in fault(raw)


@pytest.mark.parametrize("rows", [None, ["clip_reid"]])
def test_rows_and_seeds_of_unknown_rows_are_named(raw, rows):
    raw["study"] |= {"rows": rows, "row_seeds": {"clip_read": [1]}}
    assert f"study.row_seeds: 'clip_read' is not in ablations ({FIRST_ROW}, " in fault(raw)
    raw["study"] |= {"rows": ["clip_read"], "row_seeds": {}}
    assert f"study.rows: 'clip_read' is not in ablations ({FIRST_ROW}, " in fault(raw)


@pytest.mark.parametrize("by_prompts", [False, True])
def test_a_row_runs_with_no_seed_that_its_start_lacks(raw, by_prompts):
    """It would point at an encoder that no stage makes."""
    raw["study"] |= {"rows": None, "seeds": [0, 1], "row_seeds": {"clip_reid_twice": [1, 2, 3]}}
    raw["ablations"]["clip_reid_twice"] |= {"start": None} if by_prompts else {"prompts": "learned"}
    assert (
        "study: 'clip_reid_twice' runs with seeds [1, 2, 3] and starts from 'clip_reid', which runs with [0, 1]: "
        "give 'clip_reid' seeds [2, 3] too, under row_seeds" in fault(raw)
    )
    raw["study"]["row_seeds"]["clip_reid"] = [0, 1, 2, 3]
    parse_config(raw)
    raw["study"]["row_seeds"] = {"clip_reid": [0, 1, 2]}  # more than the row that starts from it
    parse_config(raw)
    raw["study"]["row_seeds"] = {"clip_reid": [0]}
    assert "'clip_reid_twice' runs with seeds [0, 1] and starts from 'clip_reid', which runs with [0]" in fault(raw)
    raw["study"]["rows"] = ["clip_reid", "visual_only"]  # a row that is not studied needs nothing
    parse_config(raw)


def test_rows_and_their_seeds(raw):
    raw["study"] |= {"seeds": [5, 6], "rows": ["clip_reid", "visual_only"], "row_seeds": {"clip_reid": [5, 6, 7]}}
    config = parse_config(raw)
    assert config.rows == ("visual_only", "clip_reid")  # in the order of ablations
    assert config.seeds("clip_reid") == (5, 6, 7) and config.seeds("visual_only") == (5, 6)
    raw["study"]["rows"] = None
    assert parse_config(raw).rows == tuple(raw["ablations"])


def with_recipe(raw: dict, **changes) -> None:
    """Changes of the finetune section of the sample's recipe, with no limit on the epoch factor."""
    raw["recipes"]["sample_people"]["finetune"] |= {"max_epoch_factor": None} | changes


def test_the_epoch_factor_scales_epochs_and_milestones_and_nothing_else(raw):
    with_recipe(raw, epochs=10, milestones=[4, 7])
    config = parse_config(raw)
    found = {row: settings_of(config, row) for row in config.ablations}
    for row, factor in {"clip_reid": 1, "keypoints_unit": 3, "keypoints_mean_norm": 4, "hrnet_mean_norm": 4}.items():
        assert (found[row].epochs, found[row].milestones) == (10 * factor, (4 * factor, 7 * factor))
        unscaled = found[row].model_dump() | {"epochs": 10, "milestones": (4, 7)}
        assert unscaled == config.recipe("sample_people").finetune.model_dump()


@pytest.mark.parametrize(("limit", "factors"), [(1, (1, 1, 1)), (3, (1, 3, 3)), (4, (1, 3, 4)), (9, (1, 3, 4))])
def test_a_recipe_limits_the_epoch_factor(raw, limit, factors):
    with_recipe(raw, epochs=10, milestones=[4, 7], max_epoch_factor=limit)
    config = parse_config(raw)
    for row, factor in zip(("clip_reid", "keypoints_unit", "keypoints_mean_norm"), factors, strict=True):
        found = settings_of(config, row)
        assert (found.epochs, found.milestones) == (10 * factor, (4 * factor, 7 * factor))


def test_a_rows_own_epochs_are_scaled_too(raw):
    with_recipe(raw)
    raw["ablations"]["keypoints_unit"]["finetune"] = {"epochs": 2, "milestones": [1]}
    found = settings_of(parse_config(raw), "keypoints_unit")
    assert (found.epochs, found.milestones) == (6, (3,))


@pytest.mark.parametrize(
    ("row", "key", "value", "message"),
    [
        ("clip_reid", "epoch_factor", 0, r"clip_reid.epoch_factor = 0: Input should be greater than 0"),
        ("clip_reid", "positives", "all", r"positives = 'all': Input should be 'equal_attributes'$"),
        (
            "clip_reid",
            "id_targets",
            "equal_text",
            r"'equal_text': Input should be 'attribute_share' or 'attribute_smoothing'$",
        ),
        ("clip_reid", "epsilon", 1.5, r"clip_reid.epsilon = 1.5: Input should be less than or equal to 1"),
        ("clip_reid", "epsilon", 0.1, r"epsilon goes with targets 'attribute_smoothing', and only with them"),
        (
            "clip_reid",
            "id_targets",
            "attribute_smoothing",
            r"epsilon goes with targets 'attribute_smoothing', and only",
        ),
        ("visual_only_corrected", "text_targets", "equal_text", r"need texts, and prompts is null"),
        ("clip_reid", "pose", {"source": "keypoints"}, r"clip_reid.pose.normalisation: Field required"),
        (
            "clip_reid",
            "auxiliary",
            {"kind": "attribute_tails"},
            r"'attribute_tails' .* expected tags: 'attribute_heads",
        ),
        ("clip_reid", "auxiliary", {"kind": "attribute_heads"}, r"auxiliary.attribute_heads.weight: Field required"),
        ("keypoints_raw", "auxiliary", HEADS, r"keypoints_raw.*: .*pose and auxiliary do not go together: one of the"),
    ],
)
def test_faults_of_a_row_are_named(raw, row, key, value, message):
    raw["ablations"][row][key] = value
    with pytest.raises(ConfigError, match=message):
        parse_config(raw)


def test_an_hrnet_that_depends_on_the_batch_cannot_be_ranked(raw):
    raw["ablations"]["hrnet_mean_norm"]["pose"] = {**raw["ablations"]["hrnet_mean_norm"]["pose"], "rank": "fused"}
    assert "source hrnet_in_train_mode depends on the batch and cannot be ranked" in fault(raw)


def settings_classes(annotation: object) -> Iterator[type[BaseModel]]:
    """Those that a type speaks of: inside unions, containers and annotations too, and in the fields of its classes."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from settings_classes(field.annotation)
    for inner in get_args(annotation):
        yield from settings_classes(inner)


def test_no_setting_that_a_stage_can_read_has_a_value_in_the_code():
    """No stage depends on the settings' code, so that a new default there would change results unseen."""
    found = set(settings_classes(Config))
    assert {ViTConfig, RerankingConfig, TimmEncoderConfig, Keypoints, Centroids, CompareConfig} < found
    for one in found - {RegistryConfig}:  # read by `auxreid publish` alone, see test_registry.py
        for name, field in one.model_fields.items():
            if (one, name) != (Config, "registry") and not field.is_required():
                assert field.get_default(call_default_factory=True) in (None, (), [], {}), f"{one.__name__}.{name}"


def test_a_config_cannot_be_changed(raw):
    with pytest.raises(ValueError, match="frozen"):
        parse_config(raw).study.seeds = (1,)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"params\.yaml: no such file"):
        load_config(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("study: [")
    with pytest.raises(ConfigError, match="line 2, column 1: not YAML"):
        load_config(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("- a list")
    with pytest.raises(ConfigError, match="found list"):
        load_config(tmp_path / "params.yaml")
