"""Values of a key by DVC's own queue, from the command to MLflow: what becomes of an experiment's results."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest
from clones import Clone
from tracking_workspace import only
from waiting import wait_until

from auxreid.plumbing.graph.table import remedy
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.overview import overview, trial_overview
from auxreid.plumbing.mirror.publish import format_report, publish
from auxreid.plumbing.mirror.store import open_store
from auxreid.plumbing.settings.study import RegistryConfig

pytestmark = pytest.mark.slow

ROW, DATASET = "visual_only_corrected", "sample_people"
KEY, VALUES = f"ablations.{ROW}.finetune.lr", ("0.001", "0.002")
NAMES = ("tried-1", "tried-2")


def auxreid(clone: Clone, *words: str, check: bool = True) -> subprocess.CompletedProcess:
    return clone.run(sys.executable, "-m", "auxreid", *words, check=check)


def processes_in(folder: str) -> list[psutil.Process]:
    """Those that work in a folder or are told of it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if folder in f"{process.cwd()} {' '.join(process.cmdline())}":
                found.append(process)
    return found


@pytest.fixture(scope="module")
def tried(tmp_path_factory, trained_people, stage_python, empty_database) -> Clone:
    """A trained study, and two values of one key of a row that DVC's queue has run beside it."""
    root = tmp_path_factory.mktemp("tried") / "study"
    clone = Clone(shutil.copytree(trained_people, root, symlinks=True))
    clone.take_python(stage_python)
    (root / "mlruns").mkdir()
    shutil.copy(empty_database, root / "mlruns/mlflow.db")
    clone.commit("Results")
    said = auxreid(clone, "queue", "-S", f"++{KEY}={','.join(VALUES)}", "--name", "tried").stdout
    assert re.findall(r"^queued (\S+): (.*)$", said, re.MULTILINE) == [
        (name, f"++{KEY}={value}") for name, value in zip(NAMES, VALUES, strict=True)
    ]
    clone.dvc("exp", "run", "--run-all", "-j", "1")
    clone.dvc("queue", "stop", "--kill")
    wait_until(lambda: not processes_in(str(root)), pause=0.2)
    assert clone.run("git", "status", "--porcelain", "-uno").stdout == ""
    return clone


@pytest.fixture
def study(tried, tmp_path) -> Clone:
    """A copy of it, whose MLflow is empty."""
    clone = Clone(shutil.copytree(tried.root, tmp_path / "study", symlinks=True))
    clone.env["PATH"] = tried.env["PATH"]
    return clone


def runs_of(clone: Clone):
    store = open_store(clone.root)
    return store.client, store.runs(store.experiment(DATASET))


def standings(clone: Clone) -> dict[str, tuple[str, bool]]:
    """By the runs of the row and its seed: the experiment that each is marked as, and whether it is superseded."""
    marks = {}
    for run in runs_of(clone)[1]:
        tags = run.data.tags
        if ROW in (tags.get(view.ROW), tags.get(view.ABLATION)):
            name = f"{run.info.run_name}{'' if view.SUPERSEDED not in tags else ' superseded'}"
            assert name not in marks
            marks[name] = tags.get(view.EXPERIMENT)
    return marks


def test_what_experiments_made_is_beside_the_row_and_takes_no_place(study):
    report = publish(study.root, registry=RegistryConfig())
    client, runs = runs_of(study)
    row, seed = only(runs, ROW), only(runs, f"{ROW}-0")
    assert seed.data.tags[view.PARENT] == row.info.run_id
    for name, value in zip(NAMES, VALUES, strict=True):
        parent, child = only(runs, f"{ROW} ({name})"), only(runs, f"{ROW}-0 ({name})")
        assert child.data.tags[view.PARENT] == parent.info.run_id
        for run in (parent, child):
            marks = [run.data.tags[tag] for tag in (view.EXPERIMENT, view.CHANGED, view.BASELINE)]
            assert marks == [name, f"{KEY}={value}", study.run("git", "rev-parse", "HEAD").stdout.strip()]
        assert value in {text for key, text in child.data.params.items() if key.endswith("finetune.lr")}
        assert child.data.metrics["mAP"] == pytest.approx(parent.data.metrics["mAP"], abs=1e-4)
        assert any(metric.startswith("stage2/") for metric in child.data.metrics)
        assert child.outputs is None or not child.outputs.model_outputs
    assert not any(view.SUPERSEDED in run.data.tags for run in runs)
    assert f"{DATASET}/{ROW}-0 (tried-1)" in report.created and not report.skipped_trials
    assert len(client.search_model_versions(f"name='{DATASET}-encoder'")) == 1

    again = publish(study.root, registry=RegistryConfig())
    assert not any(getattr(again, outcome) for outcome in ("created", "restored", "completed", "superseded"))

    shared = client.get_experiment_by_name(DATASET).tags
    states = {
        key: json.loads(json.loads(shared[f"mlflow.sharedViewState.{key}"])["state"])
        for key in ("table", "charts", "experiments")
    }
    shown = {
        key: {
            run.info.run_name
            for run in client.search_runs(
                [row.info.experiment_id], state["searchFilter"], order_by=["tags.`auxreid.row` ASC"]
            )
        }
        for key, state in states.items()
    }
    assert shown["experiments"] - shown["table"] == {f"{ROW} ({name})" for name in NAMES}
    assert not any("tried" in name for name in shown["table"] | shown["charts"])
    assert states["experiments"]["selectedColumns"][0] == "tags.`changed`"


def test_runs_finds_them_by_name_with_what_they_changed(study):
    before = {(line.experiment, line.name): line for line in trial_overview(study.root)}
    assert set(before) == {(name, f"{ROW}-0") for name in NAMES}
    assert {line.standing for line in before.values()} == {"no run: run `auxreid publish`"}
    publish(study.root)
    said = auxreid(study, "runs", "--experiments").stdout
    runs = runs_of(study)[1]
    for name, value in zip(NAMES, VALUES, strict=True):
        run = only(runs, f"{ROW}-0 ({name})")
        (line,) = [line.split() for line in said.splitlines() if line.split()[:1] == [name]]
        figure = f"{run.data.metrics['mAP']:.4f}"
        assert line == [name, DATASET, f"{ROW}-0", figure, f"{KEY}={value}", run.info.run_id, "published"]
    assert {line.standing for line in overview(study.root)} == {"published"}


def test_an_applied_experiment_is_the_present_result_and_is_one_no_more(study):
    publish(study.root)
    study.dvc("exp", "apply", "tried-2")
    marked = [line.standing for line in overview(study.root) if line.name == f"{ROW}-0" and line.stages]
    assert marked == ["marked as an experiment's: run `auxreid publish`"]
    publish(study.root)
    applied = standings(study)
    assert applied == {
        ROW: None,
        f"{ROW}-0": None,
        f"{ROW} superseded": None,
        f"{ROW}-0 superseded": None,
        f"{ROW} (tried-1)": "tried-1",
        f"{ROW}-0 (tried-1)": "tried-1",
        f"{ROW} (tried-2) superseded": "tried-2",
    }
    assert {line.experiment for line in trial_overview(study.root)} == {"tried-1"}
    study.run("git", "checkout", "-q", ".")
    study.dvc("checkout", "-q")
    publish(study.root)
    back = standings(study)
    assert back.pop(f"{ROW} superseded") is None  # its seed is the experiment's again
    expected = {f"{ROW}{seed} ({name})": name for seed in ("", "-0") for name in NAMES}
    assert back == expected | {ROW: None, f"{ROW}-0": None}


def test_a_removed_experiment_stays_in_mlflow_and_one_that_was_never_published_does_not_come(study):
    publish(study.root)
    study.dvc("exp", "remove", "tried-1")
    report = publish(study.root)
    assert not report.superseded
    assert standings(study)[f"{ROW}-0 (tried-1)"] == "tried-1"
    lines = {line.experiment: line.standing for line in trial_overview(study.root)}
    assert lines == {"tried-2": "published", "tried-1": "DVC has the experiment no more"}


def test_what_the_cache_lacks_is_named(study):
    shutil.rmtree(study.root / ".dvc/cache/files/md5")
    report = publish(study.root)
    told = [line for line in format_report(report).splitlines() if "experiment tried-1" in line]
    assert told == [
        f"  left out: experiment tried-1: DVC's cache lacks results of compare@{DATASET}, evaluate@{DATASET}-{ROW}-0, "
        f"finetune@{DATASET}-{ROW}-0; `dvc exp pull` brings those that were pushed"
    ]


def test_a_table_of_runs_that_does_not_fit_names_the_command_that_writes_both(study):
    """`dvc exp run -S` of a key on which the table depends writes params.yaml alone."""
    before = (study.root / "params.yaml").read_bytes()
    command = (sys.executable, "-m", "dvc", "exp", "run", "--temp", "-S", "study.rows=[clip_reid]")
    copied = study.run(*command, check=False)
    assert copied.returncode
    (line,) = [line for line in copied.stdout.splitlines() + copied.stderr.splitlines() if line.startswith("error: ")]
    assert line.endswith("; queue it by `auxreid queue -S KEY=VALUE`, which writes both; the workspace is as it was")
    assert (study.root / "params.yaml").read_bytes() == before


def test_in_the_workspace_it_names_both_ways_on(monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "dusky-moss")
    assert remedy() == "go on with `auxreid plan` and `dvc repro`, or back with `git checkout params.yaml`"
