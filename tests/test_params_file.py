"""params.yaml as a file: what is wrong in it is named with its line and column, and it is read as DVC reads it."""

import os
import re
from pathlib import Path

import pytest
from clones import copy_project, executed
from dataset_folders import prid_multi
from dvc.utils.serialize import parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from params import ROOT, those_alone

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.yaml_document import read_document
from auxreid.plumbing.graph.table import write_graph
from auxreid.plumbing.settings.load import load_config

PARAMS = (ROOT / "params.yaml").read_bytes()


def line_of(text: bytes) -> int:
    """The line, from 1, of its first place in params.yaml."""
    return PARAMS[: PARAMS.index(text)].count(b"\n") + 1


EVALUATE = b"    evaluate: {pictures: 8, reranking: {k1: 20, k2: 6, weight: 0.3}}\n"


def anchored() -> bytes:
    """The file as its users may write it: a block that other recipes share by an alias, and one that they merge."""
    first, second, rest = PARAMS.split(EVALUATE, 2)
    shared = EVALUATE.replace(b": {p", b": &shared {p", 1)
    rest = rest.replace(EVALUATE, b"    evaluate: {<<: *shared, pictures: 8}\n", 1)
    return first + shared + second + b"    evaluate: *shared\n" + rest


ANCHORED = anchored()
PEOPLE = "recipes.sample_people"
BLOCK = "Input should be a block of keys and values"
COUNT = "Input should be a valid integer"

# What is changed into what, the text at the place that is told, and what is told of it.
FAULTS = {
    "a key twice": (
        b"  rows:\n",
        b"  seeds: [1]\n  rows:\n",
        "seeds: [1]",
        f"the key 'seeds' .* first line {line_of(b'  seeds:')}, column 3",
    ),
    "and in braces": (
        b"random, tokens: 4",
        b"random, tokens: 4, tokens: 5",
        "tokens: 5",
        "the key 'tokens' stands there",
    ),
    "a tab": (b"    word: person", b"\tword: person", "\tword", "a tab; YAML is indented by blanks alone"),
    "true for a count": (b"epochs: 9\n", b"epochs: true\n", "true", rf"{PEOPLE}\.pretrain\.epochs = true: {COUNT}"),
    "true for a rate": (b"lr: 1.0e-3\n", b"lr: true\n", "true", r".*\.lr = true: Input should be a valid number"),
    "true in a list": (b"seeds:\n  - 0", b"seeds:\n  - true", "true", rf"study\.seeds\.0 = true: {COUNT}"),
    "a text for a count": (b"epochs: 9\n", b"epochs: '9'\n", "'9'", rf"{PEOPLE}\.pretrain\.epochs = '9': {COUNT}"),
    "a broken count": (b"epochs: 9\n", b"epochs: 9.5\n", "9.5", rf"{PEOPLE}\.pretrain\.epochs = 9\.5: {COUNT}"),
    "infinity": (b"erasing: 0.0 ", b"erasing: .inf ", ".inf", rf"{PEOPLE}\.finetune\.erasing = inf: Input should be"),
    "a number for a list": (
        b"seeds:\n  - 0\n  - 1\n  - 2\n",
        b"seeds: 0\n",
        "0",
        r"study\.seeds = 0: Input should be a list: \[",
    ),
    "a list for a number": (b"epochs: 9\n", b"epochs: [9]\n", "[9]", rf"{PEOPLE}\.pretrain\.epochs = \[9\]: {COUNT}"),
    "a word for a block": (EVALUATE, b"    evaluate: yes\n", "yes", rf"recipes\.lite0\.evaluate = 'yes': {BLOCK}"),
    "by an anchor": (
        b"k1: 20",
        b"k1: -5",
        "-5",
        r".*reranking\.k1 = -5: .*; and so recipes\.rn50\.[^,]*, recipes\.vit",
    ),
    "over a merge": (b"*shared, pictures: 8", b"*shared, pictures: no", "no}", rf".*vit.*\.pictures = 'no': {COUNT}"),
    "an unknown key": (
        b"bias_lr_factor: 2.0",
        b"bias_lr_factor: 2.0\n      bias: 3.0",
        "3.0",
        r".*\.bias = 3\.0: Extra",
    ),
    "a missing key": (b"    layout: prid2011\n", b"", "sample_people:\n", r".*sample_people\.layout: Field required"),
    "no such name": (
        b"recipe: rn50",
        b"recipe: rn51",
        "rn51",
        r"datasets\.market1501\.recipe = 'rn51': not in recipes",
    ),
    "a replacement": (
        b"margin:\n",
        b"margin: -1\n",
        "finetune",
        r".*visual_only\.finetune \(on recipe sample_people\): margin = -1",
    ),
    "no such alias": (b"*shared", b"*shares", "*shares", "not YAML"),
    "no end of a list": (b"std: [0.5, 0.5, 0.5]}", b"std: [0.5, 0.5, 0.5}", "}", "not YAML"),
    "a number for a key": (b"  dogs:\n    layout", b"  1:\n    layout", "1:", "a key that is no text: 1; write '1'"),
    "a conflict": (b"\ndatasets:\n", b"\n<<<<<<< HEAD\n", "<<<<<<<", "a merge conflict; resolve it, or take one side"),
    "a block in itself": (
        b"reranking: {k1",
        b"reranking: &x {a: *x, k1",
        "&x",
        "a block that holds itself by an alias",
    ),
}


def told_of(content: bytes) -> str:
    """The error of params.yaml with this content."""
    Path("params.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config()
    return str(caught.value)


@pytest.mark.parametrize(("old", "new", "at", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_line_with_its_place(tmp_path, monkeypatch, old, new, at, told):
    assert old in ANCHORED
    monkeypatch.chdir(tmp_path)
    content = ANCHORED.replace(old, new, 1)
    found = re.match(r"params\.yaml, line (\d+), column (\d+): ", said := told_of(content))
    assert found and re.match(told, said[found.end() :]), said
    assert "\n" not in said or old == b"bias_lr_factor: 2.0" or "on recipe" in said
    line = content.decode().splitlines(keepends=True)[int(found[1]) - 1]
    assert line[int(found[2]) - 1 :].startswith(at), said


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            b"word: person",
            b"word: p\xe9rson",
            "params.yaml, line {line}, column 12: the byte 0xe9 is no UTF-8; save the file in",
        ),
        (b"# What runs", b"\xff\xfe#\0", "params.yaml, line 1, column 1: the byte 0xff is no UTF-8"),
        (b"# What runs", b"\0", "params.yaml: not YAML (unacceptable character"),
    ],
)
def test_bytes_that_are_no_text_are_one_line(tmp_path, monkeypatch, old, new, told):
    monkeypatch.chdir(tmp_path)
    said = told_of(PARAMS.replace(old, new, 1))
    line = PARAMS[: PARAMS.index(old)].count(b"\n") + 1
    assert said.startswith(told.format(line=line)) and "\n" not in said


def test_every_fault_of_the_file_is_told_and_one_of_an_anchor_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = told_of(ANCHORED.replace(b"k2: 6", b"k2: -1", 1).replace(b"seeds:\n  - 0", b"seeds:\n  - true"))
    paths = [line.split(": ")[1].split(" = ")[0] for line in said.splitlines()]
    assert paths == ["study.seeds.0", f"{PEOPLE}.evaluate.reranking.k2"]


def test_a_mark_of_byte_order_does_no_harm(tmp_path):
    (tmp_path / "params.yaml").write_bytes(b"\xef\xbb\xbf" + PARAMS)
    assert load_config(tmp_path / "params.yaml") == load_config(ROOT / "params.yaml")


SCALARS = (
    "1e-3 1.e3 .5 -1 +5 012 0o17 0x1F 1_000 yes no on true False ~ null 1:30 1.0e-3 1.5 .inf '1' -.inf 1e e1 0. - _1"
)
SCALARS += ' 1.2.3 "x" a'


@settings(max_examples=300)
@given(st.sampled_from(SCALARS.split()) | st.from_regex(r"[-+]?[0-9_.eExo]{1,6}", fullmatch=True))
def test_values_are_what_dvc_takes_them_for(scalar):
    """Else a stage would run on others than those whose change makes it run."""
    try:
        expected = parse_yaml(f"a: {scalar}\n", "x", typ="safe")
    except Exception:
        return
    path = Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp", f"auxreid-{os.getpid()}.yaml")
    path.write_text(f"a: {scalar}\n")
    try:
        found = read_document(path, ConfigError).value
    finally:
        path.unlink()
    assert (found, type(found["a"])) == (expected, type(expected["a"]))


ODD_FOLDER = "raw/50% of what? #1 [x] 'Собаки' ${y}"


def test_a_raw_folder_may_have_any_name(tmp_path, stage_python):
    clone = copy_project(tmp_path)
    clone.take_python(stage_python)
    prid_multi(tmp_path / ODD_FOLDER)

    def only_own(params: dict) -> None:
        params["study"]["datasets"] = ["own"]
        params["datasets"]["own"] = {"layout": "prid2011", "protocol": "prid2011_multi_shot", "word": "person"}
        params["datasets"]["own"]["folder"] = ODD_FOLDER
        those_alone(params, ["visual_only_corrected"])

    clone.edit(only_own)
    write_graph(load_config(tmp_path / "params.yaml"), tmp_path / "pipeline/graph.yaml")
    assert executed(clone.dvc("repro", "ingest@own")) == ["sources", "ingest@own"]
    assert executed(clone.dvc("repro", "ingest@own")) == []
    (tmp_path / ODD_FOLDER / "multi_shot/cam_a/notes.txt").write_text("x")
    assert executed(clone.dvc("repro", "ingest@own")) == ["ingest@own"]
