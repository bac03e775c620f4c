"""`auxreid fanout` before and beside Ray: what becomes a task, what a node needs, what is counted, what is killed."""

import copy
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from clones import copy_with_every_row
from dvc.repo import Repo
from hypothesis import given
from hypothesis import strategies as st
from params import CONFIG, FIRST_ROW
from small_study import SmallStudy
from typer.testing import CliRunner
from waiting import gone, wait_until

from auxreid.cli import SeveralValues
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.fanout import leash, repository, task
from auxreid.plumbing.fanout.ledger import DONE, FAILED, RUNNING, Ledger
from auxreid.plumbing.fanout.plan import Unit, group, select
from auxreid.plumbing.graph.applicability import applicable_rows
from auxreid.plumbing.graph.table import build_graph


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """All stages of the project with what each needs, in order, from DVC's own graph."""
    from networkx import lexicographical_topological_sort, relabel_nodes

    with Repo(str(copy_with_every_row(tmp_path_factory.mktemp("study")))) as repo:
        stages = [stage for stage in repo.index.graph if hasattr(stage, "name")]  # without data.dvc, which runs nothing
        graph = relabel_nodes(repo.index.graph.subgraph(stages), lambda stage: stage.name)
    names = reversed(list(lexicographical_topological_sort(graph)))
    return {name: set(graph.successors(name)) for name in names}


def test_every_row_of_the_study_is_one_task_with_its_private_prompts(study):
    rows = applicable_rows(CONFIG, "sample_people")
    users = {variant: [row for row in rows if CONFIG.ablations[row].prompts == variant] for variant in CONFIG.prompts}
    units = group(study)
    assert len(rows) > 20
    for row in rows:
        variant = CONFIG.ablations[row].prompts
        private = [f"prompts@sample_people-{variant}-0"] if users.get(variant) == [row] else []
        if CONFIG.ablations[row].start in CONFIG.pretrainings:  # which no other row starts from
            private.insert(0, f"pretrain_branch@sample_people-0-{CONFIG.ablations[row].start}")
        made = "finetune" if CONFIG.ablations[row].rank is None else "descriptors"
        chain = [*private, f"{made}@sample_people-{row}-0", f"evaluate@sample_people-{row}-0"]
        assert list(units[f"sample_people-{row}-0"].stages) == chain, row
    shared = {name for name in study if name.startswith("prompts@")} - {
        f"prompts@sample_people-{variant}-0" for variant, readers in users.items() if len(readers) == 1
    }
    assert shared and all(units[name].stages == (name,) for name in shared)


def test_a_row_that_starts_from_another_waits_for_it_and_the_others_wait_for_shared_stages_alone(study):
    units = group(study)
    twice = units["sample_people-clip_reid_twice-0"]
    shared = {"sources", "ingest@sample_people", "protocol@sample_people", "pretrain@sample_people-0"}
    assert twice.needs == shared | {"sample_people-clip_reid-0"}
    rows = applicable_rows(CONFIG, "sample_people")
    ranked = {f"sample_people-{row}-0": CONFIG.ablations[row].encoder_of for row in rows if CONFIG.ablations[row].rank}
    assert all(f"sample_people-{row}-0" in units[name].needs for name, row in ranked.items())
    others = [unit for unit in units.values() if unit.name.startswith("sample_people-") and unit is not twice]
    others = [unit for unit in others if unit.name not in ranked]
    assert len(others) > 20
    for unit in others:
        assert all("@" in need or need == "sources" for need in unit.needs), unit


def test_every_stage_is_in_one_task_and_each_task_comes_after_what_it_needs(study):
    units = group(study)
    members = [name for unit in units.values() for name in unit.stages]
    assert sorted(members) == sorted(name for name in study if not name.startswith("compare@"))
    check_order(units, study)


def check_order(units, stages):
    seen, done = set(), set()
    for unit in units.values():
        assert unit.needs <= seen
        for name in unit.stages:
            assert stages[name] <= done | {name}, name
            done.add(name)
        seen.add(unit.name)


@st.composite
def studies(draw):
    """Shared stages, then rows that read some of them, and some of the rows before."""
    shared = {
        f"shared@{k}": {f"shared@{j}" for j in range(k) if draw(st.booleans())} for k in range(draw(st.integers(1, 5)))
    }
    stages = dict(shared)
    for k in range(draw(st.integers(1, 5))):
        before = [*shared, *(f"finetune@{j}" for j in range(k))]
        stages[f"finetune@{k}"] = {name for name in before if draw(st.booleans())}
        stages[f"evaluate@{k}"] = {f"finetune@{k}"} | {name for name in shared if draw(st.booleans())}
    return stages


@given(studies())
def test_any_study_is_split_into_tasks_that_can_be_ordered(stages):
    units = group(stages)
    assert sorted(name for unit in units.values() for name in unit.stages) == sorted(stages)
    check_order(units, stages)
    for k in range(sum(name.startswith("finetune@") for name in stages)):
        assert {f"finetune@{k}", f"evaluate@{k}"} <= set(units[str(k)].stages)


def test_rows_and_seeds_are_those_of_the_study():
    graph = build_graph(CONFIG)
    assert select(graph, ["clip_reid", "untrained"], [0]) == [
        "evaluate@sample_people-untrained-0",
        "evaluate@sample_people-clip_reid-0",
    ]
    with pytest.raises(ConfigError, match=r"--seeds 3: the study has 0; .* study.seeds .*`auxreid plan`"):
        select(graph, [], [0, 3])
    with pytest.raises(ConfigError, match=rf"--rows clip: the study has {FIRST_ROW}, "):
        select(graph, ["clip"], [])
    runs = {f"{row}-{seed}": {"row": row, "seed": seed} for row, seed in (("clip_reid", 1), ("visual_only", 0))}
    with pytest.raises(ConfigError, match="no row of --rows clip_reid runs with a seed of --seeds 0"):
        select({"evaluate": runs}, ["clip_reid"], [0])


def test_an_option_takes_several_values_at_once():
    app = typer.Typer()

    @app.command(cls=SeveralValues)
    def show(seeds: list[int] = typer.Option([]), rows: list[str] = typer.Option([]), cpus: int = 1) -> None:  # noqa: B008
        print(seeds, rows, cpus)

    for line in ("--seeds 0 1 2 --cpus 3 --rows a b", "--rows a --seeds 0 --seeds 1 2 --rows=b --cpus=3"):
        assert CliRunner().invoke(app, line.split()).output.strip() == "[0, 1, 2] ['a', 'b'] 3"
    assert CliRunner().invoke(app, ["--cpus", "1", "2"]).exit_code == 2


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    return SmallStudy(tmp_path_factory.mktemp("small") / "project", {"one": None})


@pytest.fixture
def small(made_once, tmp_path, monkeypatch):
    study = copy.copy(made_once)
    study.root = tmp_path / "project"
    shutil.copytree(made_once.root, study.root)
    monkeypatch.chdir(study.root)
    return study


def test_what_is_not_committed_is_named(small):
    head = small.run("git", "rev-parse", "HEAD").stdout.strip()
    (small.root / "notes.txt").write_text("no stage reads it")
    assert repository.committed_state() == head
    (small.root / "params.yaml").write_text("{a: 1}")
    (small.root / "pipeline/new.py").write_text("")
    with pytest.raises(ConfigError, match=r"commit these files first: params.yaml, pipeline/new.py$"):
        repository.committed_state()


def test_a_bundle_is_cloned_at_the_commit_without_the_repository(small, tmp_path):
    commit = repository.committed_state()
    (tmp_path / "bundle").write_bytes(repository.bundle(commit))
    subprocess.run(["git", "clone", "-q", str(tmp_path / "bundle"), str(tmp_path / "clone")], check=True)
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path / "clone", capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == commit
    assert (tmp_path / "clone/dvc.yaml").read_text() == (small.root / "dvc.yaml").read_text()


def test_nodes_get_the_remotes_as_this_machine_has_them_secrets_too(small, tmp_path):
    assert repository.default_remote().folder == str(small.remote)
    shared, own = small.root / ".dvc/config", small.root / ".dvc/config.local"
    shared.write_text(
        shared.read_text().replace("team", "store", 1) + "['remote \"store\"']\n    url = s3://bucket/auxreid\n"
    )
    own.write_text(
        "['remote \"store\"']\n    secret_access_key = 'a = #b'\n['remote \"beside\"']\n    url = ../../beside\n"
    )
    remote = repository.default_remote()
    assert remote.folder is None
    node = tmp_path / "node"
    subprocess.run(["git", "clone", "-q", str(small.root), str(node)], check=True)
    (node / ".dvc/config.local").write_text(remote.settings)
    with Repo(str(node)) as clone, Repo(str(small.root)) as own:
        assert clone.config["remote"] == own.config["remote"]
        assert clone.config["core"]["remote"] == "store"
        assert clone.config["remote"]["store"]["secret_access_key"] == "a = #b"
        assert clone.config["remote"]["beside"]["url"] == str((small.root / "../beside").resolve())


def test_without_a_default_remote_the_remedy_is_named(small):
    small.dvc("config", "-q", "--unset", "core.remote")
    with pytest.raises(ConfigError, match="dvc remote add -d"):
        repository.default_remote()


def test_a_file_that_no_clone_gets_is_named(small):
    stages = ["ingest@set", "finetune@one-0"]
    assert repository.check_sources(stages) == []
    weights = small.root / "weights/start.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    path = small.root / "dvc.yaml"
    path.write_text(path.read_text().replace("- out/ingest/set.txt", "- weights/start.bin\n      - out/ingest/set.txt"))
    with pytest.raises(ConfigError, match=r"neither in Git nor in DVC.*:\s+weights/start.bin; `dvc add` it$"):
        repository.check_sources(stages)
    small.dvc("add", "-q", "weights/start.bin")
    with pytest.raises(ConfigError, match=r"weights/start\.bin"):  # its .dvc file is not in Git yet
        repository.check_sources(stages)
    small.run("git", "add", "-A")
    assert repository.check_sources(stages) == []


def test_changed_data_are_an_error_and_missing_data_are_pulled(small):
    raw = small.root / "data/raw.txt"
    raw.write_text("other")
    with pytest.raises(ConfigError, match=r"changed since `dvc add`: what data.dvc names"):
        repository.check_sources(["ingest@set"])
    raw.unlink()
    raw.parent.rmdir()
    assert repository.check_sources(["ingest@set"]) == ["data.dvc"]


def events(*entries: tuple[str, str]):
    return [
        {"unit": "row", "stage": stage, "what": what, "host": "a", "node": "n", "pid": 1, "seconds": 2.0}
        for stage, what in entries
    ]


def test_the_ledger_counts_what_was_broken_off_by_a_new_attempt_and_at_the_end():
    ledger = Ledger([Unit("row", ("finetune@row", "evaluate@row"), frozenset())])
    first = [("", "begun"), ("finetune@row", "started"), ("finetune@row", "ran"), ("evaluate@row", "started")]
    second = [("", "begun"), ("finetune@row", "started"), ("finetune@row", "restored"), ("evaluate@row", "started")]
    for event in events(*first, *second):
        ledger.take(event)
    assert (ledger.units["row"].state, ledger.units["row"].attempts) == (RUNNING, 2)
    finetune, evaluate = ledger.stages["finetune@row"], ledger.stages["evaluate@row"]
    assert (finetune.ran, finetune.restored, finetune.broken_off, finetune.seconds) == (1, 1, 0, 4.0)
    assert (evaluate.ran, evaluate.broken_off, evaluate.hosts) == (0, 1, ["a"])
    ledger.close("row", FAILED)
    assert evaluate.broken_off == 2 and ledger.ended(FAILED) and not ledger.ended(DONE)


HOLDER = """
import subprocess, sys, time
with subprocess.Popen([sys.executable, *sys.argv[1:]], stdin=subprocess.PIPE) as process:
    process.wait()
"""
TRAINING = """
import pathlib, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
path = pathlib.Path("pids")
path.with_suffix(".new").write_text(f"{__import__('os').getpid()} {worker.pid}")
path.with_suffix(".new").rename(path)
time.sleep(600)
"""


def on_leash(folder: Path, code: str, *arguments: str) -> list[str]:
    return [leash.__file__, str(folder), sys.executable, "-c", code, *arguments]


@pytest.mark.parametrize("with_leash", [False, True], ids=["worker_alone", "worker_and_leash"])
def test_a_training_ends_with_the_worker_that_is_killed(tmp_path, with_leash):
    folder = tmp_path / "clone"
    folder.mkdir()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, *on_leash(folder, TRAINING)], cwd=folder)
    wait_until((folder / "pids").exists, seconds=60)
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    assert not any(map(gone, pids))
    if with_leash:  # as Ray kills the children of a worker that exits
        os.kill(int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    holder.kill()
    holder.wait()
    wait_until(lambda: all(map(gone, pids)) and not folder.exists(), seconds=60)


def test_a_command_that_ends_by_itself_keeps_its_exit_code_and_the_folder(tmp_path):
    for code in (0, 3):
        command = [sys.executable, *on_leash(tmp_path, f"raise SystemExit({code})")]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as held:
            assert held.wait() == code
    assert tmp_path.exists()


@pytest.mark.parametrize(
    ("dvc", "killed"),
    [
        ("import os; os.kill(os.getpid(), 9)", True),  # DVC itself
        ("import os, time; os.kill(os.getppid(), 9); time.sleep(600)", True),  # the leash, and DVC goes on
        ("import sys; sys.exit('ERROR: failed to run: python x.py, exited with -9')", True),  # the stage
        ("import sys; sys.exit('ERROR: failed to run: python x.py, exited with 137')", True),
        ("import sys; sys.exit('ERROR: failed to run: python x.py, exited with 1')", False),
        ("import sys; sys.exit(3)", False),
        ("print('the worker exited with -9')", False),  # and yet it went well
    ],
    ids=["dvc", "leash", "stage", "stage_in_a_shell", "stage_fails", "dvc_fails", "nothing_fails"],
)
def test_a_stage_that_is_killed_is_told_from_one_that_fails(tmp_path, dvc, killed):
    (tmp_path / "clone").mkdir()
    (tmp_path / "leash.py").write_text(Path(leash.__file__).read_text())
    (tmp_path / "clone" / "dvc.py").write_text(dvc)  # in its place: `python -m` looks here first
    called = task._dvc(tmp_path, os.environ, "repro")
    assert called.killed is killed
