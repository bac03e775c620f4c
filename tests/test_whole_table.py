"""All rows by one word: what changes in params.yaml, and that nothing else does."""

from pathlib import Path

import pytest
import yaml
from params import ROOT

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.whole_table import ask_for_all_rows


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rows: [a, b]  # chosen", "rows:  # chosen"),
        ("rows:  # chosen\n    [a,\n     b]", "rows:  # chosen"),
        ("rows:\n    - a\n    - b  # the last\n  # of seeds", "rows:  # the last\n  # of seeds"),
        ('"rows" : []', '"rows" :'),
    ],
)
def test_the_value_alone_is_replaced(tmp_path, before, after):
    path = tmp_path / "params.yaml"
    path.write_text(f"# head\nstudy:\n  seeds: [0]\n  {before}\n  row_seeds: {{}}\nother: {{rows: [c]}}\n")
    assert ask_for_all_rows(path)
    assert path.read_text() == f"# head\nstudy:\n  seeds: [0]\n  {after}\n  row_seeds: {{}}\nother: {{rows: [c]}}\n"
    assert not ask_for_all_rows(path)


def test_the_metric_rows_lose_their_value_too(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("study:\n  rows:\n  metric_rows: [untouched, arcface]  # some\n  seeds: [0]\n")
    assert ask_for_all_rows(path)
    assert path.read_text() == "study:\n  rows:\n  metric_rows:  # some\n  seeds: [0]\n"
    assert not ask_for_all_rows(path)


def test_the_project_s_file_differs_in_that_value_alone(tmp_path):
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text()
    path.write_text(text)
    assert ask_for_all_rows(path)
    before, after = yaml.safe_load(text), yaml.safe_load(path.read_text())
    assert after["study"].pop("rows") is None and before["study"].pop("rows")
    assert after["study"].pop("metric_rows") is None and before["study"].pop("metric_rows") == []
    assert after == before
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert comments == [line.partition("#")[2] for line in path.read_text().splitlines() if "#" in line]


def test_a_study_without_rows_is_named(tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text("study: {seeds: [0]}\n")
    with pytest.raises(ConfigError, match=r"params.yaml: no key 'rows'"):
        ask_for_all_rows(path)
