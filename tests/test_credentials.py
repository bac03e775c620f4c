"""No credential in what Git keeps: the tracked files, and .dvc/config of whoever uses this repository."""

import re
import subprocess
from pathlib import Path

import pytest
from dvc.cli import main as dvc_main
from dvc.config import Config
from dvc.config_schema import REMOTE_SCHEMAS, SCHEMA
from typer.testing import CliRunner
from voluptuous import Marker, Schema

from auxreid.cli import app
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.repository_root import MARKS
from auxreid.plumbing.team.credentials import SECRET_OPTIONS, check_dvc_config, secret_options, secret_texts

ROOT = Path(__file__).parent.parent

# Texts that must be found, in halves: this file is tracked too.
PLANTED = {
    "a password in a URL": ("ssh://me:", "hunter2@host/srv"),
    "a signature in a URL": ("https://x.blob.core.windows.net/c?sv=1&si", "g=Zm9vYmFyZm9vYmFyZm9v%3D"),
    "an AWS access key": ("key AKIA", "IOSFODNN7EXAMPLE"),
    "an AWS secret key": ("aws_secret_access_key", " = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "an Azure key": ("AccountName=x;Account", "Key=Zm9vYmFyZm9vYmFyZm9vYmFy=="),
    "a private key": ("-----BEGIN OPENSSH PRIVATE", " KEY-----\nb3BlbnNzaC1rZXktdjEA"),
    "a Google key": ('{"client_secret": "GOCSP', 'X-abcdefghijklmnopqrstuvwx"}'),
    "an access token": ("token: ghp", "_abcdefghijklmnopqrstuvwxyz0123456789"),
    "a password": ("export MLFLOW_TRACKING_PASS", "WORD=correcthorse"),
}
NO_SECRETS = (
    "ssh://me@host/srv and https://example.org:8080/x?sig=1, http://127.0.0.1:5000 @here",
    "git@github.com:owner/name.git; postgresql://user:$PASSWORD@host/db; access_key_id ...",
    "-----BEGIN PUBLIC KEY-----; MLFLOW_TRACKING_URI=sqlite:///mlruns/mlflow.db",
)


def tracked_files(root: Path) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name]


def credentials_in_git(root: Path) -> list[str]:
    """File, line and kind of each credential in what Git tracks, as it stands in the working tree."""
    found = []
    for name in tracked_files(root):
        path = root / name
        if Path(name).name == "config.local" and Path(name).parent.name == ".dvc":
            found.append(f"{name}: DVC's local configuration")
        if path.is_file():
            found += [
                f"{name}, line {line}: {kind}" for line, kind in secret_texts(path.read_bytes().decode("latin-1"))
            ]
        if name == ".dvc/config":
            found += [f"{name}: {option}" for _, option in secret_options(Config.load_file(str(path)))]
    return found


def test_this_repository_has_no_credentials():
    if not (ROOT / ".git").exists():
        pytest.skip("not a Git repository: an archive of the sources")
    assert ".dvc/config" in tracked_files(ROOT)
    assert credentials_in_git(ROOT) == []
    check_dvc_config(ROOT)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    assert dvc_main(["init", "-q"]) == 0
    return tmp_path


def test_local_configuration_is_ignored_by_git(repository):
    (repository / ".dvc/.gitignore").write_text((ROOT / ".dvc/.gitignore").read_text())
    assert dvc_main(["remote", "add", "-q", "team", "s3://bucket/x"]) == 0
    assert dvc_main(["remote", "modify", "-q", "--local", "team", "secret_access_key", "planted"]) == 0
    subprocess.run(["git", "add", "-A"], check=True)
    assert "planted" in (repository / ".dvc/config.local").read_text()
    assert ".dvc/config" in tracked_files(repository) and ".dvc/config.local" not in tracked_files(repository)
    assert credentials_in_git(repository) == []
    check_dvc_config(repository)
    subprocess.run(["git", "add", "-f", ".dvc/config.local"], check=True)
    assert credentials_in_git(repository) == [".dvc/config.local: DVC's local configuration"]


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_credential_is_found(repository, kind):
    (repository / "notes.txt").write_text("first line\n" + "".join(PLANTED[kind]))
    assert credentials_in_git(repository) == []  # not tracked yet
    subprocess.run(["git", "add", "-A"], check=True)
    assert f"notes.txt, line 2: {kind}" in credentials_in_git(repository)
    if "\n" not in PLANTED[kind][1]:
        config = repository / ".dvc/config"
        config.write_text(config.read_text() + f"""['remote "team"']\n    url = '{"".join(PLANTED[kind])}'\n""")
        with pytest.raises(ConfigError, match=r"line 2: .*`dvc remote modify --local`"):
            check_dvc_config(repository)


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_only_resembles_a_credential_is_let_through(text):
    assert list(secret_texts(text)) == []


@pytest.mark.parametrize("option", sorted(SECRET_OPTIONS))
def test_a_secret_option_of_any_remote_is_refused(repository, option):
    (repository / ".dvc/config").write_text(f"""['remote "team"']\n    url = s3://bucket/x\n    {option} = hunter2\n""")
    with pytest.raises(ConfigError) as caught:
        check_dvc_config(repository)
    said = str(caught.value)
    assert said.startswith(f".dvc/config: remote team: {option} is a secret")
    assert f"dvc remote modify --local team {option}" in said and "hunter2" not in said


def test_check_refuses_what_dvc_itself_wrote_until_the_remedy_is_followed(repository):
    assert dvc_main(["remote", "add", "-q", "team", "ssh://host/srv"]) == 0
    assert dvc_main(["remote", "modify", "-q", "team", "password", "hunter2"]) == 0
    for mark in MARKS:
        (repository / mark).touch()
    refused = CliRunner().invoke(app, ["check"])
    assert isinstance(refused.exception, ConfigError) and "team: password is a secret" in str(refused.exception)
    for remedy in re.findall(r"`dvc ([^`]+)`", str(refused.exception)):
        assert dvc_main(remedy.replace("...", "hunter2").split()) == 0
    check_dvc_config(repository)
    assert "hunter2" in (repository / ".dvc/config.local").read_text()


def test_other_sections_and_a_broken_file(repository):
    config = repository / ".dvc/config"
    config.write_text("[studio]\n    token = hunter2\n")
    with pytest.raises(ConfigError, match=r"studio: token .*`dvc config --local studio\.token"):
        check_dvc_config(repository)
    config.write_text("[core\n")
    with pytest.raises(ConfigError, match=r"\.dvc/config: .*"):
        check_dvc_config(repository)


def all_options() -> set[str]:
    """Names of all options below a section of DVC's schema, whatever the kind of remote."""
    found = set()
    sections = [SCHEMA, *REMOTE_SCHEMAS.values()]
    while sections:
        section = sections.pop()
        section = section.schema if isinstance(section, Schema) else section
        for name, value in section.items():
            name = name.schema if isinstance(name, Marker) else name
            if isinstance(value, dict | Schema):
                sections.append(value)
            elif isinstance(name, str):
                found.add(name)
    return found


def test_the_secret_options_are_those_of_dvcs_schema():
    """An option that a later DVC adds, and whose name sounds like a secret, must be sorted in by hand."""
    known = all_options()
    assert known >= SECRET_OPTIONS
    sounds = ("key", "secret", "token", "pass", "cred", "auth", "sas", "conn", "private", "client", "sig")
    harmless = {"ask_password", "ask_passphrase", "auth", "gss_auth", "connect_timeout", "connection_timeout"}
    harmless |= {"credentialpath", "keyfile", "key_path", "gdrive_user_credentials_file", "bearer_token_command"}
    harmless |= {"sse_kms_key_id", "client_id"}
    harmless |= {name for name in known if name.startswith("exclude_") and name.endswith("_credential")}
    assert {name for name in known if any(sound in name for sound in sounds)} - SECRET_OPTIONS == harmless
