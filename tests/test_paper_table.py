"""Tables for a paper, from the CSV of a comparison."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from clones import copy_project
from typer.testing import CliRunner

from auxreid.cli import app
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.report.paper_table import read_paper_table
from auxreid.plumbing.report.table_formats import format_tables, latex_text

HEADER = "row,form,seeds,mAP,mAP_std,mAP_low,mAP_high,mINP,mINP_std,CMC_1,CMC_1_std,reranked_mAP,mAP_minus_clip_reid,"
HEADER += "mAP_minus_clip_reid_low,mAP_minus_clip_reid_high,mAP_minus_clip_reid_seeds,p,p_holm"
ROWS = """pretrained,,3,4.87,0.51,3.52,6.21,4.87,0.5,0.89,0.19,4.74,-14.81,-21.36,-8.25,3,,
clip_reid,thesis,3,21.04,1.26,17.84,24.25,21.0,1.3,11.11,1.1,17.1,,,,,,
visual_only,thesis,3,22.54,1.18,19.3,25.7,22.5,1.2,11.1,1.2,16.9,1.5,0.52,2.47,3,0.0213,0.0426
attribute_prompts,thesis,3,19.0,1.0,17.0,21.0,19.0,1.0,9.0,1.0,15.0,-2.04,-3.0,-1.0,3,0.0001,0.0002
keypoints_raw,thesis,0,,,,,,,,,,,,,,,
""".splitlines()
REMARKS = ["", "", "50% of {a_b} & c#1 ~ ^ \\ $", "", "not applicable: no keypoints"]
CSV = "\n".join([f"{HEADER},remark", *(f'{row},"{said}"' for row, said in zip(ROWS, REMARKS, strict=True))]) + "\n"
THESIS = ["", "89.8", "88.1", "", "87.5"]
WITH_THESIS = [f"{HEADER},thesis_mAP,remark", *(f"{row},{one}," for row, one in zip(ROWS, THESIS, strict=True))]


@pytest.fixture
def root(tmp_path) -> Path:
    for name, text in {"people": CSV, "market_1501": "\n".join(WITH_THESIS)}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.csv").write_text(text)
    return tmp_path


def read(root: Path, dataset: str = "people", thesis: bool = False):
    return read_paper_table(dataset, 0.95, thesis, root)


def test_text_has_every_figure_a_paper_names(root):
    lines = format_tables([read(root)], "text").splitlines()
    assert re.split(r"\s{2,}", lines[2]) == [
        "row", "form", "seeds", "mAP", "95 % interval of mAP", "CMC@1", "mINP", "re-ranked mAP",
        "mAP - clip_reid", "95 % interval of it", "p (Holm)",
    ]  # fmt: skip
    assert re.split(r"\s{2,}", lines[6]) == [
        "visual_only", "thesis", "3", "22.5 ± 1.2", "[19.3, 25.7]", "11.1 ± 1.2", "22.5", "16.9",
        "+1.5", "[+0.5, +2.5]", "0.043",
    ]  # fmt: skip
    assert lines[7].endswith("< 0.001") and set(lines[8].split()[2:]) == {"-"}
    assert "keypoints_raw: not applicable: no keypoints" in lines


def test_what_models_of_other_data_sets_predicted_is_a_column_of_words(root):
    path = root / "people/table.csv"
    said = ["", "", "", "attributes by market_1501", ""]
    pd.read_csv(path).assign(predicted=said).to_csv(path, index=False)
    table = read(root)
    assert list(table.cells.columns[:4]) == ["row", "form", "predicted", "seeds"] and table.texts == 3
    assert table.cells["predicted"].tolist() == ["-", "-", "-", "attributes by market_1501", "-"]
    assert r"attribute\_prompts & thesis & attributes by market\_1501 & 3" in format_tables([table], "latex")


@pytest.mark.parametrize(("form", "bold"), [("markdown", r"\*\*(.+?)\*\*"), ("latex", r"\\textbf\{(.+?)\} [&\\]")])
def test_the_best_of_a_column_is_bold_and_equal_ones_all_are(root, form, bold):
    text = format_tables([read(root)], form)
    plus = "±" if form == "markdown" else r"$\pm$"
    assert re.findall(bold, text) == [f"11.1 {plus} 1.1", "17.1", f"22.5 {plus} 1.2", f"11.1 {plus} 1.2", "22.5"]


def test_latex_has_none_of_its_own_characters_unescaped_and_as_many_cells_in_every_row(root):
    text = format_tables([read(root), read(root, "market_1501")], "latex")
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert any("50% of {a_b}" in line for line in text.splitlines() if line.startswith("%"))
    assert not any(
        re.search(r"(?<!\\)[_%#~^]|±|−", line) for line in lines if "label" not in line and "caption" not in line
    )
    assert r"visual\_only & thesis & 3 & " in text and r"95 \% interval" in text and "$+1.5$ & [$+0.5$, $+2.5$]" in text
    rows = [line for line in lines if line.endswith(r" \\")]
    counts = [len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows]
    sides = [len(found) for found in re.findall(r"begin\{tabular\}\{(\w+)\}", text)]
    assert counts == [sides[0]] * 6 + [sides[1]] * 6


def test_latex_text_is_printed_as_it_stands():
    assert latex_text("a_b & 50 % #1 {x} ~ ^ \\ < > ± $") == (
        r"a\_b \& 50 \% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} $<$ $>$ $\pm$ \$"
    )
    assert latex_text("[-1.5, +2.0] x-1.5 e-3") == "[$-1.5$, $+2.0$] x-1.5 e-3"


def test_csv_has_the_figures_as_they_are_of_all_data_sets(root):
    found = pd.read_csv(io.StringIO(format_tables([read(root), read(root, "market_1501")], "csv")))
    assert list(found["data_set"]) == ["people"] * 5 + ["market_1501"] * 5 and found.columns[1] == "row"
    pd.testing.assert_frame_equal(
        found[found["data_set"] == "people"].drop(columns="data_set"), pd.read_csv(io.StringIO(CSV))
    )


def test_the_thesis_figures_stand_there_if_asked_for(root):
    assert "thesis's mAP" in read(root, "market_1501", thesis=True).cells
    assert "thesis's mAP" not in read(root, "market_1501").cells and "thesis_mAP" not in read(root, "market_1501").frame
    with pytest.raises(DataError, match=r"people/table\.csv: no figures of the thesis, which are those of Market-1501"):
        read(root, thesis=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        (b"", "not a table"),
        (b"\xff\xfe", "not a table"),
        (b"a,b\n1,2\n", "no column row"),
    ],
)
def test_a_table_that_is_not_there_or_broken_is_named_with_the_remedy(tmp_path, content, told):
    if content is not None:
        (tmp_path / "people").mkdir()
        (tmp_path / "people/table.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"people/table\.csv: .*{told}.*dvc repro compare@people"):
        read(tmp_path)


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    copy_project(tmp_path, ("dvc.yaml", "params.yaml", "pipeline/graph.yaml", "pipeline/dvc.yaml"))
    (tmp_path / "results/compare/sample_people").mkdir(parents=True)
    (tmp_path / "results/compare/sample_people/table.csv").write_text(CSV)
    (tmp_path / "text").mkdir()
    monkeypatch.chdir(tmp_path / "text")
    return tmp_path


def test_the_controls_alone_as_figures_or_for_a_paper(study):
    folder = study / "results/compare/sample_people"
    (folder / "controls.md").write_text(
        "# x\n\n| row | control | mAP |\n|:--|:--|--:|\n| a | b | 30.2 |\n\n- Points.\n"
    )
    (folder / "controls.csv").write_text("row,control,mAP\na,b,30.21\n")
    found = {
        name: CliRunner().invoke(app, ["table", "--controls", "--format", name]).output for name in ("csv", "latex")
    }
    assert found["csv"] == "data_set,row,control,mAP\nsample_people,a,b,30.21\n"
    assert r"a & b & 30.2 \\" in found["latex"] and r"\caption{sample\_people. Points.}" in found["latex"]
    (folder / "controls.md").write_text("")
    failed = CliRunner().invoke(app, ["table", "--controls"])
    assert "compare.controls of params.yaml names no controls" in str(failed.exception)


@pytest.mark.parametrize(
    ("name", "begins"),
    [("t.tex", "% visual_only"), ("t.MD", "# sample_people\n"), ("t.csv", "data_set,row"), ("t.txt", "sample_")],
)
def test_the_ending_of_the_file_tells_the_format_and_it_lies_where_the_user_is(study, name, begins):
    done = CliRunner().invoke(app, ["table", "-o", name])
    assert done.exit_code == 0 and (study / "text" / name).read_text().startswith(begins)


def test_a_format_is_printed_and_an_ending_that_names_none_is_an_error(study):
    assert CliRunner().invoke(app, ["table", "--format", "markdown"]).stdout.startswith("# sample_people\n")
    failed = CliRunner().invoke(app, ["table", "-o", "t.doc"])
    assert isinstance(failed.exception, ConfigError) and "t.doc: its ending names no format; allowed: .tex" in str(
        failed.exception
    )
    assert not (study / "text/t.doc").exists()
