"""Remotes of a team on a small project under the real DVC: S3 and SSH servers that check who asks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from s3_server import BUCKET, s3_server, without_credentials
from sftp_server import USER, sftp_server

pytestmark = pytest.mark.slow
STAGE = "stages:\n  train:\n    cmd: cp data/a model && echo run >> runs\n    deps: [data]\n    outs: [model]\n"


class Project:
    """One folder of data and one stage, which counts its runs in a file that nobody tracks."""

    def __init__(self, root: Path) -> None:
        self.root, self.env = root, without_credentials(dict(os.environ), root.parent / "nothing")
        (root / "data").mkdir(parents=True)
        (root / "data/a").write_text("1")
        (root / "dvc.yaml").write_text(STAGE)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        self.dvc("init")
        self.dvc("add", "data")
        self.dvc("repro")

    def dvc(self, *command: str, **environment: str) -> None:
        code, said = self.attempt(*command, **environment)
        assert code == 0, f"{command}: {said}"

    def attempt(self, *command: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *command],
            cwd=self.root,
            env=self.env | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def forget(self) -> None:
        """What a fresh clone does not have."""
        for name in (".dvc/cache", ".dvc/tmp", "data"):
            shutil.rmtree(self.root / name)
        (self.root / "model").unlink()

    def runs(self) -> int:
        return len((self.root / "runs").read_text().splitlines())


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("remotes") / "project")


def assert_restored_without_a_run(project: Project, **environment: str) -> None:
    project.forget()
    project.dvc("repro", "--pull", **environment)
    assert (project.root / "model").read_text() == (project.root / "data/a").read_text() == "1"
    assert project.runs() == 1


def test_s3_with_credentials_of_the_environment_and_of_the_local_configuration(project):
    with s3_server() as server:
        project.dvc("remote", "add", "-f", "-d", "s3", f"s3://{BUCKET}/auxreid")
        project.dvc("remote", "modify", "s3", "endpointurl", server.url)
        code, said = project.attempt("push", "--run-cache")
        assert code != 0 and "Unable to locate credentials" in said
        code, said = project.attempt("push", **server.credentials | {"AWS_SECRET_ACCESS_KEY": "wrong"})
        assert code != 0 and "Forbidden" in said
        project.dvc("push", "--run-cache", **server.credentials)
        project.dvc("remote", "modify", "--local", "s3", "access_key_id", server.access_key_id)
        project.dvc("remote", "modify", "--local", "s3", "secret_access_key", server.secret_access_key)
        assert_restored_without_a_run(project)
        assert server.secret_access_key not in (project.root / ".dvc/config").read_text()


def test_ssh_with_a_key_and_with_a_password(project, tmp_path):
    with sftp_server(tmp_path) as server:
        project.dvc("remote", "add", "-f", "-d", "ssh", f"ssh://{USER}@127.0.0.1{tmp_path}/auxreid")
        project.dvc("remote", "modify", "ssh", "port", str(server.port))
        project.dvc("remote", "modify", "--local", "ssh", "password", "wrong")
        assert project.attempt("push", "--run-cache")[0] != 0 and not (tmp_path / "auxreid").exists()
        project.dvc("remote", "modify", "--local", "ssh", "password", server.password)
        project.dvc("push", "--run-cache")
        project.dvc("remote", "modify", "--local", "--unset", "ssh", "password")
        project.dvc("remote", "modify", "--local", "ssh", "keyfile", str(server.keyfile))
        assert_restored_without_a_run(project)
