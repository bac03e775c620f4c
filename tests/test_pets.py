"""`auxreid pets`: another study for a while, put back at the end, after an error, and after a kill."""

import json
from pathlib import Path

import pytest
import yaml
from search_study import DATASET, search_params

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.dvc.unfinished_study import NOTE, undo_study
from auxreid.plumbing.graph.for_a_while import replaced, study_for_a_while
from auxreid.plumbing.graph.pets import is_asked_for, pets_study, target
from auxreid.plumbing.graph.table import load_study, write_graph
from auxreid.plumbing.settings.load import load_config, parse_config

FILES = ("params.yaml", "pipeline/graph.yaml", "pipeline/dvc.yaml")


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder with a study that builds no search."""
    monkeypatch.chdir(tmp_path)
    raw = search_params()
    raw["study"] |= {"metric_rows": [], "search": []}
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    write_graph(load_config())
    return tmp_path


def texts(folder) -> list[str]:
    return [(folder / name).read_text() for name in FILES]


def test_the_study_is_that_of_the_search_while_the_block_runs_and_as_it_was_behind_it(workspace):
    before, study = texts(workspace), pets_study(load_study())
    with study_for_a_while(workspace, study):
        config = load_study()  # the table of runs fits it
        assert is_asked_for(config) and config.metric_names == ("untouched",) and config.study.seeds == (0,)
        assert target() in [f"search@{DATASET}"]
    assert texts(workspace) == before and not (workspace / NOTE).exists()


def test_after_an_error_it_is_as_it_was(workspace):
    before = texts(workspace)
    with pytest.raises(KeyboardInterrupt), study_for_a_while(workspace, pets_study(load_study())):
        raise KeyboardInterrupt
    assert texts(workspace) == before


def test_the_next_command_undoes_what_a_killed_one_left(workspace):
    before = texts(workspace)
    with study_for_a_while(workspace, pets_study(load_study())):
        assert undo_study(workspace) == []  # it is at work
        note, during = (workspace / NOTE).read_text(), texts(workspace)
    for name, text in zip(FILES, during, strict=True):
        (workspace / name).write_text(text)
    (workspace / NOTE).write_text(note)
    assert "as it was before" in undo_study(workspace)[0]
    assert texts(workspace) == before and undo_study(workspace) == []


def test_what_somebody_edits_meanwhile_stays(workspace, capsys):
    with study_for_a_while(workspace, pets_study(load_study())):
        raw = yaml.safe_load((workspace / "params.yaml").read_text())
        raw["study"]["seeds"] = [7]
        (workspace / "params.yaml").write_text(yaml.safe_dump(raw))
    assert yaml.safe_load((workspace / "params.yaml").read_text())["study"]["seeds"] == [7]
    assert "params.yaml: edited meanwhile" in capsys.readouterr().err


def test_two_at_a_time_are_refused_and_a_note_half_written_is_passed_over(workspace):
    study = pets_study(load_study())
    with (
        study_for_a_while(workspace, study),
        pytest.raises(DataError, match="another command has changed the study"),
        study_for_a_while(workspace, study),
    ):
        pass
    (workspace / NOTE).write_text(json.dumps({"before": {}})[:5])
    assert undo_study(workspace) == []


def test_a_recipe_without_a_search_is_told(workspace):
    raw = yaml.safe_load((workspace / "params.yaml").read_text())
    raw["recipes"][DATASET]["search"] = None
    with pytest.raises(ConfigError, match="or its recipe has no search section"):
        pets_study(parse_config(raw))


def test_the_rest_of_the_file_stays_as_it_is_written():
    text = "# head\nstudy:\n  # what runs\n  datasets:\n  - a  # one\n  rows:\n\n# then\ndatasets: {a: 1}  # rest\n"
    found = replaced(text, {"datasets": ["b"], "rows": []})
    assert found.startswith("# head\nstudy:\n") and found.endswith("datasets: {a: 1}  # rest\n")
    assert yaml.safe_load(found) == {"study": {"datasets": ["b"], "rows": []}, "datasets": {"a": 1}}
