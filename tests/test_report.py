"""The study as one page, as a browser without a network shows it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from clones import copy_project
from playwright.sync_api import Browser, sync_playwright
from test_paper_table import CSV
from typer.testing import CliRunner

from auxreid.cli import app
from auxreid.plumbing.base.errors import DataError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
UNSAFE = "<script>document.title = 'broken'</script> & \"'"
CONTROLS = """# sample_people, rows beside their controls

| row       | control   | verdict        |   mAP | 95 % interval |
|:----------|:----------|:---------------|------:|--------------:|
| clip_reid | untrained | not told apart |  30.2 |  [-1.0, +2.0] |

- Holm's correction is over every pair that is tested, 1 in all.
"""
PICTURES = {
    "compare/sample_people": ("differences.png", "cmc.png", "where_gained/visual_only.png"),
    "evaluate/sample_people-clip_reid-0": ("cmc.png", "ranked_lists/best.jpg", "ranked_lists/worst.jpg"),
    "finetune/sample_people-clip_reid-0": (),
    "pretrain/sample_people-0": (),
    "attributes/sample_dogs": ("confusion.png", "table.png"),
}


def write_result(root: Path, place: str, figures: tuple[str, ...]) -> None:
    stage, _, key = place.partition("/")
    record = {"stage": stage, "key": key, "dataset": key.split("-")[0], "attempt": "a", "status": "finished"}
    record |= {
        "started": 1_700_000_000_000,
        "finished": 1_700_000_060_000,
        "params": {f"{stage}.note": UNSAFE, "lr": 0.5},
    }
    record |= {"host": {"name": UNSAFE, "cpus": 2}, "versions": {"torch": "2.14.1"}, "git": {"commit": "abc123"}}
    folder = root / "results" / place / "record"
    for part in ("ranked_lists", "where_gained"):
        (folder / "figures" / part).mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record))
    for name in figures:
        cv2.imwrite(str(folder / "figures" / name), np.zeros((4, 6, 3), np.uint8))


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    copy_project(tmp_path, ("dvc.yaml", "params.yaml", "pipeline/graph.yaml", "pipeline/dvc.yaml"))
    for place, figures in PICTURES.items():
        write_result(tmp_path, place, figures)
    (tmp_path / "results/compare/sample_people/controls.md").write_text(CONTROLS)
    (tmp_path / "results/compare/sample_people/controls.csv").write_text("row,control,mAP\nclip_reid,untrained,30.2\n")
    text = CSV.replace("not applicable: no keypoints", UNSAFE.replace('"', '""'))
    (tmp_path / "results/compare/sample_people/table.csv").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


def written() -> Path:
    done = CliRunner().invoke(app, ["report", "-o", "study.html"])
    assert done.exit_code == 0, done.output
    return Path("study.html").absolute()


def test_the_page_names_no_other_file_and_no_host(study):
    text = written().read_text(encoding="utf-8")
    assert re.findall(r"https?://|url\(|@import|<link|<iframe|<script [^>]*src", text) == []
    assert {source[:5] for source in re.findall(r'(?:src|href)="([^"]*)', text)} == {"data:"}
    assert "<h3>What rows cost</h3>" in text and "needs at test" in text
    assert text.count("<img") == 7 and text.count("<script>") == 1 and "&lt;script&gt;" in text


def test_a_browser_shows_all_of_it_offline_and_sorts_the_table(study, browser):
    page = browser.new_context(offline=True).new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written().as_uri())
    assert page.title() == "auxreid: the study"
    assert all(page.evaluate("[...document.images].map(one => one.complete && one.naturalWidth)"))

    def column(number: int) -> list[str]:
        return page.locator(f"table >> nth=0 >> tbody tr td:nth-child({number})").all_inner_texts()

    def click(heading: str) -> None:
        page.locator("table >> nth=0 >> th button", has_text=re.compile(f"^{heading}$")).click()

    click("mAP")
    assert column(1) == ["visual_only", "clip_reid", "attribute_prompts", "pretrained", "keypoints_raw"]
    click("mAP")
    assert column(1) == ["pretrained", "attribute_prompts", "clip_reid", "visual_only", "keypoints_raw"]
    click("mAP - clip_reid")
    assert column(1)[:3] == ["visual_only", "attribute_prompts", "pretrained"]
    click("row")
    click("row")
    assert column(1) == sorted(column(1))
    assert said == [] and {url[:5] for url in asked} <= {"file:", "data:"}


def test_the_page_tells_parameters_versions_and_machines(study, browser):
    page = browser.new_page()
    page.goto(written().as_uri())
    assert page.locator("summary").all_inner_texts()[:3] == [
        "clip_reid, seed 0: best queries",
        "clip_reid, seed 0: worst queries",
        "untrained",
    ]
    text = page.evaluate("document.body.textContent")
    for told in (
        f"finetune.note{UNSAFE}",
        f"name {UNSAFE}",
        "torch 2.14.1 (5 results)",
        "commit abc123",
        f": {UNSAFE}",
    ):
        assert told in text, told


def test_the_page_has_the_controls_and_their_notes(study):
    text = written().read_text(encoding="utf-8")
    assert "<h3>Rows beside their controls</h3>" in text
    assert '<td class="" data-value="not told apart">not told apart</td>' in text
    assert '<td class="number" data-value="30.2">30.2</td>' in text and "Holm&#x27;s correction is over every" in text
    Path("results/compare/sample_people/controls.md").write_text("")
    assert "Rows beside their controls" not in written().read_text(encoding="utf-8")
    Path("results/compare/sample_people/controls.md").unlink()
    failed = CliRunner().invoke(app, ["report"])
    assert "controls.md: No such file" in str(failed.exception) and "repro compare@sample" in str(failed.exception)


def test_without_results_there_is_one_line(study):
    shutil.rmtree("results")
    failed = CliRunner().invoke(app, ["report"])
    assert isinstance(failed.exception, DataError) and "make them with: dvc repro" in str(failed.exception)
    assert not Path("report.html").exists()
