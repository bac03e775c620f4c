"""`auxreid verify` beside the real DVC, on a small project whose remote is a folder."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from dvc.cli import main as dvc_main
from dvc.repo import Repo
from typer.testing import CliRunner

from auxreid.cli import app
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.dvc import lock as dvc_lock
from auxreid.plumbing.dvc.lock import WAITING
from auxreid.plumbing.team.verify import verify

STAGES = """
stages:
  train:
    cmd: mkdir -p model && cp data/a model.bin && cat data/b data/a > model/weights && cat data/b setting > model/notes
    deps: [data, setting]
    outs: [model.bin, model]
"""


def dvc(*command: str) -> None:
    assert dvc_main([*command, "-q"]) == 0, command


def md5(path: str | Path) -> str:
    return hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()


def object_path(output: str) -> Path:
    """Where DVC itself says that the object of an output lies."""
    with Repo() as repo:
        (out,) = [out for out in repo.index.outs if out.def_path == output]
        return Path(repo.cache.local.oid_to_path(out.hash_info.value))


def member_path(output: str, name: str) -> Path:
    (entry,) = [entry for entry in json.loads(object_path(output).read_text()) if entry["relpath"] == name]
    with Repo() as repo:
        return Path(repo.cache.local.oid_to_path(entry["md5"]))


def damage(path: Path, old: bytes | None = None, new: bytes = b"") -> None:
    """What a failing disk does: other bytes in the same file, of the same size, time, inode and mode."""
    before, content = path.stat(), bytearray(path.read_bytes())
    if old is None:
        content[len(content) // 2] ^= 1
    else:
        content = content.replace(old, new)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    kept = ("st_ino", "st_size", "st_mtime_ns", "st_mode")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The project and its remote beside it. data/a is model.bin too, so that they share an object."""
    root = tmp_path_factory.mktemp("template") / "project"
    (root / "data").mkdir(parents=True)
    for name in ("a", "b"):
        (root / "data" / name).write_bytes(name.encode() * 3000)
    (root / "setting").write_text("1")
    (root / "dvc.yaml").write_text(STAGES)
    (root / "params.yaml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        subprocess.run(["git", "init", "-q"], check=True)
        dvc("init")
        dvc("remote", "add", "-d", "team", "../remote")
        dvc("add", "data")
        dvc("repro")
        dvc("push", "--run-cache")
    return root.parent


@pytest.fixture
def project(template, tmp_path, monkeypatch):
    """A copy, in which DVC remembers nothing of the files yet."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def run_verify(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", *options])
    return done.exit_code, done.output


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_a_flipped_byte_is_served_by_dvc_and_found_removed_and_repaired(project, link):
    dvc("config", "cache.type", link)
    dvc("checkout", "--relink")
    path, right = object_path("model.bin"), md5("model.bin")
    damage(path)
    for copy in ("model.bin", "data/a"):
        Path(copy).unlink()
    dvc("checkout")
    dvc("pull")
    with Repo() as repo:
        assert repo.status() == {}  # DVC is content with
    wrong = md5("model.bin")
    assert wrong != right and md5("data/a") == wrong

    code, said = run_verify()
    assert code == 1
    name = path.relative_to(project).as_posix()
    for line in (
        f"corrupt: {name}",
        f"expected {right}, found {wrong}",
        "model.bin of train",
        "data/a of data.dvc",
        "6 objects: 5 intact, 1 corrupt, 0 missing",
        "`dvc pull data.dvc train`",
    ):
        assert line in said
    assert not path.exists() and not os.path.lexists("model.bin") and not os.path.lexists("data/a")
    assert md5(f".dvc/tmp/corrupt/{right}") == wrong  # nothing is lost

    dvc("pull")
    assert md5("model.bin") == md5("data/a") == md5(path) == right
    assert path.stat().st_mode & 0o777 == 0o444
    with Repo() as repo:
        assert repo.status() == {}
    assert run_verify() == (0, "6 objects: 6 intact, 0 corrupt, 0 missing\n")


def test_removing_the_object_alone_would_leave_the_wrong_copy(project):
    """Why verify looks at the workspace: DVC trusts the copy by its inode, time and size."""
    path, right = object_path("model.bin"), md5("model.bin")
    damage(path)
    Path("model.bin").unlink()
    dvc("checkout")
    path.unlink()
    dvc("pull")
    assert md5(path) == right and md5("model.bin") != right
    with Repo() as repo:
        assert repo.status() == {}


def test_repro_with_pull_repairs_a_stage_and_runs_nothing(project):
    right = md5("model/weights")
    damage(member_path("model", "weights"))
    Path("model/weights").unlink()
    dvc("checkout")
    assert md5("model/weights") != right
    assert run_verify()[0] == 1
    Path("dvc.yaml").write_text(STAGES.replace("cmd: ", "cmd: touch ran && "))  # and any run would show
    before = Path("dvc.lock").read_text()
    Path("dvc.lock").write_text(before.replace("cmd: ", "cmd: touch ran && "))
    dvc("repro", "--pull")
    assert md5("model/weights") == right and not Path("ran").exists()


def test_a_file_that_was_edited_since_is_left_alone(project):
    damage(object_path("model.bin"))
    Path("model.bin").write_bytes(b"edited")
    code, said = run_verify()
    assert code == 1 and "same wrong bytes" not in said
    assert Path("model.bin").read_bytes() == b"edited" and Path("data/a").exists()


def test_an_intact_copy_is_named_and_restores_the_object_without_a_remote(project):
    path, right = object_path("model.bin"), md5("model.bin")
    damage(path)
    code, said = run_verify()
    assert code == 1 and "model.bin is intact: without a remote, `dvc commit train` brings the object back" in said
    assert not path.exists() and md5("model.bin") == right
    dvc("commit")
    assert md5(path) == right


def test_a_corrupt_listing_is_found_and_repaired(project):
    path = object_path("model")
    damage(path, b'"weights"', b'"w_ights"')
    dvc("checkout")  # DVC believes the listing
    dvc("pull")
    assert not Path("model/weights").exists() and Path("model/w_ights").exists()
    code, said = run_verify()
    assert code == 1 and "model of train" in said and "listing is corrupt were not checked" in said
    dvc("pull")
    assert sorted(os.listdir("model")) == ["notes", "weights"]
    assert run_verify() == (0, "6 objects: 6 intact, 0 corrupt, 0 missing\n")


def test_a_listing_that_is_no_json_any_more(project):
    path = object_path("model")
    damage(path, b'[{"md5"', b'[["md5"')
    report = verify(project)
    assert [entry.path for entry in report.having("corrupt")] == [path]
    dvc("pull")
    assert verify(project).having("intact") and not verify(project).having("corrupt")


def test_missing_objects_are_no_corruption(project):
    member_path("model", "notes").unlink()
    code, said = run_verify()
    assert code == 0 and "missing: model/notes of train" in said and "`dvc pull train`" in said
    assert "6 objects: 5 intact, 0 corrupt, 1 missing" in said
    object_path("model").unlink()  # whose files are then not known
    assert "4 objects: 3 intact, 0 corrupt, 1 missing" in run_verify()[1]
    dvc("pull")
    assert run_verify()[0] == 0


def test_former_results_are_rehashed_on_demand(project):
    former = member_path("model", "notes")
    Path("setting").write_text("2")
    dvc("repro")
    damage(former)
    assert run_verify()[0] == 0
    code, said = run_verify("--all")
    assert code == 1 and "of a former result" in said and not former.exists()
    Path("setting").write_text("1")  # an edit back, which the run cache answers
    dvc("repro", "--pull")
    assert Path("model/notes").read_bytes() == b"b" * 3000 + b"1" and md5(former) == former.parent.name + former.name


def test_a_dry_run_changes_nothing(project):
    path = object_path("model.bin")
    damage(path)
    Path("model.bin").unlink()
    dvc("checkout")
    wrong = md5("model.bin")
    code, said = run_verify("--dry-run")
    assert code == 1 and "same wrong bytes" in said and "removed" not in said and "put aside" not in said
    assert md5(path) == md5("model.bin") == wrong and not Path(".dvc/tmp/corrupt").exists()


def test_what_cannot_be_verified_is_a_clear_error(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ConfigError, match="not inside of a DVC repository"):
        verify(tmp_path / "elsewhere")
    path = object_path("model.bin")
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"{path}: cannot be read: Is a directory"):
        verify(project)


def test_another_dvc_command_is_waited_for_with_a_line(project, capfd, monkeypatch):
    monkeypatch.setattr(dvc_lock, "TELL_AFTER", 0.2)
    damage(member_path("data", "b"))
    with Repo() as repo:
        repo.lock.lock()
        threading.Timer(1, repo.lock.unlock).start()
        verify(project)
    assert capfd.readouterr().err.count(WAITING) == 1
    assert not member_path("data", "b").exists()
