"""`make` on machines that lack something: one line, before anything is downloaded."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clones import ROOT

FILES = ("Makefile", "install.sh", "requirements.lock", "pyproject.toml")
REAL = f'exec {sys.executable} "$@"'


@pytest.fixture
def checkout(tmp_path) -> Path:
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(checkout: Path, name: str, body: str) -> Path:
    """A program that is found before the machine's own."""
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def make(checkout: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    search = f"{checkout / 'bin'}{os.pathsep}{os.environ['PATH']}"
    outer = {name for name in os.environ if name.startswith("MAKE") or name == "MFLAGS"}  # the tests' own `make`
    kept = {name: value for name, value in os.environ.items() if name not in outer}
    environment = kept | {"PATH": search} | variables
    return subprocess.run(["make", *words], cwd=checkout, env=environment, capture_output=True, text=True)


def error(done: subprocess.CompletedProcess) -> str:
    """The one line beside make's own."""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode != 0 and done.stdout == "" and line.startswith("error: ")
    return line


def test_make_alone_says_how_large_the_installation_is_until_it_is_there(checkout):
    assert re.match(r"The first command installs \.venv: some minutes, [\d.]+ GB", make(checkout).stdout)
    (checkout / ".venv").mkdir()
    (checkout / ".venv/.installed").touch()
    assert "installs" not in make(checkout).stdout


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (None, "no such program; install Python 3.11, or name it: make PYTHON="),
        ("exit 1", "does not run; name a Python 3.11"),
        ("echo 3.12", "is Python 3.12, and 3.11 is needed: make PYTHON="),
        (f'case "$*" in *venv*) exit 1 ;; esac; {REAL}', "has no venv; install it"),
    ],
    ids=["missing", "broken", "other", "without venv"],
)
def test_a_python_that_cannot_serve_is_named_with_the_remedy(checkout, body, told):
    name = "no-python" if body is None else str(program(checkout, "some-python", body))
    assert error(make(checkout, "demo", f"PYTHON={name}")).startswith(f"error: {name}: {told}")
    assert not (checkout / ".venv").exists()


def test_too_little_room_is_told_before_anything_is_written(checkout):
    program(checkout, "df", "echo Filesystem 1024-blocks Used Available Capacity Mounted; echo x 1 1 4900000 1 /")
    line = error(make(checkout, "demo", f"PYTHON={program(checkout, 'some-python', REAL)}"))
    assert line == f"error: {checkout}: 4 GB free, 8 GB needed for .venv; make room"
    assert not (checkout / ".venv").exists()


def test_a_proxy_that_fails_is_told_before_the_packages_are_asked_for(checkout):
    program(checkout, "df", "echo Filesystem 1024-blocks Used Available Capacity Mounted; echo x 1 1 99000000 1 /")
    python = program(checkout, "some-python", REAL)
    dead = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "https://packages.invalid/simple", "PIP_FIND_LINKS": ""}
    dead |= {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")}
    line = error(make(checkout, "demo", f"PYTHON={python}", NO_PROXY="", no_proxy="", **dead))
    assert re.match(
        r"error: the package index does not answer \(ProxyError: .*refused\); see HTTPS_PROXY and PIP_INDEX_URL", line
    )
    assert not (checkout / ".venv/.installed").exists()
    assert "addict" in (checkout / ".venv/install.log").read_text()
