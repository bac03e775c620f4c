"""`auxreid queue`: what it checks, what it tells DVC, and that the workspace is as it was."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from clones import Clone, copy_project
from hypothesis import given, settings
from hypothesis import strategies as st
from params import ROOT, without_other_rows
from waiting import wait_until

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.dvc.enqueue import Asked, enqueue
from auxreid.plumbing.dvc.experiment_copy import home_of, is_copy
from auxreid.plumbing.dvc.unfinished_queueing import undo_unfinished
from auxreid.plumbing.graph import queue as queueing
from auxreid.plumbing.graph.ignored_files import ignored_files
from auxreid.plumbing.graph.overrides import combinations, overrides_between, with_overrides
from auxreid.plumbing.graph.queue import queue, trial
from auxreid.plumbing.graph.table import GRAPH_FILE, build_graph, written_graph
from auxreid.plumbing.settings.load import load_config, parse_config

PARTS = ("dvc.yaml", "params.yaml", "pipeline", "data.dvc", ".dvc/config", ".dvc/.gitignore", ".gitignore")
LR = "recipes.sample_people.finetune.lr"


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Path:
    clone = copy_project(tmp_path_factory.mktemp("committed"), PARTS)
    clone.edit(lambda params: without_other_rows(params, [*params["study"]["rows"], "centroids", "visual_only"]))
    clone.commit("The study")
    return clone.root


@pytest.fixture
def repository(committed, tmp_path, monkeypatch) -> Clone:
    """The project without sources, data and results, in Git; the working folder is its top."""
    root = shutil.copytree(committed, tmp_path / "repository")
    monkeypatch.chdir(root)
    clone = Clone(root)
    clone.env["PYTHONPATH"] = str(ROOT / "src")
    return clone


@pytest.fixture
def asked(monkeypatch) -> list:
    """What DVC is asked for, in its place."""
    found = []

    def enqueue(root, one):
        found.append(one)
        return one.name or f"experiment-{len(found)}"

    monkeypatch.setattr(queueing, "enqueue", enqueue)
    return found


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"{LR}=-1", f": params.yaml: {LR} = -1: Input should be greater than 0"),
        ("recipes.sample_people.finetune.marginn=1", "has no key 'marginn'; near to it: margin; +KEY=VALUE adds one"),
        (
            "study.rows=[clip_reed]",
            ": params.yaml: study.rows: 'clip_reed' is not in ablations",
        ),
        ("study.seeds=[0", "-S study.seeds=[0: "),
        ("study.seeds=${elsewhere}", "Interpolation key 'elsewhere' not found"),
        ("study.rows=glob(*)", "is not supported"),
        ("conf.yaml:lr=1", "-S conf.yaml:lr=1: only keys of params.yaml can be tried in this way"),
        ("datasets.dogs.folder=raw/nowhere", "datasets.dogs.folder: raw/nowhere: no such folder"),
    ],
)
def test_a_wrong_key_or_value_is_told_before_anything_is_queued(repository, asked, override, said):
    before = repository.run("git", "status", "--porcelain").stdout
    with pytest.raises(ConfigError) as raised:
        list(queue(Path("."), [f"{LR}=0.001,0.002", "study.datasets=[dogs]", override]))
    assert said in str(raised.value)
    assert not asked and repository.run("git", "status", "--porcelain").stdout == before


def test_a_line_for_each_combination_and_names_as_dvc_gives_them(repository, asked):
    lines = list(queue(Path("."), [f"{LR}=0.001,0.002", "study.seeds=[0,1],[2]"], "rates"))
    assert [one.name for one in asked] == [f"rates-{number}" for number in range(1, 5)]
    assert lines[0] == f"queued rates-1: {LR}=0.001 study.seeds=[0,1]"
    assert [one.overrides[1] for one in asked] == ["study.seeds=[0,1]", "study.seeds=[2]"] * 2
    assert next(queue(Path("."), [f"{LR}=0.001"], "rate")) == f"queued rate: {LR}=0.001"
    assert asked[-1].overrides == [f"{LR}=0.001"]  # the table of runs stays


@pytest.mark.parametrize(
    "overrides",
    [
        ["study.seeds=[0,3]"],
        ["study.rows=null"],
        ["study.rows=[centroids,clip_reid]", "study.seeds=[1]"],
        ["study.datasets=[sample_dogs]"],
        ["+ablations.another={form: added, prompts: random}", "study.rows=[clip_reid,another]"],
        ["ablations.clip_reid.prompts=random"],
        ["~registry.alias", "study.rows=[visual_only]"],
    ],
    ids=" ".join,
)
def test_dvc_is_told_how_the_table_of_runs_changes(repository, overrides):
    one = trial(Path("."), tuple(overrides))
    wanted = build_graph(parse_config(with_overrides(overrides)))
    assert with_overrides(one.changes, GRAPH_FILE)["graph"] == yaml.safe_load(yaml.safe_dump(wanted))


texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="$\x7f\x85"), max_size=12)
plain = st.booleans() | st.integers(-(10**9), 10**9) | texts
leaves = st.none() | plain
keys = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(lambda key: key not in ("null", "true", "false"))
inner = st.lists(leaves, max_size=3) | st.dictionaries(keys, leaves, max_size=3)
blocks = st.dictionaries(keys, plain | inner, max_size=4)  # Hydra takes a key without a value for one that is not there


@settings(max_examples=15)
@given(before=blocks, after=blocks)
def test_any_block_can_be_made_of_any_other(before, after, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "file.yaml"
    path.write_text(yaml.safe_dump({"top": before}))
    changes = list(overrides_between(before, after, "top", depth=1))
    assert (with_overrides(changes, path)["top"] or {}) == after


def test_what_git_does_not_bring_is_copied_where_a_stage_has_to_read_it(repository, asked, tmp_path):
    Path("raw/mine").mkdir(parents=True)
    Path("weights").mkdir()
    Path("weights/tf_efficientnet_lite0.safetensors").touch()
    own = ["datasets.dogs.folder=raw/mine", "study.datasets=[dogs]"]
    assert set(trial(Path("."), tuple(own)).copied) == {"raw/mine", "weights/tf_efficientnet_lite0.safetensors"}
    assert trial(Path("."), (f"{LR}=0.001",)).copied == ()  # data.dvc brings the sample
    lines = list(queue(Path("."), own))
    assert (
        "raw/mine: Git does not bring it; DVC copies it for datasets.dogs.folder=raw/mine study.datasets=[dogs]"
        in lines
    )
    (tmp_path / "elsewhere").mkdir()
    outside = f"datasets.dogs.folder={tmp_path}/elsewhere"
    assert trial(Path("."), (outside, own[1])).copied == ("weights/tf_efficientnet_lite0.safetensors",)
    with pytest.raises(ConfigError, match=r"^\.\./elsewhere: lies outside the repository.* by an absolute path$"):
        trial(Path("."), ("datasets.dogs.folder=../elsewhere", own[1]))


def test_what_a_stage_up_to_date_has_read_is_not_copied(repository):
    Path("raw/mine").mkdir(parents=True)
    raw = with_overrides(["datasets.dogs.folder=raw/mine", "study.datasets=[dogs]"])
    raw["recipes"]["dogs"]["attributes"]["weights"] = None
    config = parse_config(raw)
    entry = {
        "deps": [{"path": "raw/mine"}],
        "params": {"params.yaml": {"datasets.dogs": dict(raw["datasets"]["dogs"])}},
    }
    made = {"ingest@dogs": entry, "attributes@dogs": {"deps": [{"path": "pipeline/nothing/weights.txt"}]}}
    assert list(ignored_files(Path("."), config, raw, made)) == []
    raw["datasets"]["dogs"]["word"] = "hound"
    assert list(ignored_files(Path("."), config, raw, made)) == ["raw/mine"]


def test_a_copy_of_dvcs_knows_its_home(tmp_path):
    for copy in (".dvc/tmp/exps/tmp1", ".dvc/tmp/exps/standalone/tmp2"):
        assert home_of(tmp_path / copy) == tmp_path and is_copy(tmp_path / copy)
    for other in ("", "exps/tmp1", "tmp/exps/tmp1"):
        assert home_of(tmp_path / other) == tmp_path / other and not is_copy(tmp_path / other)


def edited(clone: Clone) -> tuple:
    """Edits of all kinds, and what Git says of them."""
    params = clone.root / "params.yaml"
    if "# mine" not in (text := params.read_text()):
        params.write_text(text + "# mine\n")
        (clone.root / "staged.txt").write_text("staged\n")
        clone.run("git", "add", "staged.txt")
        (clone.root / "staged.txt").write_text("and edited\n")
        (clone.root / "untracked.txt").write_text("untracked\n")
        (clone.root / "pipeline/nothing/pose.txt").unlink()
    status = clone.run("git", "status", "--porcelain").stdout
    contents = [(clone.root / name).read_bytes() for name in ("params.yaml", "pipeline/graph.yaml", "staged.txt")]
    branch = clone.run("git", "symbolic-ref", "HEAD").stdout
    return (
        status,
        contents,
        branch,
        clone.run("git", "stash", "list").stdout,
        clone.run("git", "diff", "--cached").stdout,
    )


def test_dvc_queues_the_settings_with_their_table_and_the_workspace_is_as_it_was(repository):
    before = edited(repository)
    command = (sys.executable, "-m", "auxreid", "queue", "-S", "study.seeds=[0,5]", "-n", "seeds")
    assert repository.run(*command).stdout.startswith("queued seeds: study.seeds=[0,5]\n")
    assert edited(repository) == before
    files = {
        name: repository.run("git", "show", f"refs/exps/celery/stash:{name}").stdout
        for name in ("params.yaml", "pipeline/graph.yaml")
    }
    for name, text in files.items():
        Path(name).write_text(text)
    config = load_config()
    assert config.study.seeds == (0, 5)
    assert written_graph(GRAPH_FILE) == yaml.safe_load(yaml.safe_dump(build_graph(config)))
    again = repository.run(*command[:-4], "-S", "study.seeds=[0,6]", "-n", "no/../name", check=False)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.startswith("error: nothing was queued; DVC says: ")


def test_without_a_commit_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^DVC's experiments need a Git repository with a commit"):
        enqueue(Path("."), Asked([f"{LR}=1"]))
    assert not list(Path(".dvc/tmp").iterdir())


def test_ctrl_c_waits_for_dvc_and_the_workspace_is_as_it_was(repository):
    before = edited(repository)
    command = [sys.executable, "-m", "auxreid", "queue", "-S", f"{LR}=0.001,0.002,0.003"]
    with subprocess.Popen(
        command, cwd=repository.root, env=repository.env, stderr=subprocess.PIPE, text=True
    ) as started:
        wait_until(lambda: repository.run("git", "stash", "list").stdout)  # DVC is in the middle of it
        os.kill(started.pid, signal.SIGINT)
        said = started.communicate()[1]
    assert (started.returncode, said) == (130, "stopped by Ctrl-C\n")
    assert edited(repository) == before


def test_a_killed_queueing_is_undone_by_the_next_command(repository):
    before = edited(repository)
    command = [sys.executable, "-m", "auxreid", "queue", "-S", f"{LR}=0.001,0.002,0.003"]
    with subprocess.Popen(command, cwd=repository.root, env=repository.env) as started:
        wait_until(lambda: repository.run("git", "symbolic-ref", "-q", "HEAD", check=False).returncode)
        processes = [*psutil.Process(started.pid).children(recursive=True), started]
        for process in processes:
            process.kill()
    psutil.wait_procs(processes[:-1])
    assert repository.run("git", "symbolic-ref", "-q", "HEAD", check=False).returncode
    said = repository.run(sys.executable, "-m", "auxreid", "queue", "-S", "study.seeds=[0", check=False).stderr
    assert said.startswith("a killed `auxreid queue` left the workspace half way: it is as it was before")
    stashed = repository.run("git", "stash", "list").stdout.splitlines()
    assert len(stashed) <= 1 and all("left by an unfinished auxreid queue" in line for line in stashed)
    repository.run("git", "stash", "clear")
    assert edited(repository) == before
    assert undo_unfinished(repository.root) == []


def test_the_grammar_is_dvcs():
    assert combinations(["a.b=1,2", "c=[1,2]", "+d=x"]) == [("a.b=1", "c=[1,2]", "+d=x"), ("a.b=2", "c=[1,2]", "+d=x")]
    assert combinations(["a=range(1,4)"]) == [("a=1",), ("a=2",), ("a=3",)]
