"""`train_identities`: training on some of the identities, and on a part of which another part's model tells."""

from pathlib import Path

import pytest
from dataset_folders import coco, config, dogs, market, picture_bytes, prid_multi, put
from params import raw_params

from auxreid.data.fewer_identities import chosen_identities
from auxreid.data.frames import open_frames
from auxreid.data.ingest import ingest, summary_lines
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.borrowed import prediction_lines
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.settings.datasets import TrainIdentities
from auxreid.plumbing.settings.load import parse_config

MORE = range(11, 17)  # people of whom the training has two images each, beside 2 and 7
EVERYONE = [2, 7, *MORE]


@pytest.fixture
def folder(tmp_path) -> Path:
    root = market(tmp_path / "market")
    for person in MORE:
        for camera in (1, 2):
            name = f"bounding_box_train/{person:04d}_c{camera}s1_000151_01.jpg"
            put(root / name, picture_bytes(100 * camera + person))
    return root


@pytest.fixture
def pack(folder, tmp_path):
    """Ingest with some of the identities: the frames, and the report."""

    def run(asked: dict | None, name: str = "out", layout: str = "market1501", **changes):
        fewer = None if asked is None else TrainIdentities(**asked)
        given = config(changes.pop("root", folder), layout, train_identities=fewer, **changes)
        report = ingest(given, tmp_path / name)
        return open_frames(tmp_path / name / "frames.arrow"), report

    return run


def people(frames) -> list[int]:
    return sorted(set(frames.where("train").identity.tolist()))


def test_so_many_are_chosen_at_equal_steps_and_fewer_are_among_more():
    everyone = range(10, 211)
    chosen = {count: chosen_identities(everyone, TrainIdentities(count=count)) for count in (50, 100, 200)}
    assert [len(some) for some in chosen.values()] == [50, 100, 200]
    assert set(chosen[50]) < set(chosen[100]) < set(chosen[200])
    assert chosen_identities({5, 3, 1, 4, 2}, TrainIdentities(count=2)) == [1, 3]


def test_parts_share_nobody_and_are_everybody():
    parts = [chosen_identities(range(7), TrainIdentities(parts=3, part=part)) for part in range(3)]
    assert parts == [[0, 3, 6], [1, 4], [2, 5]]
    assert chosen_identities(range(7), TrainIdentities(parts=3, part=0, count=2)) == [0, 3]


def test_the_others_training_images_are_left_out_and_nothing_else(pack, tmp_path):
    all_frames, _ = pack(None, "all")
    frames, report = pack({"count": 4})
    assert people(frames) == [2, 11, 13, 15]
    told = "train_identities: 4 of 8 training identities are kept; left out are 12 training images of others"
    assert report["warnings"] == [told] and f"  note: {told}" in summary_lines(report)
    assert report["splits"]["train"]["identities"] == 4 and report["left_out"] == []
    kept = [path for path, who in zip(all_frames.path, all_frames.identity, strict=True) if who not in (7, 12, 14, 16)]
    assert frames.path.tolist() == kept
    for split in ("query", "gallery"):
        assert frames.where(split).path.tolist() == all_frames.where(split).path.tolist()


def test_all_of_them_are_the_same_file_as_without_the_key(pack, tmp_path):
    pack(None, "all")
    pack({"count": 8}, "eight")
    assert (tmp_path / "all/frames.arrow").read_bytes() == (tmp_path / "eight/frames.arrow").read_bytes()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"count": 9}, r"market: train_identities asks for 9: split train has 8 identities$"),
        (
            {"parts": 9, "part": 8},
            r"train_identities asks for some: .* 8 identities, and 0 of them are in",
        ),
        ({"count": 5, "parts": 2, "part": 1}, r"asks for 5: .* 8 identities, and 4 of them are in part 1 of 2"),
    ],
)
def test_more_than_there_are_is_refused(pack, tmp_path, asked, message):
    with pytest.raises(DataError, match=f"(?m){message}"):
        pack(asked)
    assert "too few training identities" in (tmp_path / "out/report.json").read_text()


def test_keypoints_of_images_that_are_left_out_are_no_fault(folder, pack):
    names = [f"{person:04d}_c1s1_000151_01.jpg" for person in EVERYONE]
    coco(folder / "k.json", names)
    given = parse_config(raw_params()).datasets["sample_people"].keypoints
    given = given.model_copy(update={"file": "k.json", "images": "bounding_box_train"})
    frames, report = pack({"parts": 2, "part": 0}, keypoints=given)
    assert report["keypoints"]["annotated_images"] == 4 and len(report["warnings"]) == 1
    assert frames.keypoints()[1].sum() == 4


def test_each_of_repeated_splits_has_fewer_and_the_test_is_the_same(tmp_path, pack):
    root = prid_multi(tmp_path / "prid")
    given = {"layout": "prid2011", "root": root, "protocol": "prid2011_multi_shot"}
    before, _ = pack(None, "all", **given)
    frames, report = pack({"count": 1}, "fewer", **given)
    for split, whole in zip(frames.meta.splits, before.meta.splits, strict=True):
        assert split == {"train": whole["train"][:1], "test": whole["test"]} and len(whole["train"]) == 2
    assert "1 of 2 training identities are kept" in report["warnings"][0]
    assert people(frames) == frames.meta.splits[0]["train"]


def test_of_one_split_the_others_are_in_no_split_at_all(tmp_path, pack):
    """An HRNet is fitted on the images of people in no split as well."""
    given = {"layout": "prid2011", "root": prid_multi(tmp_path / "prid"), "protocol": "prid2011_multi_shot"}
    before, _ = pack(None, "all", n_splits=None, **given)
    frames, _ = pack({"parts": 2, "part": 1}, "fewer", n_splits=None, **given)
    gone = set(before.identity.tolist()) - set(frames.identity.tolist())
    assert gone == set(before.meta.splits[0]["train"][::2])


def test_images_of_no_known_dog_stay(tmp_path, pack):
    frames, report = pack({"count": 1}, layout="dogs", root=dogs(tmp_path / "dogs"))
    assert sorted(set(frames.where("train").identity_name)) == ["", "a"]
    assert "1 of 2 training identities are kept; left out are 6 training images" in "".join(report["warnings"])


# params.yaml


def asking(value) -> dict:
    raw = raw_params()
    raw["datasets"]["market1501"]["train_identities"] = value
    return raw


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (50, {"count": 50, "parts": None, "part": None}),
        ({"parts": 2, "part": 1}, {"count": None, "parts": 2, "part": 1}),
        ({"parts": 2, "part": 1, "count": 3}, {"count": 3, "parts": 2, "part": 1}),
    ],
)
def test_a_number_or_a_part(value, wanted):
    assert parse_config(asking(value)).datasets["market1501"].train_identities.model_dump() == wanted
    assert parse_config(asking(None)).datasets["market1501"].train_identities is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0, "greater than 0"),
        (True, "valid integer"),
        ("many", "valid integer"),
        ({"parts": 2}, "parts and part go together"),
        ({"parts": 2, "part": 2}, r"part is 2, allowed are 0..1"),
        ({"number": 3}, "Extra inputs"),
        ({}, "neither count nor parts is given"),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(value, why):
    message = rf"datasets.market1501.train_identities = .*{why}.*; allowed are a number, or \{{parts: P, part: K"
    with pytest.raises(ConfigError, match=message):
        parse_config(asking(value))


def test_parts_of_repeated_splits_are_refused():
    raw = raw_params()
    raw["datasets"]["sample_people"]["train_identities"] = {"parts": 2, "part": 0}
    with pytest.raises(ConfigError, match=r"datasets.sample_people.*would be tested in others of 10 n_splits"):
        parse_config(raw)


def test_one_part_is_told_of_by_the_models_of_the_other(folder, pack):
    """The cost of prediction: the same people with their own table, and with what a stranger's model says."""
    raw = raw_params()
    raw["recipes"]["lite0"]["attributes"] = raw["recipes"]["dogs"]["attributes"]
    half = raw["datasets"]["market1501"] | {"recipe": "lite0", "keypoints": {"file": "k.json"}}
    lender = half | {"train_identities": {"parts": 2, "part": 0}}
    true = half | {"train_identities": {"parts": 2, "part": 1}}
    predicted = {what: {"predicted_by": "lender"} for what in ("attributes", "keypoints")}
    raw["datasets"] |= {"lender": lender, "true": true, "predicted": true | predicted}
    rows = ["clip_reid", "attribute_prompts_corrected", "keypoints_raw_corrected"]
    raw["study"] |= {"datasets": ["true", "predicted"], "rows": rows}
    parsed = parse_config(raw)
    graph = build_graph(parsed)
    assert list(graph["ingest"]) == ["true", "predicted", "lender"]
    assert graph["labels"]["predicted"]["model_of"] == graph["keypoints"]["predicted"]["hrnet_of"] == "lender"
    assert list(graph["pose"]) == ["true", "lender"] and list(graph["attributes"]) == ["true", "lender"]
    assert {key.partition("-")[0] for key in graph["finetune"]} == {"true", "predicted"}
    assert any("predicted: keypoints predicted by lender: keypoints_raw" in line for line in prediction_lines(parsed))
    assert not any("have seen its people" in line for line in prediction_lines(parsed))
    raw["datasets"]["predicted"]["train_identities"] = {"parts": 2, "part": 0}
    told = "predicted: lender's models have seen its people, since both read raw/market1501; different parts of"
    assert [line.startswith(told) for line in prediction_lines(parse_config(raw))].count(True) == 1
    trained = {name: people(pack({"parts": 2, "part": part}, name)[0]) for name, part in (("a", 0), ("b", 1))}
    assert trained == {"a": EVERYONE[::2], "b": EVERYONE[1::2]}
