"""The table of runs that dvc.yaml's foreach stages walk, and the source files that its stages depend on."""

import ast
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.cyaml import CParser

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.sources import check_source_deps, import_closure, source_deps
from auxreid.plumbing.graph.table import (
    build_graph,
    check_graph,
    load_study,
    remove_stale_scores,
    split_of,
    write_graph,
)
from auxreid.plumbing.settings.load import load_config, parse_config

ROOT = Path(__file__).parent.parent


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def test_the_repository_is_up_to_date():
    check_graph(load_config(ROOT / "params.yaml"), ROOT / "pipeline/graph.yaml")


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "pipeline/graph.yaml", "data.dvc"])
def test_libyaml_reads_for_dvc_what_python_would(name):
    """Without libyaml, DVC reads its files several times as slowly, and says nothing."""
    text = (ROOT / name).read_text()
    parser = YAML(typ="safe")
    assert parser.Parser is CParser is not None
    assert repr(parser.load(text)) == repr(YAML(typ="safe", pure=True).load(text))


def test_ablations_of_one_variant_share_one_prompts_stage(raw):
    raw["study"]["seeds"] = [0, 1]
    raw["ablations"]["clip_reid_again"] = {"form": "thesis", "prompts": "learned"}
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


def test_given_weights_become_a_dependency(raw):
    raw["study"]["people"] = ["market1501"]
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
    found = {body["ablation"]: body["prompts"] for body in graph["finetune"].values()}
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
        if key not in graph["finetune"]:
            continue
        trained, ranked = {
            "hrnet_mean_norm": ("results/pose/sample_people/hrnet.safetensors", nothing),
            **dict.fromkeys(("keypoints_raw", "keypoints_unit", "keypoints_mean_norm"), (table, nothing)),
            **dict.fromkeys(("keypoints_raw_corrected", "keypoints_unit_corrected"), (table, table)),
            **dict.fromkeys(("keypoints_mean_norm_corrected", "hrnet_mean_norm_corrected"), (table, table)),
        }.get(row, (nothing, nothing))
        assert graph["finetune"][key]["pose"] == trained, row
        assert graph["evaluate"][key]["pose"] == ranked, row


@pytest.mark.parametrize("rows", [None, ["visual_only", "clip_reid", "clip_reid_twice", "keypoints_raw_corrected"]])
def test_every_file_that_a_stage_reads_is_made_by_one_or_stands_in_the_repository(raw, rows):
    raw["study"] |= {"rows": rows, "seeds": [0, 11], "row_seeds": {"clip_reid": [0, 11, 3], "visual_only": [2]}}
    graph = build_graph(parse_config(raw))
    made = {
        f"results/pretrain/{key}/{part}.safetensors"
        for key in graph["pretrain"]
        for part in ("initial", "image", "text")
    }
    made |= {f"results/prompts/{key}/prompts.safetensors" for key in graph["prompts"]}
    made |= {f"results/finetune/{key}/encoder.safetensors" for key in graph["finetune"]}
    made |= {f"results/pose/{key}/hrnet.safetensors" for key in graph["pose"]}
    made |= {f"results/keypoints/{key}/keypoints.parquet" for key in graph["pose"]}
    fields = ("image", "text", "start", "prompts", "pose", "encoder")
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
    raw["ablations"]["another"] = {"form": "thesis", "prompts": "learned"}
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(ConfigError, match=r"finetune@sample_people-another-0 is not there.*auxreid plan"):
        load_study()


def test_scores_of_rows_that_left_the_study_are_removed(raw, tmp_path):
    kept = tmp_path / "sample_people/clip_reid-0.json"
    stale = tmp_path / "sample_people/gone-0.parquet"
    for path in (kept, stale):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert remove_stale_scores(parse_config(raw), tmp_path) == [stale]
    assert kept.exists() and not stale.exists()


def imports_of(file: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def literal_closure(file: Path) -> set[Path]:
    """An independent transitive closure, by the syntax tree."""
    found, todo = {file}, [file]
    while todo:
        for name in imports_of(todo.pop()):
            target = ROOT / "src" / Path(*name.split(".")).with_suffix(".py")
            if target.is_file() and target not in found:
                found.add(target)
                todo.append(target)
    return found


def stages() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("stage", sorted(stages()))
def test_deps_of_a_stage_are_exactly_the_import_closure(stage):
    listed = [dep for dep in stages()[stage]["do"]["deps"] if dep.endswith(".py")]
    expected = {path.relative_to(ROOT).as_posix() for path in literal_closure(ROOT / f"pipeline/{stage}.py")}
    assert set(listed) == expected and len(listed) == len(expected)


def test_package_files_are_empty_so_that_no_stage_need_depend_on_them():
    assert [path for path in (ROOT / "src").rglob("__init__.py") if path.stat().st_size] == []


def test_only_the_pipeline_and_the_command_line_know_of_tracking():
    for file in (ROOT / "src/auxreid").rglob("*.py"):
        if "tracking" not in file.parts and file.name not in ("cli.py",):
            assert not any(name.startswith("auxreid.tracking") for name in imports_of(file)), file


def test_no_circle_between_files():
    closures = {file: literal_closure(file) for file in (ROOT / "src/auxreid").rglob("*.py")}
    for file, closure in closures.items():
        for other in closure - {file}:
            assert file not in closures[other], f"{file} and {other} import each other"


def test_the_closure_follows_imports_inside_functions(tmp_path):
    package = tmp_path / "src/pack"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "a.py").write_text("def f():\n    from pack.b import g\n")
    (package / "b.py").write_text("import json\n")
    (package / "unused.py").touch()
    (tmp_path / "script.py").write_text("from pack import a\n")
    assert import_closure(Path("script.py"), tmp_path) == ["script.py", "src/pack/a.py", "src/pack/b.py"]


def test_a_forgotten_source_dep_is_named(tmp_path):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "src/pack").mkdir(parents=True)
    (tmp_path / "src/pack/__init__.py").touch()
    (tmp_path / "src/pack/a.py").touch()
    (tmp_path / "pipeline/go.py").write_text("import pack.a\n")
    (tmp_path / "dvc.yaml").write_text("stages: {go: {foreach: [1], do: {cmd: x, deps: [pipeline/go.py]}}}\n")
    assert source_deps(tmp_path)["go"] == ["pipeline/go.py", "src/pack/a.py"]
    with pytest.raises(ConfigError, match=r"deps of go: missing \['src/pack/a.py'\]"):
        check_source_deps(tmp_path)
