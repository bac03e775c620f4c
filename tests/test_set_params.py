"""`dvc exp run -S` reaches every key of a row, and leaves the rest of params.yaml as it is; by DVC's own code."""

from pathlib import Path

import pytest
import yaml
from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import apply_overrides
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from params import CONFIG, ROOT
from pydantic import BaseModel
from rich.console import Console

from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.settings.recipes import FinetuneConfig
from auxreid.plumbing.settings.row_overview import print_rows, row_lines
from auxreid.plumbing.settings.rows import AblationConfig, PoseFusionConfig, ViTConfig

TEXT = (ROOT / "params.yaml").read_text()
RAW = yaml.safe_load(TEXT)
BLOCKS = {"pose": PoseFusionConfig, "vit": ViTConfig, "finetune": FinetuneConfig}
OF_SOME_ROWS = ("auxiliary", "stride_one", "encoder_of", "rank")  # such a row has no key that it does not use
OF_THE_RECIPE = ("max_epoch_factor",)  # bounds rows from outside


def set_params(folder: Path, *overrides: str) -> list[tuple[str, str]]:
    """The lines that differ, before and after, of a file whose number of lines stays; written by DVC."""
    path = folder / "params.yaml"
    path.write_text(TEXT)
    apply_overrides(path, list(overrides))
    before, after = TEXT.splitlines(), path.read_text().splitlines()
    assert len(before) == len(after)
    return [(old, new) for old, new in zip(before, after, strict=True) if old != new]


def leaves(block: dict, above: str = "") -> dict[str, object]:
    found = {}
    for key, value in block.items():
        found |= leaves(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


def keys_of(section: type[BaseModel]) -> list[str]:
    return [name for name in section.model_fields if name not in OF_THE_RECIPE]


def test_every_key_that_a_row_can_have_stands_in_it():
    """A row with an idea has all keys of its idea, and of the others what it uses."""
    wanted = [name for name in AblationConfig.model_fields if name not in (*BLOCKS, *OF_SOME_ROWS)]
    wanted += [f"{block}.{name}" for block, section in BLOCKS.items() for name in keys_of(section)]
    for name, row in RAW["ablations"].items():
        if "auxiliary" in row:
            assert list(row["auxiliary"]) == list(type(CONFIG.ablations[name].auxiliary).model_fields), name
        if not set(OF_SOME_ROWS) & set(row) and row.get("start") not in RAW["pretrainings"]:
            assert sorted(leaves(row)) == sorted(wanted), name
    assert list(RAW["study"]["row_seeds"]) == list(RAW["ablations"])


def test_every_key_of_a_block_that_a_recipe_has_stands_in_it():
    for name, recipe in CONFIG.recipes.items():
        for block in recipe.model_fields_set:
            section = getattr(recipe, block)
            if isinstance(section, BaseModel):
                assert list(RAW["recipes"][name][block]) == list(type(section).model_fields), (name, block)


def test_the_file_is_written_as_dvc_writes_it(tmp_path):
    assert set_params(tmp_path, "compare.pictures=4") == []
    assert not [line for line in TEXT.splitlines() if line != line.rstrip()]


VALUES = {section: RAW[section] for section in ("ablations", "recipes")}
SCALARS = [path for path, value in leaves(VALUES).items() if not isinstance(value, list)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SCALARS))
def test_one_value_is_one_line(tmp_path, path):
    ((old, new),) = set_params(tmp_path, f"{path}=77")
    key = path.rpartition(".")[2]
    assert f"{key}: 77" in new and f"{key}:" in old
    assert old.partition("#")[2] == new.partition("#")[2]


def test_lists_take_lines_of_their_own_and_comments_stay(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    apply_overrides(
        path, ["study.seeds=[5]", "recipes.rn50.finetune.milestones=[1,2,3]", "ablations.clip_reid.pose={}"]
    )
    after = path.read_text()
    assert [line for line in after.splitlines() if "#" in line] == [line for line in TEXT.splitlines() if "#" in line]
    assert after.count("\n\n") == TEXT.count("\n\n")


def test_a_key_that_no_row_has_is_refused_and_the_file_stays(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    with pytest.raises(InvalidArgumentError):
        apply_overrides(path, ["ablations.clip_reid.finetune.margn=0.5"])
    assert path.read_text() == TEXT


def test_what_is_set_is_what_runs(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    apply_overrides(path, ["ablations.clip_reid.finetune.margin=0.5", "recipes.vit_b_16.pose.height=128"])
    config, before = load_config(path), load_config(ROOT / "params.yaml")
    assert config.ablations["clip_reid"].finetune == {"margin": 0.5}
    assert config.recipes["vit_b_16"].pose.height == 128 != config.recipes["rn50"].pose.height
    assert {name for name in config.ablations if config.ablations[name] != before.ablations[name]} == {"clip_reid"}
    assert {name for name in config.recipes if config.recipes[name] != before.recipes[name]} == {"vit_b_16"}


def test_a_row_without_values_is_a_row_without_the_keys():
    parsed = AblationConfig.model_validate_json
    empty = parsed('{"form": "added", "prompts": null, "pose": {"source": null}, "vit": {}, "finetune": {"lr": null}}')
    assert empty.model_dump() == parsed('{"form": "added", "prompts": null}').model_dump()


def test_the_overview_names_each_row_with_its_values_and_seeds():
    lines = {name: (form, seeds, said) for name, form, seeds, said in row_lines(load_config(ROOT / "params.yaml"))}
    assert list(lines) == list(RAW["ablations"])
    assert lines["attribute_prompts_corrected"] == (
        "corrected",
        "-",
        "prompts: attribute_sentences, text_targets: equal_text",
    )
    assert lines["clip_reid"][1] == "0, 1, 2"
    assert lines["visual_only_corrected"] == ("corrected", "-", "")
    assert "pose.swap_joints: false" in lines["keypoints_raw"][2]
    console = Console(width=100, record=True)
    print_rows(CONFIG, console)
    shown = console.export_text()
    assert [name for name in RAW["ablations"] if name not in shown] == []
