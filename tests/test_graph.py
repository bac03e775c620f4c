"""The table of runs that dvc.yaml's foreach stages walk, and what a stage's script gets of it."""

import json
from functools import cache
from pathlib import Path

import pytest
import yaml
from clones import copy_with_every_row
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from ideas import HEADS, Posed, with_idea
from params import CONFIG, ROOT, new_row, raw_params
from ruamel.yaml import YAML
from ruamel.yaml.cyaml import CParser

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.dvc.stages import read_stages
from auxreid.plumbing.graph.sources import describe, write_sources
from auxreid.plumbing.graph.table import (
    build_graph,
    check_graph,
    load_study,
    remove_stale_scores,
    split_of,
    write_graph,
)
from auxreid.plumbing.settings.load import load_config, parse_config
from auxreid.plumbing.stage import instance
from auxreid.plumbing.stage.instance import Stage, open_stage

TOWERS = ("image", "text")


@pytest.fixture
def raw() -> dict:
    return raw_params()


def test_the_repository_is_up_to_date():
    check_graph(load_config(ROOT / "params.yaml"), ROOT / "pipeline/graph.yaml")


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "pipeline/graph.yaml", "pipeline/dvc.yaml", "data.dvc"])
def test_libyaml_reads_for_dvc_what_python_would(name):
    """Without libyaml, DVC reads its files several times as slowly, and says nothing."""
    text = (ROOT / name).read_text()
    parser = YAML(typ="safe")
    assert parser.Parser is CParser is not None
    assert repr(parser.load(text)) == repr(YAML(typ="safe", pure=True).load(text))


def test_ablations_of_one_variant_share_one_prompts_stage(raw):
    raw["study"]["seeds"] = [0, 1]
    raw["ablations"]["clip_reid_again"] = new_row()
    raw["study"]["rows"] = ["visual_only", "clip_reid", "clip_reid_again"]
    graph = build_graph(parse_config(raw))
    assert sorted(graph["prompts"]) == [f"sample_people-{v}-{s}" for v in ("learned", "random") for s in (0, 1)]
    assert len(graph["finetune"]) == 6
    shared = {graph["finetune"][f"sample_people-{a}-1"]["prompts"] for a in ("clip_reid", "clip_reid_again")}
    assert shared == {"results/prompts/sample_people-learned-1/prompts.safetensors"}


def test_baselines_are_evaluated_beside_the_ablations(raw):
    rows = build_graph(parse_config(raw))["evaluate"]
    assert rows["sample_people-untrained-0"]["encoder"] == "results/pretrain/sample_people-0/initial.safetensors"
    tuned = "results/finetune/sample_people-clip_reid-0/encoder.safetensors"
    assert rows["sample_people-clip_reid-0"]["encoder"] == tuned


def test_a_seed_picks_prid2011s_split_and_nothing_on_market1501(raw):
    raw["datasets"]["sample_people"]["n_splits"] = 3
    config = parse_config(raw)
    assert [split_of(config, "sample_people", seed) for seed in range(4)] == [0, 1, 2, 0]
    assert split_of(config, "market1501", 5) == 0


def test_without_a_number_of_splits_all_seeds_share_one(raw):
    for key in ("shared_identities", "min_frames", "n_splits"):
        del raw["datasets"]["sample_people"][key]
    config = parse_config(raw)
    assert [split_of(config, "sample_people", seed) for seed in range(3)] == [0, 0, 0]


def test_given_weights_become_a_dependency(raw):
    raw["study"]["datasets"] = ["market1501"]
    raw["datasets"]["market1501"]["recipe"] = "lite0"
    graph = build_graph(parse_config(raw))
    assert graph["pretrain"]["market1501-0"]["weights"] == "weights/tf_efficientnet_lite0.safetensors"
    raw["datasets"]["market1501"]["recipe"] = "rn50"
    assert build_graph(parse_config(raw))["pretrain"]["market1501-0"]["weights"] == "pipeline/nothing/weights.txt"


def test_twice_learns_its_prompts_from_the_tuned_encoder_and_starts_from_it(raw):
    raw["study"] |= {"rows": ["clip_reid", "clip_reid_twice"], "seeds": [0, 1]}
    graph = build_graph(parse_config(raw))
    for seed in (0, 1):
        tuned = f"results/finetune/sample_people-clip_reid-{seed}/encoder.safetensors"
        prompts = graph["prompts"][f"sample_people-learned_twice-{seed}"]
        assert prompts["image"] == tuned and prompts["seed"] == seed
        assert prompts["text"] == f"results/pretrain/sample_people-{seed}/text.safetensors"  # never tuned
        row = graph["finetune"][f"sample_people-clip_reid_twice-{seed}"]
        assert row["start"] == tuned
        assert row["prompts"] == f"results/prompts/sample_people-learned_twice-{seed}/prompts.safetensors"
        first = graph["finetune"][f"sample_people-clip_reid-{seed}"]
        assert first["start"] == f"results/pretrain/sample_people-{seed}/image.safetensors"
        learned = graph["prompts"][f"sample_people-learned-{seed}"]
        assert learned["image"] == first["start"]


def test_a_row_without_texts_has_no_prompts_stage(raw):
    raw["study"]["rows"] = ["visual_only", "visual_only_corrected"]
    graph = build_graph(parse_config(raw))
    assert list(graph["prompts"]) == ["sample_people-random-0"]
    found = {body["row"]: body["prompts"] for body in graph["finetune"].values()}
    assert found == {
        "visual_only": "results/prompts/sample_people-random-0/prompts.safetensors",
        "visual_only_corrected": "pipeline/nothing/prompts.txt",
    }


def test_poses_are_read_in_training_and_ranked_only_where_a_row_says_so(raw):
    raw["study"]["rows"] = None
    config = parse_config(raw)
    graph = build_graph(config)
    table = "results/keypoints/sample_people/keypoints.parquet"
    for row in config.ablations:
        key, nothing = f"sample_people-{row}-0", "pipeline/nothing/pose.txt"
        if key not in graph["finetune"] or config.ablations[row].auxiliary is not None:
            continue
        trained, ranked = {
            "hrnet_mean_norm": ("results/pose/sample_people/hrnet.safetensors", nothing),
            **dict.fromkeys(("keypoints_raw", "keypoints_unit", "keypoints_mean_norm"), (table, nothing)),
            **dict.fromkeys(("keypoints_raw_corrected", "keypoints_unit_corrected", "keypoints_body"), (table, table)),
            **dict.fromkeys(("keypoints_mean_norm_corrected", "hrnet_mean_norm_corrected"), (table, table)),
        }.get(row, (nothing, nothing))
        assert graph["finetune"][key]["pose"] == trained, row
        assert graph["evaluate"][key]["pose"] == ranked, row


@pytest.mark.parametrize(
    ("idea", "trained", "ranked"),
    [
        (Posed(), True, False),
        (Posed(ranks=True), True, True),
        (Posed(pose=False), False, False),  # its control, which reads none
    ],
)
def test_an_idea_reads_the_keypoints_where_its_keys_say_so(raw, idea, trained, ranked):
    raw["study"]["rows"] = ["clip_reid", "visual_only"]
    graph = build_graph(with_idea(parse_config(raw), "clip_reid", idea))
    files = {False: "pipeline/nothing/pose.txt", True: "results/keypoints/sample_people/keypoints.parquet"}
    for stage, reads in (("finetune", trained), ("evaluate", ranked)):
        assert graph[stage]["sample_people-clip_reid-0"]["pose"] == files[reads]
        assert graph[stage]["sample_people-clip_reid-0"]["idea"] == "results/sources/ideas/posed.json"
        assert graph[stage]["sample_people-visual_only-0"]["pose"] == files[False]
        assert graph[stage]["sample_people-visual_only-0"]["idea"] == "pipeline/nothing/idea.txt"
    assert ("sample_people" in graph["keypoints"]) == trained


def test_a_row_may_start_before_the_pre_training(raw):
    raw["study"]["rows"] = ["early"]
    raw["ablations"]["early"] = new_row(prompts=None, start="untrained")
    graph = build_graph(parse_config(raw))
    first = graph["evaluate"]["sample_people-untrained-0"]["encoder"]
    assert graph["finetune"]["sample_people-early-0"]["start"] == first
    raw["study"]["datasets"] = ["market1501"]
    raw["datasets"]["market1501"]["recipe"] = "lite0"
    raw["ablations"]["early"]["start"] = "image_weights"
    start = build_graph(parse_config(raw))["finetune"]["market1501-early-0"]["start"]
    assert start == "results/pretrain/market1501-0/initial.safetensors"


@pytest.mark.parametrize("rows", [None, ["visual_only", "clip_reid", "clip_reid_twice", "keypoints_raw_corrected"]])
def test_every_file_that_a_stage_reads_is_made_by_one_or_stands_in_the_repository(raw, rows):
    raw["study"] |= {"rows": rows, "seeds": [0, 11], "row_seeds": {"clip_reid": [0, 11, 3], "visual_only": [2]}}
    graph = build_graph(parse_config(raw))
    made = {f"results/pretrain/{key}/{part}.safetensors" for key in graph["pretrain"] for part in ("initial", *TOWERS)}
    made |= {f"results/pretrain_branch/{key}/{part}.safetensors" for key in graph["pretrain_branch"] for part in TOWERS}
    made |= {f"results/prompts/{key}/prompts.safetensors" for key in graph["prompts"]}
    made |= {f"results/finetune/{key}/encoder.safetensors" for key in graph["finetune"]}
    made |= {f"results/pose/{key}/hrnet.safetensors" for key in graph["pose"]}
    made |= {f"results/keypoints/{key}/keypoints.parquet" for key in graph["keypoints"]}
    made |= {f"results/descriptors/{key}/descriptors.safetensors" for key in graph["descriptors"]}
    made |= {out for out in read_stages(ROOT)["sources"]["outs"] if out.startswith("results/sources/ideas/")}
    fields = ("image", "text", "start", "prompts", "pose", "labels", "idea", "encoder", "descriptors")
    read = {body[field] for stage in graph.values() for body in stage.values() for field in fields if field in body}
    assert len(read) > 10
    for path in read - made:
        assert path.startswith("pipeline/nothing/") and (ROOT / path).is_file(), path


def test_a_row_with_seeds_of_its_own_has_a_stage_for_each(raw):
    raw["study"] |= {"rows": ["visual_only", "clip_reid"], "row_seeds": {"clip_reid": [0, 4]}}
    graph = build_graph(parse_config(raw))
    assert sorted(graph["finetune"]) == [
        f"sample_people-{one}-{s}" for one, s in [("clip_reid", 0), ("clip_reid", 4), ("visual_only", 0)]
    ]
    assert sorted(graph["prompts"]) == ["sample_people-learned-0", "sample_people-learned-4", "sample_people-random-0"]
    assert sorted(graph["pretrain"]) == ["sample_people-0", "sample_people-4"]  # PRID2011's split of the seed


def test_an_out_of_date_table_stops_every_stage(raw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pipeline").mkdir()
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    write_graph(load_config())
    load_study()
    raw["ablations"]["another"] = new_row()
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    load_study()  # the study does not name it
    raw["study"]["rows"].append("another")
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(ConfigError, match=r"finetune@sample_people-another-0 is not there.*auxreid plan"):
        load_study()


def test_scores_of_rows_that_left_the_study_are_removed(raw, tmp_path):
    kept = tmp_path / "scores/sample_people/clip_reid-0.json"
    stale = tmp_path / "scores/sample_people/gone-0.parquet"
    metric = tmp_path / "metric_scores/sample_dogs/arcface-0.safetensors"  # the study has no metric rows
    for path in (kept, stale, metric):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert remove_stale_scores(parse_config(raw), tmp_path) == [stale, metric]
    assert kept.exists() and not stale.exists()


# what a script gets


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """A folder with the repository's settings for every row, their table and sources' hashes, and no results."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(raw_params()))
    write_graph(CONFIG)
    write_sources(ROOT)
    return tmp_path


def test_a_script_gets_the_files_and_blocks_that_dvc_knows_of_and_no_others(study, tmp_path_factory, monkeypatch):
    """By DVC's own reading of dvc.yaml, for every stage of the study, whose files are read and checked once."""
    for name in ("load_study", "check_sources", "read_stages"):
        monkeypatch.setattr(instance, name, cache(getattr(instance, name)))
    with Repo(str(copy_with_every_row(tmp_path_factory.mktemp("project")))) as repo:
        known = [stage for stage in repo.index.stages if "@" in getattr(stage, "name", "")]
    assert len(known) > 60
    for theirs in known:
        name, _, key = theirs.name.partition("@")
        ours = open_stage(name, key, ROOT)
        assert theirs.cmd == f"python pipeline/{name}.py {key}"
        deps = {dep.def_path for dep in theirs.deps if not isinstance(dep, ParamsDependency)}
        hashes = {dep for dep in deps if dep.startswith("results/sources/")}
        assert f"results/sources/{name}.json" in hashes
        deps -= hashes
        assert {path.as_posix() for path in ours.inputs} == {path for path in deps if "/nothing/" not in path}
        params = {dep.def_path: dep.params for dep in theirs.deps if isinstance(dep, ParamsDependency)}
        assert set(ours.blocks) == set(params.pop("params.yaml", ()))
        assert len(vars(ours.settings)) == len(ours.blocks)  # no short name stands for two
        assert params == {}  # of other files: each would be a column of `dvc exp show`
        assert all_outputs_belong_to(ours, [out.def_path for out in theirs.outs]), theirs.name


def all_outputs_belong_to(stage: Stage, outs: list[str]) -> bool:
    """Beside its folder a stage writes at most files that are named after it."""
    row = f"{stage.entry.get('row')}-{stage.entry.get('seed')}"
    elsewhere = (f"results/scores/{stage.dataset}/{row}", f"results/{stage.name}/{stage.key}.json")
    elsewhere += (f"results/rows/{stage.dataset}",) if stage.name == "compare" else ()
    return bool(outs) and all(out.startswith((f"{stage.out.as_posix()}/", *elsewhere)) for out in outs)


def test_files_and_blocks_have_short_names(study):
    stage = open_stage("finetune", "sample_people-keypoints_raw-0", ROOT)
    assert stage.settings.finetune == CONFIG.recipes["sample_people"].finetune
    assert stage.settings.ablation == CONFIG.ablations["keypoints_raw"]
    assert stage.reads == {
        "frames": Path("results/ingest/sample_people/frames.arrow"),
        "start": Path("results/pretrain/sample_people-0/image.safetensors"),
        "prompts": Path("results/prompts/sample_people-learned-0/prompts.safetensors"),
        "pose": Path("results/keypoints/sample_people/keypoints.parquet"),
        "labels": None,
    }
    assert open_stage("finetune", "sample_people-visual_only_corrected-0", ROOT).reads["prompts"] is None
    compare = open_stage("compare", "sample_people", ROOT).settings
    assert (compare.study, compare.compare) == (CONFIG.study, CONFIG.compare)
    assert open_stage("ingest", "sample_dogs", ROOT).settings.dataset == CONFIG.datasets["sample_dogs"]
    assert open_stage("prompts", "sample_people-learned-0", ROOT).settings.variant == CONFIG.prompts["learned"]


def test_a_key_that_is_not_in_the_table_is_told_what_is(study):
    with pytest.raises(ConfigError, match=r"'nobody' is no pose of pipeline/graph.yaml, which has sample_people"):
        open_stage("pose", "nobody", ROOT)


def test_a_stage_whose_sources_were_not_hashed_does_not_start(study):
    Path("results/sources/pose.json").unlink()
    with pytest.raises(
        ConfigError, match=r"sources/pose.json: there is no such file; run `dvc repro`, or `dvc repro so"
    ):
        open_stage("pose", "sample_people", ROOT)


@pytest.fixture
def study_with_heads(study) -> Path:
    """The same with a row that has an idea."""
    raw = raw_params()
    raw["ablations"]["heads"] = new_row(prompts=None, auxiliary=HEADS)
    raw["study"]["rows"] = ["clip_reid", "heads"]
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    write_graph(load_config())
    return study


@pytest.mark.parametrize("name", ["finetune", "evaluate"])
def test_the_code_of_a_row_s_stage_is_its_own_and_that_of_its_idea(study_with_heads, name):
    plain, heads = (open_stage(name, f"sample_people-{row}-0", ROOT) for row in ("clip_reid", "heads"))
    code = {one: describe(one, ROOT)["code"] for one in (name, "ideas/attribute_heads")}
    assert (plain.code, heads.code) == (code[name], f"{code[name]}+{code['ideas/attribute_heads']}")
    assert set(plain.reads) == set(heads.reads) and "idea" not in heads.reads
    path = Path("results/sources/ideas/attribute_heads.json")
    written = json.loads(path.read_text())
    written["files"]["src/auxreid/auxiliary/attribute_heads.py"] = "another"
    path.write_text(json.dumps(written))
    open_stage(name, "sample_people-clip_reid-0", ROOT)
    with pytest.raises(ConfigError, match=r"ideas/attribute_heads.json was .*: src/.*/attribute_heads.py"):
        open_stage(name, "sample_people-heads-0", ROOT)


def test_the_record_says_which_blocks_a_stage_ran_with_and_what_replaced_them(study):
    stage = open_stage("finetune", "sample_people-clip_reid-0", ROOT)
    used = stage.settings.finetune.replaced({"epochs": 3})
    with stage.run(replaced={"finetune": used}, prompts_key="learned") as run:
        params = run.record.params
    assert params["recipes.sample_people.finetune.epochs"] == 3
    assert params["recipes.sample_people.finetune.lr"] == stage.settings.finetune.lr
    assert params["ablations.clip_reid.form"] == "thesis" and params["prompts_key"] == "learned"
    assert (run.record.ablation, run.record.seed, run.out) == ("clip_reid", 0, stage.out)
