"""The files at the top that others read: they parse, name what is there, and agree with each other."""

import re
import tomllib

import pytest
import yaml
from params import ROOT

import auxreid

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_licence_is_one():
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n") and "auxreid contributors" in text
    assert PROJECT["license"] == "MIT" and PROJECT["license-files"] == ["LICENSE"]
    assert PROJECT["authors"] == [{"name": "auxreid contributors"}]


def test_the_citation_parses_and_has_what_its_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["message"]
    assert (citation["version"], citation["license"]) == (auxreid.__version__, "MIT")
    types = [reference["type"] for reference in citation["references"]]
    assert types == ["thesis", "conference-paper", "conference-paper", "conference-paper", "software"]
    for work in (citation, *citation["references"]):
        assert work["title"] and work["authors"]
        for author in work["authors"]:
            assert author.keys() <= {"name", "family-names", "given-names"}


def test_the_hooks_run_the_linter_that_make_runs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    assert [entry.split(" --")[0] for entry in entries] == [".venv/bin/ruff check", ".venv/bin/ruff format"]
    assert re.search(r"^ruff==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_a_document_names_is_there(name):
    text = (ROOT / name).read_text()
    paths = re.findall(r"`((?:src|tests|docs)/[\w./]+)`|\]\(([\w./]+)\)", text)
    assert [path for path in map("".join, paths) if not (ROOT / path).exists()] == []


def test_the_changes_speak_of_this_version():
    assert f"\n## {auxreid.__version__}" in (ROOT / "CHANGELOG.md").read_text()
