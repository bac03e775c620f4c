"""`auxreid ui`: the command as a process, what a browser shows of it, and how it ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from params import ROOT
from test_row_runs import study
from waiting import wait_until

from auxreid.plumbing.mirror.publish import publish

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def command(root, port):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    line = [sys.executable, "-m", "auxreid.cli", "ui", "--port", str(port)]
    return {"args": line, "cwd": root, "env": environment, "text": True}


@contextmanager
def running_ui(root):
    """The command, its address and the lines that it has printed when it answers."""
    port = free_port()
    with (root / "ui.log").open("w+") as log, subprocess.Popen(**command(root, port), stdout=log) as process:
        try:
            wait_until(lambda: process.poll() is not None or answers(port), pause=0.2)
            log.seek(0)
            yield process, f"http://127.0.0.1:{port}", log.read().splitlines()
        finally:
            process.kill()


def answers(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health").status == 200
    except OSError:
        return False


def is_served(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_it_ends_with_all_that_it_started_when_it_is_told_to(work):
    work.row()
    publish(work.root)
    with running_ui(work.root) as (process, address, _):
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
        assert children.stdout.split() == []
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert not is_served(int(address.rpartition(":")[2]))


def test_a_port_that_cannot_be_had_is_one_line(work):
    work.row()
    publish(work.root)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        taken = one.getsockname()[1]
        for port, reason in ((taken, "Address already in use on 127.0.0.1"), (70_000, "allowed are 1 to 65535")):
            ended = subprocess.run(**command(work.root, port), capture_output=True)
            assert (ended.returncode, ended.stdout) == (1, "")
            (line,) = ended.stderr.splitlines()
            assert line.startswith(f"error: --port {port}: {reason}")


@pytest.fixture
def page():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=flags) as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(120_000)
        yield page


def test_the_plain_address_of_an_experiment_shows_the_rows_best_first(work, page):
    study(work)
    publish(work.root)
    with running_ui(work.root) as (_, address, lines):
        page.goto(f"{address}/#/experiments/1")
        page.wait_for_selector('.ag-row [col-id="metrics.`mAP`"]')
        headings = page.eval_on_selector_all(
            ".ag-header-cell[col-id]",
            "cells => cells.map(one => [one.getBoundingClientRect().left, one.innerText.trim()])",
        )
        shown = [text for _, text in sorted(headings) if text]
        assert shown.index("form") < shown.index("mAP") < shown.index("mAP interval") < shown.index("mAP - clip_reid")
        assert "CMC_1" in shown
        table = page.eval_on_selector_all(
            ".ag-center-cols-container .ag-row",
            """(rows, shown) => rows.map(row => [row.getBoundingClientRect().top,
                ...shown.map(id => row.querySelector(`[col-id="${id}"]`).innerText)])""",
            ["tags.`form`", "metrics.`mAP`", "tags.`mAP interval`", "tags.`mAP - clip_reid`"],
        )
        assert [cells for _, *cells in sorted(table)] == [
            ["corrected", "0.7", "[0.650, 0.750]", "+0.100 [-0.010, +0.210]"],
            ["thesis", "0.6", "[0.575, 0.625]", "-"],
            ["-", "0.03", "-", "-"],
        ]
        assert page.get_by_text("Model registry").first.is_visible()  # the side of MLflow for trained models
        charts = next(line for line in lines if "viewStateShareKey=charts" in line)
        page.goto(re.search(r"http\S+", charts)[0])
        page.wait_for_selector(".js-plotly-plot")
        for heading in ("Curves of stage 1", "Curves of stage 2"):
            page.get_by_text(heading).wait_for()
