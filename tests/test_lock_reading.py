"""Reading dvc.lock beside a DVC that writes it: whole or not at all, by every command, and never needed by a stage."""

import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from dvc.lock import make_lock
from dvc.utils.serialize import dump_yaml, dumps_yaml
from params import ROOT, raw_params, those_alone
from small_study import SmallStudy
from sqlalchemy import Engine, event
from tracking_workspace import forked
from waiting import wait_until

from auxreid import cli
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.dvc import lock as dvc_lock
from auxreid.plumbing.dvc.lock import WAITING, DvcBusyError, dvc_is_quiet
from auxreid.plumbing.dvc.lockfile import digest, file_md5, folder_md5, read_bytes, read_entries, read_lock
from auxreid.plumbing.graph import study_folders
from auxreid.plumbing.graph.repro import run_repro
from auxreid.plumbing.mirror import result
from auxreid.plumbing.mirror.overview import overview
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.store import Store, open_store
from auxreid.plumbing.stage import live, old_checkpoints, system_metrics
from auxreid.plumbing.stage import run as stage_module
from auxreid.plumbing.stage.old_checkpoints import remove_old
from auxreid.plumbing.stage.record import read_record
from auxreid.plumbing.stage.run import stage_run
from auxreid.plumbing.team import own_folders

OUTS = ("encoder.safetensors", "history.csv", "record")
GOES_ON = "(the stage goes on)"


def lock_of(stages: int, version: str = "1") -> dict:
    """A dvc.lock as DVC has it, some 47 lines for each stage."""

    def file(path: str, **more: object) -> dict:
        return {"path": path, "hash": "md5", "md5": version * 32, "size": 1000} | more

    def entry(key: str) -> dict:
        out = f"results/finetune/{key}"
        settings = {"recipes.a.finetune": {name: 0.125 for name in ("lr", "margin", "weight_decay", "erasing")}}
        return {
            "cmd": f"python pipeline/finetune.py {key}",
            "deps": [file(f"results/{name}/{key}/file") for name in ("a", "b", "c", "d", "e", "f")],
            "params": {"params.yaml": settings, "results/sources/finetune.json": {"code": version * 64}},
            "outs": [*(file(f"{out}/{name}") for name in OUTS[:2]), file(f"{out}/record", md5=f"{version * 32}.dir")],
        }

    return {"schema": "2.0", "stages": {f"finetune@row-{number}": entry(f"row-{number}") for number in range(stages)}}


def repository(root: Path, hardlink: bool = False) -> Path:
    """What of a DVC repository a reader of dvc.lock looks at."""
    (root / ".dvc/tmp").mkdir(parents=True)
    (root / ".dvc/config").write_text(f"[core]\n    hardlink_lock = {hardlink}\n")
    body = {"cmd": "python pipeline/finetune.py ${key}", "outs": [f"results/finetune/${{key}}/{name}" for name in OUTS]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"finetune": {"foreach": {}, "do": body}}}))
    return root / "dvc.lock"


def dvcs_lock(root: Path, hardlink: bool = False):
    folder = root / ".dvc/tmp"
    return make_lock(str(folder / "lock"), tmp_dir=str(folder), hardlink_lock=hardlink, wait=True)


# a DVC that writes at this moment


def write_in_turn(path: Path, versions: list[dict], ended, hardlink: bool) -> None:
    while True:
        for version in versions:
            with dvcs_lock(path.parent, hardlink):
                dump_yaml(str(path), version)
            if ended.wait(0.1):
                return


def read_often(task: tuple[Path, int]) -> list[tuple[str, ...]]:
    """Each time the bytes, and each tenth time what they say, which takes longer; until two versions were seen."""
    path, times = task
    found: list[tuple[str, ...]] = []
    while len(found) < times or (len({text for text, *_ in found}) < 2 and len(found) < times + 200):
        said = (digest(read_lock(path).values()),) if len(found) % 10 == 0 else ()
        found.append((sha256(read_bytes(path)).hexdigest(), *said))
        time.sleep(random.random() / 50)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("hardlink", "times"), [(False, 150), (True, 5)])
def test_who_reads_while_dvc_writes_gets_one_whole_version_or_the_other(tmp_path, hardlink, times):
    path, versions = repository(tmp_path, hardlink), [lock_of(60, "1"), lock_of(60, "2")]
    texts, said = set(), set()
    for version in versions:
        dump_yaml(str(path), version)
        assert len(path.read_text().splitlines()) > 2800
        texts.add(sha256(path.read_bytes()).hexdigest())
        said.add(digest(read_lock(path).values()))
    ended = multiprocessing.get_context("fork").Event()
    writer = forked(write_in_turn, path, versions, ended, hardlink)
    with multiprocessing.get_context("spawn").Pool(3) as readers:  # of a test process with threads, a fork may hang
        found = [one for some in readers.map(read_often, [(path, times)] * 3) for one in some]
    ended.set()
    writer.join(60)
    assert writer.exitcode == 0 and len(texts) == len(said) == 2
    assert {text for text, *_ in found} == texts and {one for _, *parsed in found for one in parsed} <= said


@pytest.mark.parametrize("hardlink", [False, True])
def test_dvc_is_waited_for_with_one_line_and_waits_for_a_reader(tmp_path, monkeypatch, capfd, hardlink):
    monkeypatch.setattr(dvc_lock, "TELL_AFTER", 0.1)
    path, lock = repository(tmp_path, hardlink), dvcs_lock(tmp_path, hardlink)
    dump_yaml(str(path), lock_of(2))
    lock.lock()
    with pytest.raises(DvcBusyError, match=r"dvc\.lock: another DVC command is at work"):
        read_lock(path, wait=False)
    timer = threading.Timer(3, lock.unlock)
    timer.start()
    assert len(read_lock(path)) == 2
    timer.join()
    assert capfd.readouterr().err == f"{WAITING}\n"
    with dvc_is_quiet(tmp_path):
        taken = threading.Thread(target=lock.lock)
        taken.start()
        taken.join(0.5)
        assert taken.is_alive()
    taken.join(60)
    assert not taken.is_alive()
    lock.unlock()


def test_readers_do_not_wait_for_each_other_and_without_dvc_nothing_is_locked(tmp_path):
    path = repository(tmp_path)
    dump_yaml(str(path), lock_of(1))
    with dvc_is_quiet(tmp_path):
        assert read_lock(path, wait=False)
    shutil.rmtree(tmp_path / ".dvc/tmp")
    assert read_lock(path, wait=False)
    assert not (tmp_path / ".dvc/tmp").exists()


# a file that somebody left cut off


def test_of_a_file_that_was_cut_no_part_is_taken_for_the_whole(tmp_path):
    path, text = repository(tmp_path), dumps_yaml(lock_of(60)).encode()
    places = random.Random(0).sample(range(len(text)), 60)
    for place in places:
        path.write_bytes(text[:place])
        with pytest.raises(DataError, match=r"dvc\.lock.*`(dvc repro|git checkout HEAD -- )") as raised:
            read_lock(path)
        assert "\n" not in str(raised.value)


def test_a_cut_at_the_end_of_a_line_is_seen_but_between_two_entries(tmp_path):
    path, text = repository(tmp_path), dumps_yaml(lock_of(3)).encode()
    lines = text.splitlines(keepends=True)
    between = [number for number, line in enumerate(lines) if line.startswith(b"  finetune@row-")][1:]
    path.write_bytes(text)
    whole, passed = read_lock(path), []
    for number in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:number]))
        try:
            assert read_lock(path) != whole
            passed.append(number)
        except DataError:
            continue
    assert passed == between


BROKEN = {
    "nothing": "",
    "a list": "- 1\n",
    "no stages": "schema: '2.0'\n",
    "no YAML": "stages: {a: [\n",
    "zeros": "\0" * 100,
    "entry": "stages: {a: 1}\n",
    "no cmd": "stages: {a: {outs: []}}\n",
    "deps": "stages: {a: {cmd: x, deps: 7}}\n",
    "outs": "stages: {a: {cmd: x, outs: [1]}}\n",
    "no path": "stages: {a: {cmd: x, outs: [{md5: 1}]}}\n",
    "no hash": "stages: {a: {cmd: x, outs: [{path: y, hash: md5}]}}\n",
    "params": "stages: {a: {cmd: x, params: 1}}\n",
}
CONFLICT = "schema: '2.0'\nstages:\n<<<<<<< HEAD\n  a:\n    cmd: x\n=======\n  b:\n    cmd: x\n>>>>>>> other\n"


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_is_no_dvc_lock_is_one_line_with_a_remedy(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(DataError, match=r"dvc\.lock.*; take the committed one with `git checkout HEAD -- ") as raised:
        read_entries(tmp_path / "dvc.lock")
    assert "\n" not in str(raised.value)


# the commands


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A small study with this project's params.yaml and table of runs beside it, committed and run."""
    study = SmallStudy(tmp_path_factory.mktemp("template") / "project", {"a": None})
    raw = raw_params()
    those_alone(raw, ["clip_reid"])
    (study.root / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study.root)
        patch.setenv("SMALL_STUDY", str(study.control))
        assert command("plan") == 0
        study.commit()
        study.dvc("repro", "-q")
    return study.root


@pytest.fixture
def project(template, tmp_path, monkeypatch) -> Path:
    shutil.copytree(template, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("SMALL_STUDY", str(template.parent / "control"))
    return tmp_path / "project"


def command(*arguments: str) -> int:
    """The exit code of an auxreid command in this process."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["auxreid", *arguments])
        patch.setattr(cli, "run_sources_of_this_checkout", lambda: None)
        patch.setattr(study_folders, "folder_remarks", lambda _: [])
        patch.setattr(own_folders, "check_sample_file", lambda _: None)  # the small study tracks all of data/
        cli.main()
    return ended.value.code or 0


READERS = [("publish",), ("runs",), ("verify",), ("repro",), ("repro", "--jobs", "2"), ("fanout",), ("plan",)]


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
@pytest.mark.parametrize("fault", ["conflict", "no YAML", "no cmd", "no stages"])
def test_every_command_says_in_one_line_that_dvc_lock_is_broken(project, capfd, arguments, fault):
    text = BROKEN.get(fault, CONFLICT)
    (project / "dvc.lock").write_text(text)
    code = command(*arguments)
    line, rest = capfd.readouterr().err.split("\n", 1)
    assert (code, rest) == (1, "")
    assert line.startswith("error: dvc.lock")
    remedy = "--ours dvc.lock`; `dvc repro` makes" if text == CONFLICT else "git checkout HEAD -- dvc.lock"
    assert remedy in line and "`dvc repro` makes what is missing from the cache" in line


WRONG_STAGES = {
    "conflict": "stages:\n<<<<<<< HEAD\n",
    "no YAML": "stages: [\n",
    "no mapping": "stages: 7\n",
    "stage": "stages: {a: 7}\n",
    "schema": "stages: {a: {outs: [b]}}\n",
    "template": "stages: {a: {cmd: 'x ${nowhere.b}'}}\n",
    "cycle": "stages: {a: {cmd: x, deps: [b], outs: [c]}, d: {cmd: x, deps: [c], outs: [b]}}\n",
}


NOT_LOOKED_AT = {("cycle", "verify"), ("cycle", "plan"), ("template", "plan")}  # neither needs an order of stages


@pytest.mark.parametrize("arguments", [("verify",), ("repro",), ("repro", "--jobs", "2"), ("plan",)], ids=" ".join)
@pytest.mark.parametrize("fault", WRONG_STAGES)
def test_a_broken_dvc_yaml_is_one_line(project, capfd, arguments, fault):
    (project / "dvc.yaml").write_text(WRONG_STAGES[fault])
    code = command(*arguments)
    said = capfd.readouterr().err
    if (fault, *arguments) in NOT_LOOKED_AT:
        assert (code, said) == (0, "")
        return
    line, rest = said.split("\n", 1)
    assert (code, rest) == (1, "")
    assert line.startswith("error: ") and ("dvc.yaml" in line or "DVC says" in line)


@pytest.mark.parametrize("text", ["graph: [\n", "<<<<<<< HEAD\n", "graph: 7\n", "7\n", "graph: {ingest: 7}\n"])
def test_a_broken_table_of_runs_is_one_line_and_plan_writes_it_again(project, capfd, text):
    (project / "pipeline/graph.yaml").write_text(text)
    assert command("check") == 1
    line, rest = capfd.readouterr().err.split("\n", 1)
    assert rest == "" and line.startswith("error: pipeline/graph.yaml") and line.endswith("run `auxreid plan`")
    assert command("plan") == 0


STAGE = """
import os, sys, time
from pathlib import Path
from auxreid.plumbing.stage.run import stage_run
stage, key = sys.argv[1:]
with stage_run(stage, key, dataset="sample_people", params={"lr": 0.1}) as run:
    run.log({"loss": 0.5}, step=0)
    while stage == "pose" and not Path("go").exists():
        time.sleep(0.1)
    (run.out / "out").write_text(stage)
"""


@pytest.mark.slow
def test_publish_and_runs_in_the_middle_of_dvc_repro(work, monkeypatch):
    """One stage is committed, one runs, one waits: its former record is there, and no entry."""
    root = work.root
    monkeypatch.chdir(root)
    (root / "stage.py").write_text(STAGE)
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    names, deps = ("ingest", "pose", "keypoints"), {"ingest": [], "pose": ["results/ingest/a/out"]}
    deps["keypoints"] = ["results/pose/a/out"]
    stages = {
        name: {
            "cmd": f"{sys.executable} stage.py {name} a",
            "deps": ["stage.py", *deps[name]],
            "outs": [f"results/{name}/a/out", f"results/{name}/a/record"],
        }
        for name in names
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "AUXREID_LIVE": "off"}
    call = {"cwd": root, "env": environment, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], check=True, env=environment)
    repro = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-q"], env=environment)
    record = root / "results/pose/a/record"
    wait_until(lambda: (record / "history.jsonl").is_file())
    published = subprocess.run([sys.executable, "-m", "auxreid.cli", "publish"], check=False, **call)
    assert published.returncode == 0, published.stderr
    assert "1 created" in published.stdout and "created: sample_people/ingest a" in published.stdout
    assert "left out: pose a: has a record but is not in dvc.lock: it is running" in published.stdout
    shown = subprocess.run([sys.executable, "-m", "auxreid.cli", "runs"], check=False, **call)
    assert shown.returncode == 0, shown.stderr
    assert "ingest a" in shown.stdout and "1 results without a run" in shown.stdout
    (root / "go").write_text("")
    assert repro.wait(120) == 0

    (root / "go").unlink()  # a forced rerun: dvc.lock has an entry, and the record is of another execution
    repro = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-q", "-f", "-s", "pose"], env=environment)
    wait_until(lambda: (record / "record.json").is_file() and read_record(record).status == "running")
    published = subprocess.run([sys.executable, "-m", "auxreid.cli", "publish"], check=False, **call)
    assert published.returncode == 0, published.stderr
    assert "left out: pose: " in published.stdout and "the stage is running, or was killed" in published.stdout
    assert "created: sample_people/keypoints a" in published.stdout
    (root / "go").write_text("")
    assert repro.wait(120) == 0


# stages side by side


READS = """
from auxreid.plumbing.dvc.lockfile import read_lock
from auxreid.plumbing.stage.old_checkpoints import remove_old
for _ in range(60 if name.endswith("@b-0") else 5):  # so that one row's stages are committed while the other's read
    remove_old(pathlib.Path())
    assert len(read_lock(pathlib.Path("dvc.lock"))) >= 10
"""


@pytest.mark.slow
def test_stages_that_read_dvc_lock_side_by_side_never_fail(tmp_path, monkeypatch, capfd):
    study = SmallStudy(tmp_path / "project", {"a": None, "b": None}, work=READS)
    monkeypatch.chdir(study.root)
    for name, value in study.env.items() | {("PYTHONPATH", str(ROOT / "src"))}:
        monkeypatch.setenv(name, value)
    (study.root / ".checkpoints/finetune-x").mkdir(parents=True)
    about = json.dumps({"stage": "finetune", "key": "x", "record": "none"})
    (study.root / ".checkpoints/finetune-x/finished.json").write_text(about)
    for _ in range(3):
        shutil.rmtree(study.root / ".dvc/cache", ignore_errors=True)
        shutil.rmtree(study.root / "out", ignore_errors=True)
        dump_yaml("dvc.lock", lock_of(10))  # so that DVC takes its time to write it
        assert run_repro([], jobs=2) == 0, capfd.readouterr().out
        assert len(study.outputs()) == 6


# what a stage does not need


def run_a_stage(root: Path) -> str:
    with stage_run("pose", "a", dataset="a", params={}, root=root / "results") as run:
        remove_old(root)
        run.log({"loss": 1.0}, step=0)
        run.at_end(lambda: old_checkpoints.remove_old(root))
    return read_record(root / "results/pose/a/record").status


@pytest.fixture
def old_checkpoint(tmp_path) -> Path:
    """Of a stage whose result DVC has committed."""
    dump_yaml(str(repository(tmp_path)), lock_of(1))
    folder = tmp_path / ".checkpoints/finetune-row-0-0123"
    folder.mkdir(parents=True)
    about = {"stage": "finetune", "key": "row-0", "record": f"{'1' * 32}.dir"}
    (folder / "finished.json").write_text(json.dumps(about))
    return folder


def only_line(capfd) -> str:
    (line,) = set(capfd.readouterr().err.splitlines())
    assert line.endswith(GOES_ON)
    return line


def test_a_committed_checkpoint_is_removed_and_nothing_is_said(old_checkpoint, tmp_path, capfd):
    assert run_a_stage(tmp_path) == "finished"
    assert not old_checkpoint.exists()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("hardlink", [False, True])
def test_a_busy_dvc_is_not_waited_for(old_checkpoint, tmp_path, capfd, hardlink):
    (tmp_path / ".dvc/config").write_text(f"[core]\n    hardlink_lock = {hardlink}\n")
    with dvcs_lock(tmp_path, hardlink):
        assert run_a_stage(tmp_path) == "finished"
    assert only_line(capfd) == (
        f"housekeeping: old checkpoints stay: dvc.lock: another DVC command is at work {GOES_ON}"
    )
    assert old_checkpoint.exists()


@pytest.mark.parametrize(
    "text", [*BROKEN.values(), CONFLICT, "stages: {a: {cmd: x, outs: [{path: results/a/b/record}]}}\n"]
)
def test_a_broken_dvc_lock_is_passed_over(old_checkpoint, tmp_path, capfd, text):
    (tmp_path / "dvc.lock").write_text(text)
    assert run_a_stage(tmp_path) == "finished"
    assert only_line(capfd).startswith("housekeeping: old checkpoints stay: ")
    assert old_checkpoint.exists()


def broken_note(monkeypatch, folder: Path) -> None:
    (folder / "finished.json").write_text("{}")


def config_broken(monkeypatch, folder: Path) -> None:
    (folder.parents[1] / ".dvc/config").write_text("[core\n")


def not_removable(monkeypatch, folder: Path) -> None:
    def refused(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(old_checkpoints, "shutil", SimpleNamespace(rmtree=refused))


def not_listable(monkeypatch, folder: Path) -> None:
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(old_checkpoints.Path, "glob", refused)


@pytest.mark.parametrize("fault", [broken_note, config_broken, not_listable, not_removable])
def test_whatever_goes_wrong_with_old_checkpoints_is_passed_over(old_checkpoint, tmp_path, capfd, monkeypatch, fault):
    fault(monkeypatch, old_checkpoint)
    assert run_a_stage(tmp_path) == "finished"
    assert only_line(capfd).startswith("housekeeping: ")


def test_folders_that_vanish_while_they_are_looked_at_are_nothing_to_tell(old_checkpoint, tmp_path, capfd, monkeypatch):
    look = old_checkpoints._is_old

    def removed_by_another(folder, locked):
        shutil.rmtree(folder)
        return look(folder, locked)

    monkeypatch.setattr(old_checkpoints, "_is_old", removed_by_another)
    assert run_a_stage(tmp_path) == "finished"
    assert capfd.readouterr().err == ""


def fails(*_, **__):
    raise RuntimeError("injected")


FAULTS = {
    "system metrics stop": (system_metrics.Sampler, "values"),
    "system metrics stop ": (system_metrics.threading.Thread, "start"),
    "system metrics stop  ": (system_metrics.psutil, "Process"),
    "live logging stops": (live.subprocess, "Popen"),
    "record": (stage_module, "git_state"),
    "record ": (stage_module, "host"),
    "closing line": (stage_module, "closing_line"),
    "housekeeping": (old_checkpoints, "remove_old"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_what_a_stage_can_do_without_is_one_line(tmp_path, capfd, monkeypatch, name):
    monkeypatch.setenv("AUXREID_LIVE", "on" if name == "live logging stops" else "off")
    monkeypatch.setattr(live, "PATIENCE", 0.0)
    monkeypatch.setattr(*FAULTS[name], fails)
    if name == "live logging stops":
        monkeypatch.setattr(stage_module, "git_state", lambda _: {})  # it starts Git by Popen, too
    assert run_a_stage(tmp_path) == "finished"
    assert only_line(capfd) == f"{name.strip()}: RuntimeError('injected') {GOES_ON}"


def test_a_live_writer_that_cannot_be_asked_for_its_answer_is_one_line(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(live, "PATIENCE", 0.0)
    monkeypatch.setenv("AUXREID_LIVE", "on")
    log = live.LiveLog(tmp_path, tmp_path)
    log._command = [sys.executable, "-c", textwrap.dedent("import sys; sys.stdin.readline()")]
    log.follow()
    monkeypatch.setattr(live.subprocess.Popen, "communicate", fails)
    assert log.finish("finished", 1) == "failed: injected"
    assert only_line(capfd).startswith("live logging stops: ")
    log._process.wait(60)


def test_a_standard_error_that_is_closed_ends_no_stage(old_checkpoint, tmp_path, monkeypatch):
    (old_checkpoint / "finished.json").write_text("{}")
    with open(os.devnull, "w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    assert closed.closed and run_a_stage(tmp_path) == "finished"


# results that a neighbour rewrites


def test_a_result_that_changes_while_it_is_published_is_left_out_and_completed_later(work, monkeypatch):

    work.row()
    folder = work.root / "results/finetune/sample-clip_reid-0"
    kept = shutil.copytree(folder, work.root / "kept")
    store = open_store(work.root)

    class Client:
        """DVC takes the stage's outputs away before the first file is sent."""

        def __getattr__(self, name):
            if name == "log_artifact":
                shutil.rmtree(folder, ignore_errors=True)
            return getattr(store.client, name)

    monkeypatch.setattr("auxreid.plumbing.mirror.publish.open_store", lambda *_: Store(Client(), store.uri))
    report = publish(work.root)
    (skipped,) = report.skipped
    assert skipped[0] == "evaluate@sample-clip_reid-0" and "publish again when the stage has ended" in skipped[1]
    monkeypatch.undo()
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    assert publish(work.root).completed == ["sample/clip_reid-0"]


def test_a_record_that_vanishes_while_it_is_read_is_left_out(work, monkeypatch):

    work.stage("pose", "sample")
    work.stage("ingest", "sample")

    def removed(folder):
        if "pose" in folder.parts:
            found = list(folder.rglob("*"))
            shutil.rmtree(folder)
            found[0].stat()
        return folder_md5(folder)

    monkeypatch.setattr(result, "folder_md5", removed)
    report = publish(work.root)
    assert report.created == ["sample/ingest sample"]
    ((name, reason),) = report.skipped
    assert name == "pose@sample" and "changes while it is read" in reason
    assert {line.standing.split(":")[0] for line in overview(work.root)} == {"published", "left out"}


def test_an_artifact_that_is_half_there_is_not_published(work):

    out = work.stage("ingest", "sample", artifacts=["report.json"])
    whole = (out / "report.json").read_bytes()

    md5 = file_md5(out / "report.json")
    work.lock["ingest@sample"]["outs"].append({"path": "results/ingest/sample/report.json", "hash": "md5", "md5": md5})
    work.write_lock()
    (out / "report.json").write_bytes(whole[:5])  # as DVC leaves it in the middle of a checkout
    ((name, reason),) = publish(work.root).skipped
    assert name == "ingest@sample" and "is not what dvc.lock names any more" in reason
    (out / "report.json").write_bytes(whole)
    assert publish(work.root).created == ["sample/ingest sample"]


@pytest.fixture
def impatient():
    """MLflow has SQLite wait for 20 seconds: here a tenth of one."""

    def shorter(connection, cursor, statement, parameters, context, executemany):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    event.listen(Engine, "before_cursor_execute", shorter, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorter)


def test_a_database_that_another_writes_for_long_is_one_line(work, impatient):
    work.stage("pose", "sample")
    with closing(sqlite3.connect(work.root / "mlruns/mlflow.db", isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            DataError, match=r"MLflow does not answer \(database is locked\); nothing is lost"
        ) as raised:
            publish(work.root)
    assert "\n" not in str(raised.value)
    assert publish(work.root).created == ["sample/pose sample"]
