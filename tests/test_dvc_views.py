"""What DVC itself shows of a study: metrics that fit a screen, plots of all rows, and encoders by their names."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from clones import PEOPLE_ROWS, Clone, copy_project
from params import CONFIG, ROOT, one_seed, raw_params

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.table import build_graph, check_graph, write_graph
from auxreid.plumbing.graph.views import build_views, check_views, parse_views, views_text
from auxreid.plumbing.settings.load import parse_config

TEMPLATES = sorted((ROOT / ".dvc/plots").glob("*.json"))
ROWS = ["untrained", "pretrained", *PEOPLE_ROWS]
GIVEN = ("rev", "filename", "field")  # what DVC adds to each line of a file


def views_of(raw: dict) -> dict:
    config = parse_config(raw)
    return build_views(build_graph(config), config.prompts)


# the file that plan writes


@pytest.fixture
def raw() -> dict:
    raw = raw_params()
    one_seed(raw, ["clip_reid", "attribute_prompts"])
    return raw


def test_every_data_set_has_its_plots_and_every_row_its_encoder(raw):
    found = views_of(raw)
    names = ("cmc", "mAP", "difference", "pretrain", "prompts", "finetune")
    assert list(found["plots"]) == [*(f"sample_people/{name}" for name in names), "sample_dogs/confusion"]
    assert list(found["plots"]["sample_people/prompts"]["y"]) == [  # sentences from attributes are not trained
        "../results/prompts/sample_people-learned-0/history.csv"
    ]
    encoders = [f"sample_people-{row}-0" for row in ("clip_reid", "attribute_prompts")]
    assert list(found["artifacts"]) == [*encoders, "sample_dogs-attributes"]


def test_without_the_reference_there_is_no_plot_of_differences_and_without_captions_none_of_pretraining(raw):
    one_seed(raw, ["visual_only_corrected"])
    raw["datasets"]["sample_people"]["attributes"] = None
    raw["recipes"]["sample_people"]["pretrain"] = None
    assert [name for name in views_of(raw)["plots"] if "people" in name] == [
        f"sample_people/{name}" for name in ("cmc", "mAP", "finetune")
    ]


def test_dogs_alone_have_neither_rows_nor_encoders(raw):
    raw["study"]["datasets"] = ["sample_dogs"]
    found = views_of(raw)
    assert (list(found["plots"]), list(found["artifacts"])) == (["sample_dogs/confusion"], ["sample_dogs-attributes"])


def test_names_are_such_as_dvc_takes():
    from gto.constants import assert_name_is_valid

    whole = raw_params()
    whole["study"]["rows"] = None
    for name in views_of(whole)["artifacts"]:
        assert_name_is_valid(name)


def test_a_file_that_was_not_written_anew_stops_every_stage(raw, tmp_path):
    path = tmp_path / "dvc.yaml"
    wanted = views_of(raw)
    write_graph(parse_config(raw), tmp_path / "graph.yaml")
    check_graph(parse_config(raw), tmp_path / "graph.yaml")
    written = yaml.safe_load(path.read_text())
    written["plots"].reverse()
    path.write_text(yaml.safe_dump(written))
    check_views(wanted, path)  # the order says nothing
    del written["artifacts"]["sample_people-clip_reid-0"]
    path.write_text(yaml.safe_dump(written))
    with pytest.raises(ConfigError, match=r"artifacts: sample_people-clip_reid-0; run `auxreid plan`$"):
        check_graph(parse_config(raw), tmp_path / "graph.yaml")
    path.unlink()
    with pytest.raises(ConfigError, match=r"dvc.yaml does not fit params.yaml: plots: sample_people/cmc; run"):
        check_views(wanted, path)


@pytest.mark.parametrize(
    "text", ["plots: [\n", "<<<<<<< HEAD\n", "plots: 7\n", "7\n", "plots: [7]\n", "artifacts: 7\n"]
)
def test_a_broken_file_is_one_line(raw, tmp_path, text):
    path = tmp_path / "dvc.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"dvc.yaml.*run `auxreid plan`$") as caught:
        check_views(views_of(raw), path)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read_again(raw):
    views = views_of(raw)
    assert parse_views(yaml.safe_load(views_text(views))) == views


# templates


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_is_vega_lite_with_dvc_s_anchors(path):
    text = path.read_text()
    spec = json.loads(text)
    assert spec["$schema"] == "https://vega.github.io/schema/vega-lite/v5.json"
    assert spec["data"] == {"values": "<DVC_METRIC_DATA>"} and spec["title"]["text"] == "<DVC_METRIC_TITLE>"
    anchors = set(re.findall(r"<DVC_METRIC_(\w+)>", text))
    assert anchors == {"DATA", "TITLE", "X", "Y", "X_LABEL", "Y_LABEL"}


def test_every_plot_has_one_of_these_templates():
    used = {body["template"] for body in build_views(build_graph(CONFIG), CONFIG.prompts)["plots"].values()}
    assert used == {path.stem for path in TEMPLATES}


def fields_of(spec: object, key: str) -> set[str]:
    """The values under a key anywhere in a specification."""
    if isinstance(spec, list):
        return set().union(*(fields_of(one, key) for one in spec)) if spec else set()
    if not isinstance(spec, dict):
        return set()
    own = {spec[key]} if isinstance(spec.get(key), str) else set()
    return own.union(*(fields_of(one, key) for name, one in spec.items() if name != "values"))


def check_spec(content: dict) -> list[dict]:
    """Every field that is drawn or computed with is in the data or computed before. Returns the data."""
    data = content["data"]["values"]
    text = json.dumps({name: part for name, part in content.items() if name != "data"})
    assert "DVC_METRIC" not in text
    read = (
        fields_of(content, "field") | set(re.findall(r"datum\.(\w+)", text)) | set(re.findall(r"datum\['(\w+)'", text))
    )
    assert read <= {*data[0], *GIVEN} | fields_of(content, "as")
    return data


def test_confusion_matrices_are_one_plot_with_a_facet_each(tmp_path):
    clone = copy_project(tmp_path)
    folder = tmp_path / "results/attributes/sample_dogs"
    folder.mkdir(parents=True)
    (folder / "confusion.csv").write_text("attribute,actual,predicted,count\ncoat,short,short,3\ncoat,short,long,1\n")
    shown = json.loads(clone.dvc("plots", "show", "--json", "sample_dogs"))
    assert list(shown["data"]) == ["sample_dogs/confusion"]
    (one,) = shown["data"]["sample_dogs/confusion"]
    assert [line["count"] for line in check_spec(one["content"])] == ["3", "1"]
    assert one["content"]["facet"]["field"] == "panel"


# under the real DVC, after a study of one seed


@pytest.fixture(scope="module")
def study(tmp_path_factory, trained_people, stage_python) -> Clone:
    root = tmp_path_factory.mktemp("views") / "study"
    clone = Clone(shutil.copytree(trained_people, root, symlinks=True))
    clone.take_python(stage_python)
    clone.commit("The results")
    return clone


@pytest.fixture
def edited(study) -> Path:
    """A row's metrics as another training might have left them."""
    path = study.root / "results/rows/sample_people/clip_reid.json"
    before = path.read_text()
    path.unlink()  # it may be a link into the cache
    path.write_text('{"mAP": 99.0, "CMC_1": 99.0}')
    yield path
    path.write_text(before)


def test_metrics_are_a_line_per_row_and_three_columns(study):
    lines = study.dvc("metrics", "show", "--md").splitlines()
    header, rows = lines[0].strip("| ").split("|"), lines[2:]
    assert [name.strip() for name in header] == ["Path", "CMC_1", "difference", "mAP"]
    paths = {line.strip("| ").split("|")[0].strip() for line in rows if line.strip()}
    assert paths == {f"results/rows/sample_people/{row}.json" for row in ROWS}


def test_metrics_are_those_of_the_table(study):
    import pandas as pd

    table = pd.read_csv(study.root / "results/compare/sample_people/table.csv", index_col="row")
    for row in ROWS:
        found = json.loads((study.root / f"results/rows/sample_people/{row}.json").read_text())
        difference = {} if row == "clip_reid" else {"difference": table.loc[row, "mAP_minus_clip_reid"]}
        assert found == {"mAP": table.loc[row, "mAP"], "CMC_1": table.loc[row, "CMC_1"]} | difference


def test_a_diff_names_the_row_that_changed(study, edited):
    found = json.loads(study.dvc("metrics", "diff", "--json"))
    assert {path: set(values) for path, values in found.items()} == {
        "results/rows/sample_people/clip_reid.json": {"mAP", "CMC_1"}
    }


def columns(study) -> list[str]:
    """Of the table of experiments by the command of docs/dvc.md."""
    command = re.search(r"dvc exp show .*", (ROOT / "docs/dvc.md").read_text())[0]
    header = study.shell(f"{command} --no-pager --md").stdout.splitlines()[0]
    return [name.strip() for name in header.strip("| ").split("|")]


def test_an_experiment_has_three_metrics_per_row_and_no_hash_of_sources_among_its_parameters(study):
    data = [one["data"] for one in json.loads(study.dvc("exp", "show", "--json"))]
    assert data and all(set(one["params"]) == {"params.yaml", "pipeline/graph.yaml"} for one in data)
    assert all(len(metrics["data"]) <= 3 for one in data for metrics in one["metrics"].values())
    assert {len(one["metrics"]) for one in data} == {len(ROWS)}


def test_of_experiments_what_changed_is_shown_and_no_hash_of_a_file(study, edited):
    assert columns(study) == ["Experiment", "Created", "results/rows/sample_people/clip_reid.json:mAP"]


def test_the_page_has_every_plot_with_the_lines_of_all_rows(study):
    shown = json.loads(study.dvc("plots", "show", "--json"))
    assert "errors" not in shown
    names = ("cmc", "mAP", "difference", "pretrain", "prompts", "finetune")
    assert list(shown["data"]) == [f"sample_people/{name}" for name in names]
    data = {name: check_spec(shown["data"][f"sample_people/{name}"][0]["content"]) for name in names}
    assert {line["row"] for line in data["cmc"]} == {line["row"] for line in data["mAP"]} == set(ROWS)
    assert [line["row"] for line in data["cmc"] if line["rank"] == "1"] == [*PEOPLE_ROWS, *ROWS[:2]]
    assert max(int(line["rank"]) for line in data["cmc"]) <= 50
    assert {line["filename"] for line in data["finetune"]} == {
        f"sample_people-{row}-0/history.csv" for row in PEOPLE_ROWS
    }
    assert {line["filename"].split("/")[0] for line in data["prompts"]} == {
        f"sample_people-{variant}-0" for variant in ("learned", "learned_twice")
    }
    assert data["pretrain"] and all(line["loss"] for name in names[3:] for line in data[name])


def test_revisions_are_told_apart(study):
    shown = json.loads(study.dvc("plots", "diff", "HEAD", "--json"))
    for name, (one,) in shown["data"].items():
        assert one["revisions"] == ["workspace", "HEAD"], name
        encoded = [spec for spec in re.findall(r'"(\w+)": {[^{}]*"field": "rev"', json.dumps(one["content"]))]
        assert {"strokeDash", "color"} & set(encoded), name


def test_an_encoder_is_got_by_its_name_from_another_folder(study, tmp_path):
    name = "pipeline:sample_people-clip_reid-0"
    study.run("gto", "register", name)
    elsewhere = Clone(tmp_path)
    elsewhere.dvc("artifacts", "get", str(study.root), name, "-o", "encoder.safetensors")
    expected = study.root / "results/finetune/sample_people-clip_reid-0/encoder.safetensors"
    assert (tmp_path / "encoder.safetensors").read_bytes() == expected.read_bytes()


def test_a_row_that_leaves_the_study_leaves_the_metrics_and_the_plots(study):
    study.edit(lambda params: params["study"]["rows"].remove("visual_only_corrected"))
    study.shell("python -m auxreid.cli plan")
    assert study.repro() == ["sources", "compare@sample_people"]
    left = {path.stem for path in (study.root / "results/rows/sample_people").iterdir()}
    assert left == set(ROWS) - {"visual_only_corrected"}
    shown = study.dvc("plots", "show", "--json", "sample_people/finetune")
    assert "clip_reid" in shown and "visual_only_corrected" not in shown
    of_row = ["results/rows/sample_people/visual_only_corrected.json:mAP"]
    assert columns(study) == ["Experiment", "Created", *of_row, "study.rows"]
