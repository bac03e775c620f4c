"""The whole graph under the real DVC, on a miniature sample in a temporary clone; then edits, and what they rerun.

The first run is one with stages side by side; those after it, by `dvc repro` itself, tell that nothing was left out.
Stages are forks of a process that has imported torch; that a `python` of their own gives the same bytes is told by
test_fanout_cluster.py.
"""

import json
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from clones import SAMPLE, Clone, copy_project, copy_with_every_row, executed, render_small_people, shrink
from dvc.repo import Repo
from networkx import ancestors, relabel_nodes
from params import CONFIG, new_row, those_alone

from auxreid.plumbing.graph.applicability import applicable_rows
from auxreid.sample.dog_set import render_dogs

ROWS = ("visual_only", "clip_reid", "clip_reid_twice", "keypoints_mean_norm_corrected")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory, stage_python) -> Clone:
    clone = copy_project(tmp_path_factory.mktemp("clone"))
    render_small_people(clone)
    render_dogs(clone.root / SAMPLE, workers=1, dogs=16, sequences=(2, 2), frames=2)
    clone.dvc("commit", "-q", "-f", "data.dvc")
    clone.edit(shrink)
    clone.edit(lambda params: those_alone(params, ROWS))
    clone.run(sys.executable, "-m", "auxreid.cli", "plan")
    clone.take_python(stage_python)
    first = clone.run(sys.executable, "-m", "auxreid.cli", "repro", "--jobs", "2")
    clone.executed = executed(first.stdout)
    return clone


def test_every_stage_of_the_table_ran_once(clone):
    graph = yaml.safe_load((clone.root / "pipeline/graph.yaml").read_text())["graph"]
    expected = {f"{stage}@{key}" for stage, rows in graph.items() for key in rows}
    assert sorted(clone.executed) == sorted(expected | {"sources"})


def test_every_stage_left_a_finished_record(clone):
    records = [json.loads(path.read_text()) for path in clone.root.glob("results/*/*/record/record.json")]
    assert {f"{record['stage']}@{record['key']}" for record in records} == {
        name for name in clone.executed if name != "sources" and not name.startswith("protocol@")
    }
    assert {record["status"] for record in records} == {"finished"}


def test_keypoints_cover_every_packed_image(clone):
    from auxreid.data.frames import open_frames

    frames = open_frames(clone.root / "results/ingest/sample_people/frames.arrow")
    table = pq.read_table(clone.root / "results/keypoints/sample_people/keypoints.parquet")
    assert table["frame_id"].to_pylist() == frames.frame_id.tolist()
    assert len(table["keypoints"][0]) == 3 * 17 and len(table["embedding"][0]) == 17 * 32


def test_the_table_has_every_row(clone):
    lines = (clone.root / "results/compare/sample_people/table.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["untrained", "pretrained", *ROWS]


def test_nothing_is_left_to_do_and_a_second_repro_runs_nothing(clone):
    assert "up to date" in clone.run(sys.executable, "-m", "dvc", "status").stdout
    assert clone.repro() == []


@pytest.mark.parametrize("row", ["visual_only", "keypoints_mean_norm_corrected"])
def test_an_edit_of_one_ablation_reruns_its_chain_and_compare_alone(clone, row):
    before = (clone.root / "params.yaml").read_text()
    clone.edit(lambda params: params["ablations"][row].update(finetune={"lr": 1.0e-4}))
    assert clone.repro() == [
        f"finetune@sample_people-{row}-0",
        f"evaluate@sample_people-{row}-0",
        "compare@sample_people",
    ]
    (clone.root / "params.yaml").write_text(before)
    assert clone.repro() == []  # the former results come back from the run cache


def test_an_edit_of_a_prompts_variant_reruns_the_rows_that_share_it(clone):
    before = (clone.root / "params.yaml").read_text()
    clone.edit(lambda params: params["prompts"]["learned"].update(tokens=2))
    shared = ("clip_reid", "clip_reid_twice", "keypoints_mean_norm_corrected")
    expected = {f"{stage}@sample_people-{row}-0" for stage in ("finetune", "evaluate") for row in shared}
    expected |= {f"prompts@sample_people-{variant}-0" for variant in ("learned", "learned_twice")}
    executed = clone.repro()
    assert set(executed) == expected | {"compare@sample_people"} and len(executed) == len(set(executed))
    (clone.root / "params.yaml").write_text(before)
    assert clone.repro() == []


LOSSES, RECORDS = "src/auxreid/clipreid/losses.py", "src/auxreid/plumbing/stage/record.py"
ANY_CODE = "\n\nLIMIT = 3\n"
NEW_SETTINGS = "\n\nclass MarginSchedule(Section):\n    first: float\n    last: float\n"
OTHER_VERSION = re.compile(r"^(mlflow|pydantic|dvc)==.*$", re.MULTILINE)  # of packages that no stage's own code imports
WITHOUT_RESULT = {
    LOSSES: lambda text: text.replace('"""', '"""Of stages 1 and 2. ', 1).replace("\n\n\n", "\n\n# A note.\n\n\n"),
    RECORDS: lambda text: f"# A note.\n{text}{ANY_CODE}",
    "src/auxreid/plumbing/settings/rows.py": lambda text: text + NEW_SETTINGS,
    "src/auxreid/plumbing/mirror/view.py": lambda text: text + ANY_CODE,
    "src/auxreid/cli.py": lambda text: text + ANY_CODE,
    "requirements.lock": lambda text: OTHER_VERSION.sub(r"\1==99", text),
}


@pytest.fixture
def edited(clone):
    """Edits files of the clone for one test. The results that stood before come back without a stage being run."""
    before: dict[Path, str] = {}

    def edit(changes: dict) -> list[str]:
        for name, change in changes.items():
            path = clone.root / name
            before[path] = path.read_text(encoding="utf-8")
            text = change(before[path])
            assert text != before[path]
            path.write_text(text, encoding="utf-8")
        return clone.repro()

    yield edit
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")
    assert clone.repro() == []


def test_docstrings_comments_plumbing_settings_and_other_packages_run_sources_alone(edited):
    assert edited(WITHOUT_RESULT) == ["sources"]


def test_side_by_side_too_the_sources_are_hashed_before_the_others_are_counted(clone):
    path = clone.root / LOSSES
    before = path.read_text(encoding="utf-8")
    path.write_text(f"# A note.\n{before}", encoding="utf-8")
    done = clone.run(sys.executable, "-m", "auxreid.cli", "repro", "--jobs", "2")
    path.write_text(before, encoding="utf-8")
    assert executed(done.stdout) == ["sources"] and "0 stages to run" in done.stdout
    assert clone.repro() == []


def test_an_edit_of_a_loss_reruns_what_imports_it_and_what_follows(clone, edited):
    executed = edited({LOSSES: lambda text: text + ANY_CODE})
    graph = yaml.safe_load((clone.root / "pipeline/graph.yaml").read_text())["graph"]
    of_losses = {f"{stage}@{key}" for stage in ("prompts", "finetune") for key in graph[stage]}
    assert of_losses <= set(executed)
    # Equal bytes come out, for the edit changes no figure: so nothing that reads them is run.
    assert set(executed) == of_losses | {"sources"}


def test_another_version_of_a_package_outdates_what_imports_it(clone):
    path = clone.root / "requirements.lock"
    before = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^timm==.*$", "timm==99", before, flags=re.MULTILINE), encoding="utf-8")
    assert executed(clone.dvc("repro", "sources")) == ["sources"]
    status = json.loads(clone.dvc("status", "--json"))
    refused = clone.run(sys.executable, "-m", "dvc", "repro", "-s", "-f", "compare@sample_people", check=False)
    path.write_text(before, encoding="utf-8")
    assert refused.returncode == 0, refused.stderr  # it imports none of timm
    assert clone.repro() == []
    graph = yaml.safe_load((clone.root / "pipeline/graph.yaml").read_text())["graph"]
    importing = ("attributes", "evaluate", "finetune", "pretrain", "prompts")
    assert set(status) == {f"{stage}@{key}" for stage in importing for key in graph[stage]}


def test_a_single_stage_on_stale_sources_is_refused_with_the_remedy(clone):
    path = clone.root / LOSSES
    before = path.read_text(encoding="utf-8")
    path.write_text(before + ANY_CODE, encoding="utf-8")
    target = "finetune@sample_people-clip_reid-0"
    refused = clone.run(sys.executable, "-m", "dvc", "repro", "-s", "-f", target, check=False)
    path.write_text(before, encoding="utf-8")
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert f"finetune.json was written before these changed: {LOSSES}" in said and "dvc repro sources" in said
    assert clone.repro() == []


@pytest.fixture(scope="module")
def full_graph(tmp_path_factory):
    """DVC's reading of the project with all rows: the stages that read each block of params.yaml, and the edges."""
    with Repo(str(copy_with_every_row(tmp_path_factory.mktemp("full")))) as repo:
        stages = {stage.name: stage for stage in repo.index.stages if hasattr(stage, "name")}
        readers: dict[str, set[str]] = {}
        for name, stage in stages.items():
            for dep in stage.deps:
                for key in getattr(dep, "params", ()):
                    readers.setdefault(key, set()).add(name)
        return readers, relabel_nodes(repo.index.graph, lambda stage: getattr(stage, "name", stage))


def reruns(full_graph, key: str) -> set[str]:
    """The stages that read a block, and all that follow them; `compare` reads every row."""
    readers, graph = full_graph
    return readers[key].union(*(ancestors(graph, name) for name in readers[key])) - {"compare@sample_people"}


def both(*rows: str) -> set[str]:
    made = {row: "finetune" if CONFIG.ablations[row].rank is None else "descriptors" for row in rows}
    return {f"{stage}@sample_people-{row}-0" for row in rows for stage in (made[row], "evaluate")}


def after_clip_reid() -> set[str]:
    """The stages of rows that start from its encoder, or rank it."""
    rows = applicable_rows(CONFIG, "sample_people")
    ranking = [row for row in rows if CONFIG.ablations[row].encoder_of == "clip_reid"]
    return both("clip_reid_twice", *ranking) | {"prompts@sample_people-learned_twice-0"}


def test_an_edit_of_any_row_reaches_its_chain_and_what_starts_from_it(full_graph):
    rows = applicable_rows(CONFIG, "sample_people")
    assert len(rows) > 20
    for row in rows:
        ranking = [one for one in rows if CONFIG.ablations[one].encoder_of == row]
        behind = after_clip_reid() if row == "clip_reid" else both(*ranking)
        assert reruns(full_graph, f"ablations.{row}") == both(row) | behind, row


def test_an_edit_of_any_prompts_variant_reaches_the_rows_that_share_it(full_graph):
    for variant in CONFIG.prompts:
        shared = {row for row in applicable_rows(CONFIG, "sample_people") if CONFIG.ablations[row].prompts == variant}
        expected = both(*shared) | {f"prompts@sample_people-{variant}-0"}
        if "clip_reid" in shared:  # where the second round starts
            expected |= after_clip_reid()
        assert reruns(full_graph, f"prompts.{variant}") == expected, variant


def test_a_new_ablation_without_plan_is_a_clear_error(clone):
    before = (clone.root / "params.yaml").read_text()
    clone.edit(lambda params: params["study"]["rows"].append("another"))
    clone.edit(lambda params: params["ablations"].update(another=new_row()))
    failed = clone.run(sys.executable, "-m", "dvc", "repro", check=False)
    (clone.root / "params.yaml").write_text(before)
    assert failed.returncode != 0
    assert "finetune@sample_people-another-0 is not there" in failed.stdout + failed.stderr
    assert "auxreid plan" in failed.stdout + failed.stderr


def test_a_stage_run_again_gives_equal_bytes(clone):
    target = "finetune@sample_people-clip_reid-0"
    encoder = clone.root / "results/finetune/sample_people-clip_reid-0/encoder.safetensors"
    before = encoder.read_bytes()
    clone.run(sys.executable, "-m", "dvc", "repro", "-f", "-s", target)
    assert encoder.read_bytes() == before
