"""Folders that users brought, under the real DVC: no command that is named anywhere changes them or takes them in."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from clones import PARTS, ROOT, TO_MAKE, Clone, copy_project, executed
from dataset_folders import dogs, picture_bytes, prid_multi, put
from dvc.repo import Repo
from params import raw_params, those_alone

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.fanout.repository import check_sources
from auxreid.plumbing.graph.table import remove_stale_scores
from auxreid.plumbing.settings.load import load_config

pytestmark = pytest.mark.slow
PROJECT = (*PARTS, *TO_MAKE, "data/sample.md")
PRID = {"recipe": None, "splits": None, "shared_identities": 6, "min_frames": 2, "n_splits": 3}
COMMANDS = (
    "auxreid check",
    "auxreid plan",
    "auxreid repro",
    "dvc repro -f ingest@dogs",
    "dvc status",
    "dvc push --run-cache",
    "dvc checkout",
    "dvc checkout ingest",
    "git checkout -- .",
    "dvc pull",
    "dvc repro --pull",
    "auxreid publish && auxreid runs",
    "auxreid verify",
    "dvc gc -w -f",
    "make clean-results",
    "dvc repro",
    "make clean-results && dvc pull ingest && dvc checkout -f",
)


def snapshot(*roots: Path) -> dict[str, tuple]:
    """All that could change of what lies below: names, modes, times, inodes, numbers of links, targets, contents."""
    found = {}
    for root in roots:
        for path in (root, *root.rglob("*")):
            state = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            kept = (state.st_mode, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_nlink)
            found[str(path)] = (*kept, content)
    return found


def stored(folder: Path) -> set[str]:
    """The hashes of all objects below a cache or remote of DVC's."""
    return {path.parent.name + path.name for path in folder.rglob("*") if path.is_file()}


def hashes(*roots: Path) -> set[str]:
    files = (path for root in roots for path in root.rglob("*") if path.is_file())
    return {hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in files}


def behind_a_link(path: Path, store: Path) -> None:
    """What lies at the path moves elsewhere, with a link in its place."""
    target = store / path.name
    path.rename(target)
    path.symlink_to(target)


def write_protect(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.fixture(scope="module")
def brought(tmp_path_factory, empty_database) -> tuple[Clone, list[Path]]:
    """A study of a write-protected folder in raw/ and one outside, each with links, and other folders beside them."""
    outside = tmp_path_factory.mktemp("outside")
    clone = copy_project(tmp_path_factory.mktemp("clone"), PROJECT)
    put(clone.root / "data/sample/people/one.txt", b"sample")
    inside, beside, other = (clone.root / name for name in ("raw/dogs", "data/market1501", "raw/other"))
    behind_a_link(dogs(inside) / "frames/a11.jpg", outside)
    behind_a_link(prid_multi(outside / "prid") / "multi_shot/cam_b", outside)
    prid_multi(beside)
    other.mkdir()
    (other / "dangling.jpg").symlink_to("/nowhere/at.all")
    put(other / "dvc.yaml", b"stages: {evil: {cmd: rm -rf ..}}")
    put(other / "people.dvc", b"outs: [{path: people}]")
    write_protect(inside)

    def study(params: dict) -> None:
        params["datasets"]["dogs"]["recipe"] = None
        params["datasets"]["prid2011"] |= PRID | {"folder": str(outside / "prid")}
        params["study"]["datasets"] = ["dogs", "prid2011"]
        those_alone(params, ["clip_reid"])

    clone.edit(study)
    (clone.root / "mlruns").mkdir()
    shutil.copy(empty_database, clone.root / "mlruns/mlflow.db")
    clone.dvc("commit", "-q", "-f", "data.dvc")
    clone.shell(f"dvc remote add -q -d team {outside / 'remote'} && auxreid plan && git add -A && git commit -qm 1")
    return clone, [outside, inside, beside, other]


def users(brought) -> list[Path]:
    """Not the remote, which lies outside as well."""
    outside, *others = brought[1]
    return [outside / "prid", outside / "cam_b", outside / "a11.jpg", *others]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_changes_nothing(brought, command):
    before = snapshot(*users(brought))
    brought[0].shell(command)
    assert snapshot(*users(brought)) == before


def test_nothing_was_taken_in_and_the_results_are_there(brought):
    clone, (outside, *inside) = brought
    kept = stored(clone.root / ".dvc/cache") | stored(outside / "remote")
    assert kept and not kept & hashes(outside / "prid", outside / "cam_b", *inside)
    assert len(list(clone.root.glob("results/ingest/*/frames.arrow"))) == 2
    with Repo(str(clone.root)) as repo:  # nor is anything of them a stage
        assert not [stage for stage in repo.index.stages if "raw" in stage.path or "evil" in stage.addressing]


def test_where_to_move_what_lies_in_data_is_said_once(brought):
    clone, _ = brought
    said = clone.shell("auxreid check").stderr
    assert said.count("data/market1501") == 2 and "`mkdir -p raw && mv -n data/market1501 raw/`\n" in said
    market = raw_params()["datasets"]["market1501"] | {"folder": "data/market1501", "recipe": None}
    clone.edit(lambda params: params["datasets"].update(market1501=market))
    put(clone.root / "data/sample_dogs/frames.csv", b"path")
    said = clone.shell("auxreid plan").stderr
    assert said.splitlines() == [
        "data/market1501: yours, in the sample's place; `mkdir -p raw && mv -n data/market1501 raw/`, then in "
        "params.yaml datasets.market1501.folder: raw/market1501",
        "data/sample_dogs: the sample's former place; may be deleted by hand",
    ]
    shutil.rmtree(clone.root / "data/sample_dogs")


def test_a_link_to_a_folder_is_told_of(brought):
    clone, (outside, *_) = brought
    (line,) = [line for line in clone.shell("auxreid check").stdout.splitlines() if "folder:" in line]
    assert line.startswith(f"datasets.prid2011.folder: {outside / 'prid'}: multi_shot/cam_b: a link to a folder")
    assert line.endswith("`dvc repro -f ingest@prid2011`")


def test_a_link_to_nothing_stops_its_data_set_alone(brought):
    clone, (outside, *_) = brought
    link = outside / "prid/multi_shot/cam_a/lost.png"
    link.symlink_to("/nowhere/at.all")
    said = clone.shell("auxreid check").stdout
    assert f"datasets.prid2011.folder: {outside / 'prid'}: multi_shot/cam_a/lost.png: a link to nothing" in said
    failed = clone.shell("auxreid repro --jobs 2", check=False)
    assert failed.returncode == 1 and failed.stderr.splitlines()[-1].startswith(f"error: {link}: DVC cannot read it")
    shutil.rmtree(clone.root / "results/ingest")
    failed = clone.shell("dvc repro -k", check=False)
    assert failed.returncode and str(link) in failed.stderr
    assert [path.name for path in clone.root.glob("results/ingest/*")] == ["dogs"]
    link.unlink()


def test_a_folder_that_is_not_there_is_named_before_anything_runs(brought):
    clone, _ = brought
    (clone.root / "raw/dogs").rename(clone.root / "raw/elsewhere")
    line = "datasets.dogs.folder: raw/dogs: no such folder; without it, ingest@dogs and what follows cannot run"
    assert line in clone.shell("auxreid check").stdout
    failed = clone.shell("auxreid repro", check=False)
    assert failed.returncode and failed.stderr.startswith("data/market1501") and line in failed.stderr
    (clone.root / "raw/elsewhere").rename(clone.root / "raw/dogs")
    assert executed(clone.shell("auxreid repro").stdout) == []


def test_the_fanout_says_how_nodes_get_what_raw_data_hold(brought, monkeypatch):
    clone, (outside, *_) = brought
    monkeypatch.chdir(clone.root)
    with pytest.raises(ConfigError) as refused:
        check_sources(["ingest@dogs", "ingest@prid2011"])
    assert "raw/dogs; run `dvc repro ingest@dogs` here first" in str(refused.value)
    assert f"{outside / 'prid'}; run `dvc repro ingest@prid2011` here first" in str(refused.value)


def test_a_fresh_clone_needs_no_raw_data_for_results_that_were_pushed(brought, tmp_path):
    clone, _ = brought
    clone.shell("git checkout -q params.yaml pipeline && dvc repro && git add dvc.lock && git commit -qm 2")
    clone.shell(f"dvc push -q --run-cache && git clone -q . {tmp_path / 'mate'}")
    mate = Clone(tmp_path / "mate")
    (mate.root / "raw").mkdir()
    assert executed(mate.dvc("repro", "--pull")) == []
    assert len(list(mate.root.glob("results/ingest/*/frames.arrow"))) == 2


def test_too_many_broken_images_leave_a_report_that_names_them(tmp_path):
    clone = copy_project(tmp_path, PROJECT)
    put(tmp_path / "data/sample/people/one.txt", b"sample")
    folder = dogs(tmp_path / "raw/dogs")
    broken = [f"frames/{dog}{n}1.jpg" for dog in "abc" for n in (1, 2)]
    for path in broken:
        put(folder / path, b"")

    def study(params: dict) -> None:
        params["datasets"]["dogs"]["recipe"] = None
        params["study"] |= {"datasets": ["dogs"], "rows": ["clip_reid"]}

    clone.edit(study)
    clone.dvc("commit", "-q", "-f", "data.dvc")
    clone.shell("auxreid plan && git add -A && git commit -qm 1")
    for _ in range(2):  # the second time over what the first left
        failed = clone.shell("dvc repro ingest@dogs", check=False)
        assert failed.returncode and "6 of 34 images cannot be used" in failed.stderr
        assert "The report, results/ingest/dogs/report.json, names all that is left out." in failed.stderr
        report = json.loads((tmp_path / "results/ingest/dogs/report.json").read_text())
        assert [one["path"] for one in report["left_out"]] == broken
    for seed, path in enumerate(broken, start=100):
        put(folder / path, picture_bytes(seed, size=(24, 24)))
    clone.dvc("repro", "ingest@dogs")
    assert "faults" not in json.loads((tmp_path / "results/ingest/dogs/report.json").read_text())


# after `dvc add`


def test_what_is_added_in_raw_and_weights_is_seen_and_stays_when_it_is_no_longer_named(tmp_path):
    clone = copy_project(tmp_path, PROJECT)
    put(tmp_path / "data/sample/people/one.txt", b"sample")
    for name in ("raw/set/one.jpg", "weights/a.pt"):
        put(tmp_path / name, name.encode())
    clone.dvc("commit", "-q", "-f", "data.dvc")
    clone.dvc("add", "-q", "raw/set", "weights/a.pt")
    with Repo(str(tmp_path)) as repo:
        added = {stage.path_in_repo for stage in repo.index.stages if stage.is_data_source}
    assert added == {"data.dvc", "raw/set.dvc", "weights/a.pt.dvc"}
    clone.dvc("remove", "-q", "raw/set.dvc")
    before = snapshot(tmp_path / "raw")
    clone.shell("auxreid check && dvc checkout", check=False)  # DVC lacks results, and says so after it has tidied up
    assert snapshot(tmp_path / "raw") == before


# a clone from the time when data.dvc described all of data/


@pytest.fixture
def former(tmp_path) -> Clone:
    """As it is after `git pull`, but for the tracked file in data/: DVC has linked what data.dvc no longer names."""
    clone = copy_project(tmp_path)
    new = (tmp_path / "data.dvc").read_text()
    (tmp_path / "data.dvc").unlink()
    prid_multi(tmp_path / "data/market1501")
    put(tmp_path / "data/sample_people/one.txt", b"sample")
    clone.dvc("add", "-q", "data")
    (tmp_path / "data.dvc").write_text(new)
    return clone


def test_dvc_alone_would_clear_the_folder_away(former):
    former.shell("dvc checkout", check=False)
    assert not (former.root / "data/market1501").exists()


def test_a_file_that_git_brings_into_the_folder_keeps_it(former):
    shutil.copy(ROOT / "data/sample.md", former.root / "data")
    before = snapshot(former.root / "data/market1501")
    former.shell("dvc checkout", check=False)
    assert snapshot(former.root / "data/market1501") == before


@pytest.mark.parametrize("command", ["check", "verify --dry-run"])
def test_any_command_of_ours_makes_dvc_forget_the_folder(former, command):
    before = snapshot(former.root / "data")
    said = former.shell(f"auxreid {command}", check=False).stderr
    assert "mv -n data/market1501 raw/" in said and "data/sample_people: the sample's former place" in said
    former.shell("dvc checkout", check=False)
    assert snapshot(former.root / "data") == before


def test_a_merge_that_kept_the_former_file_is_an_error(former):
    (former.root / "data.dvc").write_text("outs:\n- path: data\n  md5: 0123456789abcdef0123456789abcdef.dir\n")
    for command in ("check", "plan", "repro"):
        refused = former.shell(f"auxreid {command}", check=False)
        assert refused.returncode == 1 and "data.dvc: outs: path = 'data', allowed: 'data/sample'" in refused.stderr
    (former.root / "data.dvc").write_text("<<<<<<< HEAD\nouts:\n")
    said = former.shell("auxreid check", check=False).stderr
    assert "data.dvc, line 1: a merge conflict; take the side" in said and "`path: data/sample`" in said


def test_plan_removes_score_files_alone(tmp_path):
    names = ("gone-0.parquet", "notes.txt", "gone.json", "2026-11-25 notes.json")
    for name in names:
        put(tmp_path / "scores/sample_people" / name, b"")
    removed = remove_stale_scores(load_config(ROOT / "params.yaml"), tmp_path)
    assert [path.name for path in removed] == ["gone-0.parquet"]
