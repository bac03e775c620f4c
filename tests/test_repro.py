"""`auxreid repro --jobs`: what is started when, and the real DVC on a small project."""

import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.repro import LENGTH, LENGTHS, next_chain, run_repro

STEP = "python -c \"import os, pathlib; pathlib.Path('{out}').write_text(os.environ['OMP_NUM_THREADS'])\""


@st.composite
def graphs(draw) -> dict[str, set[str]]:
    """Stages that depend on some of those before them."""
    count = draw(st.integers(1, 12))
    return {f"s{k}": {f"s{j}" for j in range(k) if draw(st.booleans())} for k in range(count)}


@given(graphs(), st.integers(1, 4), st.randoms())
def test_every_stage_starts_once_and_after_what_it_needs(stages, jobs, random):
    waiting, done, running = dict(stages), set(), []
    while True:
        while len(running) < jobs and (chain := next_chain(waiting, done)):
            for place, name in enumerate(chain):
                assert stages[name] <= done | set(chain[:place])
                del waiting[name]
            running.append(chain)
        if not running:
            break
        done.update(running.pop(random.randrange(len(running))))
    assert done == set(stages)


def test_the_longest_way_starts_first_and_an_only_follower_goes_with_it():
    stages = {"pretrain@a": set(), "finetune@b": {"pretrain@a"}, "finetune@c": {"pretrain@a"}}
    stages |= {"ingest@z": set(), "finetune@z": {"ingest@z"}, "compare@a": {"finetune@b", "finetune@c"}}
    assert next_chain(stages, set()) == ["pretrain@a"]  # 3 + 2 + 0.5; two follow it: they may run side by side
    later = {name: needs - {"pretrain@a"} for name, needs in stages.items() if name.endswith("z")}
    assert next_chain(later, set()) == ["ingest@z", "finetune@z"]
    assert next_chain({"compare@a": stages["compare@a"]}, {"finetune@b"}) == []


@given(graphs())
def test_what_is_left_is_never_longer_than_what_was_started(stages):
    """The way to the end, against all paths written out."""
    kinds = ("pose", "evaluate", "finetune")
    named = {f"{kinds[number % 3]}@{name}": needs for number, (name, needs) in enumerate(stages.items())}
    full = dict(zip(stages, named, strict=True))
    waiting = {full[name]: {full[need] for need in needs} for name, needs in stages.items()}

    def longest(name):
        behind = [longest(other) for other, needs in waiting.items() if name in needs]
        return LENGTHS.get(name.split("@")[0], LENGTH) + max(behind, default=0)

    ready = [name for name, needs in waiting.items() if not needs]
    assert longest(next_chain(waiting, set())[0]) == max(map(longest, ready))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """left and right after source, both before joined; each writes the number of threads that it was given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    steps = {"source": "", "left": "source, ", "right": "source, ", "joined": "left, right, "}
    text = "stages:\n" + "".join(
        f"  {name}:\n    cmd: {STEP.format(out=name)}\n    deps: [{needs}setting]\n    outs: [{name}]\n"
        for name, needs in steps.items()
    )
    (tmp_path / "dvc.yaml").write_text(text)
    (tmp_path / "setting").write_text("1")
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, check=True)
    return tmp_path


def test_stages_run_side_by_side_with_their_share_of_the_cores_and_dvc_finds_them_up_to_date(project, capsys):
    assert run_repro([], jobs=2) == 0
    assert "4 stages to run, 0 up to date; 2 at a time" in capsys.readouterr().out
    assert {(project / name).read_text() for name in ("source", "left", "right", "joined")} == {"3"}
    status = subprocess.run([sys.executable, "-m", "dvc", "status"], capture_output=True, text=True, check=True)
    assert "up to date" in status.stdout
    assert run_repro([], jobs=2) == 0
    assert "0 stages to run, 4 up to date" in capsys.readouterr().out


def test_a_target_runs_what_it_needs_and_no_more(project, capsys):
    assert run_repro(["left"], jobs=2) == 0
    assert "2 stages to run, 0 up to date" in capsys.readouterr().out
    assert not (project / "right").exists() and (project / "left").exists()
    with pytest.raises(ConfigError, match="'middle' is no stage"):
        run_repro(["middle"], jobs=2)


def test_one_after_the_other_the_stages_that_a_target_needs_are_counted(project, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run_repro(["left"]) == 0
    said = capsys.readouterr().out
    assert "[stage 1 of 2, " in said and "[stage 2 of 2, " in said and "stage 3" not in said


def test_a_failure_lets_the_running_ones_finish_and_starts_no_others(project, capsys):
    path = project / "dvc.yaml"
    path.write_text(path.read_text().replace(STEP.format(out="left"), "python -c 'raise SystemExit(3)'"))
    assert run_repro([], jobs=2) != 0
    out = capsys.readouterr().out
    assert "left | failed with code" in out and "not run: joined" in out
    assert (project / "right").exists() and not (project / "joined").exists()


def test_data_that_no_stage_reads_need_not_be_there(project, capsys):
    """The sample, in a clone whose study is of own data."""
    (project / "raw").mkdir()
    (project / "raw/image").write_text("1")
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "raw"], check=True)
    shutil.rmtree(project / "raw")
    assert run_repro([], jobs=2) == 0
    assert "4 stages to run, 0 up to date" in capsys.readouterr().out
