"""auxreid assemble: from folders to a data set; the bounds of its proposals; a run that is stopped goes on."""

import csv
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import timm
import torch
from dataset_folders import config, dogs
from dog_photos import (
    BY_COLOUR,
    COLOURS,
    contents,
    dog_of,
    dog_pixels,
    dogs_of,
    photo_of,
    put_dogs,
    put_photo,
    run,
)
from encoder_files import write_encoder
from hypothesis import given
from hypothesis import strategies as st
from params import ROOT
from safetensors.torch import save_file
from typer.testing import CliRunner

from auxreid.assembling.clusters import NEVER, clusters
from auxreid.assembling.decisions import Decision, Verdict, add_decisions, verdict
from auxreid.assembling.detector import detector_network
from auxreid.assembling.likeness import background, likeness
from auxreid.assembling.measure import Quality, candidates, quality, review
from auxreid.assembling.networks import Network, attribute_network, backbone_network
from auxreid.assembling.page import write_page
from auxreid.assembling.proposals import Proposal, propose
from auxreid.assembling.report import summary
from auxreid.assembling.sequences import sequences
from auxreid.assembling.splits import split_dogs
from auxreid.assembling.thresholds import Thresholds
from auxreid.cli import app
from auxreid.data.layouts.listed import assign_splits, list_sources
from auxreid.plumbing.base.errors import ConfigError, DataError

BOUNDS = Thresholds()


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "frames.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def video(path: Path, frames: list[np.ndarray], fps: float = 4.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = frames[0].shape[1::-1]
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, size)
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


# the data set


def test_photographs_become_a_data_set_that_the_layout_of_dogs_reads(tmp_path):
    who = put_dogs(tmp_path / "walks")
    before = contents(tmp_path / "walks")
    out = tmp_path / "mydogs"
    assembly = run(out, tmp_path / "walks")
    assert sorted(dogs_of(assembly, who)) == sorted([dog] * 5 for dog in COLOURS)
    assert contents(tmp_path / "walks") == before
    settings = config(out, "dogs")
    listing = list_sources(out, settings)
    assert (listing.faults, listing.left_out, listing.warnings) == ([], [], []) and len(listing.sources) == len(who)
    usable, _, warnings = assign_splits(listing.sources, listing, settings)
    assert {source.split for source in usable} == {"train", "val", "query", "gallery"} and warnings == []
    split_of = {(row["dog_id"], row["split"]) for row in rows(out)}
    assert len(split_of) == len(COLOURS)
    copies = {path.read_bytes() for path in (out / "photos").iterdir()}
    assert copies == set(before.values())


def test_a_second_run_changes_no_byte_and_no_time_and_computes_nothing(tmp_path):
    put_dogs(tmp_path / "walks")
    video(tmp_path / "walks/film.avi", [dog_pixels("red", view) for view in range(20, 28)])
    out = tmp_path / "mydogs"
    run(out, tmp_path / "walks")
    before = contents(out)
    times = {name: (out / name).stat().st_mtime_ns for name in before if not name.endswith(".lock")}

    def never(items):
        raise AssertionError("computed again")

    run(out, network=Network("colour", BY_COLOUR.key, never))  # the folders are remembered
    assert contents(out) == before
    assert {name: (out / name).stat().st_mtime_ns for name in times} == times


def test_the_order_of_folders_changes_nothing(tmp_path):
    put_dogs(tmp_path / "a", range(3))
    put_dogs(tmp_path / "b", range(3, 6))
    run(tmp_path / "one", tmp_path / "a", tmp_path / "b")
    run(tmp_path / "other", tmp_path / "b", tmp_path / "a", tmp_path / "a/../a")
    for name in ("frames.csv", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_what_cannot_be_used_is_named_and_copies_are_left_out_but_one(tmp_path):
    walks = tmp_path / "walks"
    put_dogs(walks)
    (walks / "broken.jpg").write_bytes(b"text")
    (walks / "empty.png").touch()
    (walks / "film.mp4").write_bytes(b"text")
    (walks / "phone.HEIC").touch()
    (walks / "._red-0.jpg").write_bytes(b"litter")
    (walks / "same.jpg").write_bytes((walks / "0-red.jpg").read_bytes())
    small = cv2.resize(dog_pixels("blue", 1), (40, 40), interpolation=cv2.INTER_AREA)
    put_photo(walks / "small.png", small)
    assembly = run(tmp_path / "out", walks)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["left_out"] == {
        f"{walks}/film.mp4": "does not open as a video",
        f"{walks}/broken.jpg": "does not decode: not in any image format that is known",
        f"{walks}/empty.png": "zero bytes",
    }
    assert report["copies"] == {
        f"{walks}/same.jpg": f"equal to {walks}/0-red.jpg",
        f"{walks}/small.png": f"a copy of {walks}/1-blue.jpg",
    }
    said = "\n".join(summary(assembly.found))
    assert "40 photographs in 40 sequences; left out: 2 copies, 3 that cannot be used, 0 rejected" in said
    assert "files of other endings are not read: 1 .heic; save photographs as JPEG or PNG" in said
    assert "40 photographs have no time (EXIF DateTimeOriginal)" in said and "no --detector is given" in said


def test_videos_give_frames_at_the_rate_and_the_pieces_of_one_video_are_its_sequences(tmp_path):
    walks = tmp_path / "walks"
    who = put_dogs(walks)
    frames = [dog_pixels("red", view) for view in range(20, 24) for _ in range(4)]  # a view a second
    video(walks / "red.avi", frames)
    video(walks / "twin.avi", frames)
    assembly = run(tmp_path / "out", walks)
    of_video = {photo: item for photo, item in assembly.found.items.items() if item.is_frame}
    assert [item.name for item in of_video.values()] == [f"{walks}/red.avi at {second:.1f} s" for second in range(4)]
    assert len({assembly.found.sequences[photo] for photo in of_video}) == 1
    assert {dog_of(assembly, name) for name, dog in who.items() if dog == "red"} == {
        dog for dog, one in assembly.found.dogs.items() if of_video.keys() <= set(one.photos)
    }
    assert [one.reason for one in assembly.found.copies] == [f"equal to {walks}/red.avi"]
    more = run(tmp_path / "faster", walks, rate=2.0)
    assert sum(item.is_frame for item in more.found.items.values()) + len(more.found.copies) == 8 + 1


def test_attributes_are_those_that_are_most_probable_over_a_dogs_photographs(tmp_path):
    who = put_dogs(tmp_path / "walks")
    words = {"size": ("small", "medium", "large"), "ears": ("erect", "semi_erect", "drop")}

    def values(items):
        large = [[0.2, 0.1, 0.7], [0.6, 0.4, 0.0]]
        small = [[0.4, 0.3, 0.3], [0.0, 0.0, 1.0]]
        return np.array([np.concatenate(large if "red" in item.name else small) for item in items])

    run(tmp_path / "out", tmp_path / "walks", attributes=Network("words", "1" * 64, values, words))
    found = {row["dog_id"]: (row["size"], row["ears"]) for row in rows(tmp_path / "out")}
    assert sorted(found.values()) == [("large", "erect")] + [("small", "drop")] * 7
    assert list_sources(tmp_path / "out", config(tmp_path / "out", "dogs")).faults == [] and len(who) == 40


def test_few_photographs_and_a_single_one_are_a_set_too(tmp_path):
    put_photo(tmp_path / "one/a.jpg", dog_pixels("red", 1))
    assembly = run(tmp_path / "out", tmp_path / "one")
    assert [one.is_single for one in assembly.found.dogs.values()] == [True]
    assert [row["dog_id"] for row in rows(tmp_path / "out")] == [""]
    write_page(assembly, tmp_path / "out")
    put_photo(tmp_path / "one/b.jpg", dog_pixels("blue", 1))
    assert len(run(tmp_path / "out").found.items) == 2


# errors


@pytest.mark.parametrize(
    ("places", "out", "error", "said"),
    [
        (["nowhere"], "out", DataError, "nowhere: no such file or folder"),
        (["empty"], "out", DataError, "empty: no photographs and no videos (endings read: .avi, .bmp, .jpeg"),
        ([], "out", ConfigError, "--out out: nothing is assembled there yet; name the folders to be read"),
        (["walks"], "walks/out", ConfigError, "--out walks/out: overlaps walks, which is read"),
        (["walks"], ".", ConfigError, "--out .: overlaps walks, which is read"),
        (["walks"], "file", ConfigError, "--out file: a file; name a folder to be written"),
        (["broken"], "out", DataError, "none of the photographs and videos can be used: broken/a.jpg (does not decode"),
    ],
)
def test_errors_are_one_line_that_names_the_place(tmp_path, monkeypatch, places, out, error, said):
    monkeypatch.chdir(tmp_path)
    put_dogs(Path("walks"), range(1))
    Path("empty").mkdir()
    Path("file").touch()
    put_photo(Path("broken/a.jpg"), dog_pixels("red", 0)).write_bytes(b"text")
    with pytest.raises(error) as caught:
        run(Path(out), *map(Path, places))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_that_is_gone_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put_dogs(Path("walks"), range(2))
    run(Path("out"), Path("walks"))
    Path("walks").rename("moved")
    with pytest.raises(DataError, match=r"walks: no such file or folder; put it back, or take its line out of out/\."):
        run(Path("out"), Path("moved"))


def test_networks_that_cannot_be_used_are_named(tmp_path):
    missing = SimpleNamespace(backbone="test_resnet", weights="weights/none.safetensors")
    with pytest.raises(ConfigError, match=r"recipes.dogs.attributes.weights = weights/none.safetensors: no such file"):
        backbone_network("dogs", missing)
    with pytest.raises(DataError, match=r"none.safetensors: no such file, where a model of attributes is needed"):
        attribute_network(tmp_path / "none.safetensors")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository's top, with photographs and an encoder of random weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("auxreid.plumbing.team.own_folders.look_after", lambda root: [])
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    Path("dvc.yaml").touch()
    put_dogs(Path("walks"), range(2))
    return write_encoder(tmp_path / "encoder.safetensors")


def command(*arguments: str):
    """What the command says, or its error."""
    result = CliRunner().invoke(app, ["assemble", *arguments])
    return result.output if result.exception is None else result.exception


def test_the_command_takes_an_encoder_of_the_project_or_the_recipes_backbone(project):
    assert "encoder.safetensors" in str(project)
    said = command("walks", "-o", "raw/mydogs", "--encoder", str(project))
    assert "16 photographs in " in said and "raw/mydogs: frames.csv is the data set, review.html its review" in said
    about = json.loads(Path("raw/mydogs/report.json").read_text())["settings"]
    assert about["encoder"] == str(project) and about["thresholds"] == BOUNDS.about()
    before = contents(Path("raw"))
    assert command("-o", "raw/mydogs", "--encoder", str(project)) == said
    assert contents(Path("raw")) == before
    said = command("-o", "raw/mydogs", "--encoder", str(project), "--rate", "2")
    assert "otherwise than in the last run: rate: 1.0 -> 2.0\n" in said
    error = command("-o", "raw/mydogs")
    assert isinstance(error, ConfigError) and "recipes.dogs.attributes.weights" in str(error)


@pytest.mark.parametrize("name", ["report.json", ".assemble/looks.jsonl"])
def test_what_an_earlier_run_left_broken_is_named_with_a_remedy(tmp_path, name):
    put_dogs(tmp_path / "walks", range(2))
    out = tmp_path / "mydogs"
    run(out, tmp_path / "walks")
    (out / name).write_text("{}\n")
    with pytest.raises(DataError, match=f"{name}: broken; remove it, "):
        run(out)
    (out / name).unlink()
    run(out)
    error = command("-o", "raw/mydogs", "--row", "no_such_row")
    assert isinstance(error, ConfigError) and "'no_such_row': no such row" in str(error)


def test_the_recipes_backbone_gives_features_of_its_own_width(tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    recipe = SimpleNamespace(backbone="test_resnet", weights=str(weights), height=32, width=32, mean=(0.5,) * 3)
    recipe.std = (0.5,) * 3
    network = backbone_network("dogs", recipe)
    put_dogs(tmp_path / "walks", range(2))
    run(tmp_path / "out", tmp_path / "walks", network=network)
    with np.load(next((tmp_path / "out/.assemble/features").rglob("*.npz"))) as part:
        assert part["values"].shape == (16, timm.create_model("test_resnet", num_classes=0).head_hidden_size)
        assert part["values"].std(axis=0).max() > 0
    recipe.height = 48
    assert backbone_network("dogs", recipe).key != network.key


def test_the_review_is_served_until_ctrl_c(project):
    command_line = [sys.executable, "-m", "auxreid.cli", "assemble", "walks", "-o", "out", "--encoder", str(project)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([*command_line, "--review", "--port", "0"], env=environment, **pipes) as process:
        line = next(line for line in process.stdout if line.startswith("review: "))
        with urllib.request.urlopen(line.split()[1]) as answer:
            assert "<title>Review of out</title>" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


# sequences


def taken(walks: Path, times: list[tuple[str, str, str | None]]) -> list[Path]:
    return [
        put_photo(walks / f"{number}.jpg", dog_pixels(dog, number), time, part)
        for number, (dog, time, part) in enumerate(times)
    ]


def test_sequences_follow_from_time_and_likeness(tmp_path):
    day = "2024:05:01 10:"
    times = [
        ("red", f"{day}00:00", None),
        ("red", f"{day}00:40", None),  # alike and within a minute
        ("blue", f"{day}01:20", None),  # within a minute, another dog
        ("green", f"{day}01:22", "5"),  # 2.5 s later: one burst, whatever it shows
        ("green", f"{day}30:00", None),  # much later
    ]
    taken(tmp_path / "walks", times)
    put_dogs(tmp_path / "walks", range(10, 14))
    assembly = run(tmp_path / "out", tmp_path / "walks")
    of = [assembly.found.sequences[photo_of(assembly, f"{number}.jpg")] for number in range(5)]
    assert of[0] == of[1] and of[2] == of[3] and len(set(of)) == 3
    dates = {row["path"]: row["date"] for row in rows(tmp_path / "out")}
    assert dates[f"photos/{photo_of(assembly, '0.jpg')}.jpg"] == "2024-05-01"
    assert "32 photographs have no time" in "\n".join(assembly.found.notes)


def test_without_a_time_only_neighbours_that_are_almost_the_same_are_a_sequence(tmp_path):
    names = ["img_2.png", "img_10.png", "img_11.png"]
    for name in names:
        put_photo(tmp_path / name, dog_pixels("red", 1))
    from auxreid.assembling.items import make_items
    from auxreid.assembling.looks import Look

    looks = {tmp_path / name: Look(name, 0, 0, photo=f"{at}" * 64) for at, name in enumerate(names)}
    items, _ = make_items([tmp_path / name for name in reversed(names)], [], looks, {})
    assert [item.path.name for item in items] == names
    alike = np.full((3, 3), BOUNDS.neighbour_likeness - 0.1, np.float32)
    assert len(set(sequences(items, alike, BOUNDS))) == 3
    alike[0, 1] = alike[1, 0] = BOUNDS.neighbour_likeness
    assert [name[4] for name in sequences(items, alike, BOUNDS)] == ["0", "0", "2"]


# proposals


def symmetric(values: list[float], count: int) -> np.ndarray:
    alike = np.zeros((count, count), np.float32)
    alike[np.triu_indices(count, 1)] = values
    return alike + alike.T


@st.composite
def likenesses(draw) -> np.ndarray:
    count = draw(st.integers(1, 9))
    values = st.one_of(st.floats(-2, 7, width=16), st.just(NEVER))
    pairs = count * (count - 1) // 2
    return symmetric(draw(st.lists(values, min_size=pairs, max_size=pairs)), count)


@given(likenesses())
def test_the_bounds_hold_in_every_group_and_no_two_groups_could_still_be_joined(alike):
    group = clusters(alike, 3.0, 1.0)
    numbers = range(group.max() + 1)
    assert list(dict.fromkeys(group.tolist())) == list(numbers)
    for one in numbers:
        members = np.flatnonzero(group == one)
        inside = alike[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        assert (inside >= 1.0).all()
        for other in range(one):
            across = alike[np.ix_(members, np.flatnonzero(group == other))]
            assert across.mean() < 3.0 + 1e-4 or across.min() < 1.0


def test_a_chain_of_likely_pairs_does_not_become_one_dog():
    count = 12
    alike = np.zeros((count, count), np.float32)
    for one in range(count - 1):
        alike[one, one + 1] = alike[one + 1, one] = 6.0
    assert np.bincount(clusters(alike, 3.0, 1.0)).tolist() == [2] * 6


@given(likenesses(), st.randoms(), st.data())
def test_the_order_of_photographs_changes_no_proposal_and_constraints_hold(alike, random, data):
    photos = [f"{number:016x}" for number in range(len(alike))]
    some = st.tuples(st.sampled_from(photos), st.sampled_from(photos))
    known = verdict([Decision("1", "merge", *pair) for pair in data.draw(st.lists(some, max_size=2))])
    known.split(data.draw(st.lists(some, max_size=2)))
    if data.draw(st.booleans()):
        known.reject(photos[0])
    apart = [(one, other) for one, other in data.draw(st.lists(st.tuples(*[st.integers(0, len(photos) - 1)] * 2)))]
    apart = [pair for pair in apart if pair[0] != pair[1]]
    found = propose(photos, alike, apart, known, BOUNDS)
    order = list(range(len(photos)))
    random.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    moved = [(place[one], place[other]) for one, other in apart]
    again = propose([photos[at] for at in order], alike[np.ix_(order, order)], moved, known, BOUNDS)
    assert again == found
    dog_of_photo = {photo: number for number, one in enumerate(found) for photo in one.photos}
    assert sorted(dog_of_photo) == sorted(set(photos) - known.rejected)
    for dog in known.dogs:
        assert len({dog_of_photo[photo] for photo in dog}) == 1
    assert len({dog_of_photo[dog[0]] for dog in known.dogs}) == len(known.dogs)  # a person alone joins two of these
    for one, other in (pair for pair in known.apart if pair <= dog_of_photo.keys()):
        assert dog_of_photo[one] != dog_of_photo[other]
    for one, other in ((photos[a], photos[b]) for a, b in apart):
        together = known.group_of.get(one, -1) == known.group_of.get(other, -2)
        if {one, other} <= dog_of_photo.keys() and not together:
            assert dog_of_photo[one] != dog_of_photo[other]


def test_crops_of_one_photograph_are_never_one_dog(tmp_path):
    walks = tmp_path / "walks"
    put_dogs(walks)
    for number, view in enumerate((20, 21), start=1):
        put_photo(walks / f"garden_crop{number}.jpg", dog_pixels("red", view))
        put_photo(walks / f"{number}/yard.jpg", dog_pixels("blue", view))
    assembly = run(tmp_path / "out", walks)
    assert dog_of(assembly, "garden_crop1.jpg") != dog_of(assembly, "garden_crop2.jpg")
    table = tmp_path / "crops.csv"
    table.write_text("path,photo\nwalks/1/yard.jpg,yard\nwalks/2/yard.jpg,yard\n")
    assembly = run(tmp_path / "with", walks, crops=table)
    yards = [photo for photo, item in assembly.found.items.items() if item.path.name == "yard.jpg"]
    assert not any(set(yards) <= set(one.photos) for one in assembly.found.dogs.values())
    assert len({assembly.found.sequences[photo] for photo in yards}) == 1
    table.write_text("file\nx\n")
    with pytest.raises(DataError, match=r"crops.csv: missing column path, photo, found: file; needed: path, photo"):
        run(tmp_path / "with", walks, crops=table)


@pytest.mark.parametrize("dogs", [8, 20, 40])
def test_likeness_is_in_spreads_of_different_dogs_however_many_there_are(dogs):
    rng = np.random.default_rng(dogs)
    who = np.repeat(np.arange(dogs), 6)
    features = rng.normal(size=(dogs, 64))[who] + rng.normal(0, 0.3, (len(who), 64))
    alike = likeness(features, np.zeros((len(who), len(who)), bool))
    assert np.array_equal(alike, alike.T)
    same = (who[:, None] == who[None]) & ~np.eye(len(who), dtype=bool)
    assert alike[same].min() > BOUNDS.link > np.quantile(alike[who[:, None] != who[None]], 0.99)
    centre, spread = background(rng.normal(0.3, 0.1, 10_000))
    assert abs(centre - 0.3) < 0.01 and abs(spread - 0.1) < 0.01


def test_flags_name_blurred_photographs_and_dogs_that_may_be_two(tmp_path):
    from auxreid.assembling.flags import has_two_looks

    walks = tmp_path / "walks"
    put_dogs(walks)
    put_photo(walks / "soft.jpg", cv2.GaussianBlur(dog_pixels("red", 30), (0, 0), 9))
    assembly = run(tmp_path / "out", walks)
    assert assembly.found.blurred == [photo_of(assembly, "soft.jpg")]
    two = np.full((6, 6), 2.0, np.float32)
    two[:3, :3] = two[3:, 3:] = 6.0
    assert has_two_looks(two, BOUNDS) and not has_two_looks(np.full((6, 6), 4.0, np.float32), BOUNDS)


def test_a_detector_names_photographs_without_a_dog_or_with_several(tmp_path):
    put_dogs(tmp_path / "walks", range(2))
    scores = {"0-red.jpg": (0.1, 0.0), "0-blue.jpg": (0.9, 0.8)}

    def detect(items):
        return np.array([scores.get(item.path.name, (0.9, 0.1)) for item in items])

    found = run(tmp_path / "out", tmp_path / "walks", detector=Network("detector", "2" * 64, detect)).found
    assert [found.items[photo].path.name for photo in found.no_dog] == ["0-red.jpg"]
    assert [found.items[photo].path.name for photo in found.several_dogs] == ["0-blue.jpg"]
    assert "to look at: 1 without a dog, 1 with several dogs, to be cropped" in summary(found)
    assert not any("--detector" in note for note in found.notes)


def test_torchvisions_detector_gives_two_scores_and_other_weights_are_refused(tmp_path):
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    torch.manual_seed(0)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91)
    torch.save(model.state_dict(), tmp_path / "detector.pth")
    put_photo(tmp_path / "walks/a.jpg", dog_pixels("red", 1))
    network = detector_network(tmp_path / "detector.pth")
    items = run(tmp_path / "out", tmp_path / "walks", detector=network).found.items
    best, second = network.compute(list(items.values()))[0]
    assert 1 >= best >= second >= 0
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=r"other.safetensors for torchvision's ssdlite320_mobilenet_v3_large"):
        detector_network(tmp_path / "other.safetensors")


# decisions


def decided(step: str, *lines: tuple[str, ...]) -> list[Decision]:
    return [Decision(step, *line) for line in lines]


def test_decisions_hold_when_new_photographs_come_and_dogs_keep_their_names(tmp_path):
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "out"
    put_dogs(first, range(3))
    assembly = run(out, first)
    photo = {name: photo_of(assembly, name) for name in ("0-red.jpg", "1-red.jpg", "2-red.jpg", "0-blue.jpg")}
    red, blue = dog_of(assembly, "0-red.jpg"), dog_of(assembly, "0-blue.jpg")
    others = [photo_of(assembly, f"{view}-blue.jpg") for view in range(3)]
    add_decisions(
        out / "decisions.csv",
        [
            *decided("1", ("split", photo["2-red.jpg"], photo["0-red.jpg"])),
            *decided("2", *[("merge", one, photo["0-red.jpg"]) for one in [photo["1-red.jpg"], *others]]),
            *decided("3", ("reject", photo_of(assembly, "0-pink.jpg"))),
        ],
    )
    assembly = run(out)
    assert dog_of(assembly, "0-red.jpg") == dog_of(assembly, "1-blue.jpg") in (red, blue)
    assert dog_of(assembly, "2-red.jpg") != dog_of(assembly, "0-red.jpg")
    pink = {row["path"] for row in rows(out)}
    assert not any(photo_of(assembly, "0-pink.jpg") in path for path in pink)
    assert not list((out / "photos").glob(photo_of(assembly, "0-pink.jpg") + "*"))
    names = {name: dog_of(assembly, name) for name in ("0-red.jpg", "2-red.jpg", "0-green.jpg", "1-white.jpg")}
    splits = {row["dog_id"]: row["split"] for row in rows(out)}
    put_dogs(second, range(3, 6))
    assembly = run(out, second)
    assert {name: dog_of(assembly, name) for name in names} == names
    assert dog_of(assembly, "4-green.jpg") == names["0-green.jpg"]
    assert dog_of(assembly, "1-blue.jpg") == names["0-red.jpg"]
    again = {row["dog_id"]: row["split"] for row in rows(out)}
    assert {dog: again[dog] for dog in splits if dog} == {dog: split for dog, split in splits.items() if dog}


def test_a_later_decision_wins_and_a_step_can_be_taken_back():
    a, b, c = ("a" * 16, "b" * 16, "c" * 16)
    lines = decided("1", ("merge", b, a), ("merge", c, a))
    assert verdict(lines).dogs == [[a, b, c]]
    lines += decided("2", ("split", c, a))
    assert verdict(lines).dogs == [[a, b]] and verdict(lines).apart == {frozenset((a, c))}
    lines += decided("3", ("undo", "", "2"))
    assert verdict(lines).dogs == [[a, b, c]] and verdict(lines).apart == set()
    lines += decided("4", ("reject", a))
    assert verdict(lines).dogs == [[b, c]] and verdict(lines).rejected == {a}
    lines += decided("5", ("confirm", a, b))
    assert verdict(lines).dogs == [[a, b, c]] and verdict(lines).rejected == set()
    assert Verdict().dogs == []


def test_tables_of_decisions_that_browsers_saved_are_read_together_and_faults_are_named(tmp_path):
    from auxreid.assembling.decisions import read_decisions

    one, other = decided("1", ("reject", "a" * 16)), decided("0", ("reject", "b" * 16))
    add_decisions(tmp_path / "decisions.csv", one)
    add_decisions(tmp_path / "decisions (1).csv", [*one, *other])
    add_decisions(tmp_path / "decisions.csv", one)
    assert read_decisions(tmp_path) == [*other, *one]
    for line, fault in {
        "1,drop,aaaaaaaaaaaaaaaa,": "line 2: action 'drop', allowed: confirm, merge, split, together, reject, undo",
        "1,reject,dog_0001,": "line 2: 'dog_0001' is no photograph: 16 digits 0-9, a-f are needed",
        ",reject,aaaaaaaaaaaaaaaa,": "line 2: no step; any text is one",
    }.items():
        (tmp_path / "decisions.csv").write_text(f"step,action,photo,other\n{line}\n")
        with pytest.raises(DataError, match=r"decisions\.csv, ") as caught:
            read_decisions(tmp_path)
        assert fault in str(caught.value)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1), st.integers(0, 9))
def test_splits_share_no_dog_and_no_sequence_and_a_dog_keeps_its_split(pairs, seed):
    named = [(f"dog {dog}", f"sequence {sequence}") for dog, sequence in pairs]
    split_of = split_dogs(named, [], {}, seed)
    of_sequence = {}
    for dog, sequence in named:
        assert of_sequence.setdefault(sequence, split_of[dog]) == split_of[dog]
    assert split_dogs([*named, ("new", "clip")], [], split_of, seed + 1).items() >= split_of.items()


def test_what_was_split_off_together_stays_one_and_may_still_join_its_own_dog():
    a, b, c, d = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
    lines = decided("1", ("split", c, a), ("split", d, a), ("together", d, c))
    known = verdict(lines)
    assert known.dogs == [[c, d]] and known.seen == set()
    alike = symmetric([6, 0, 0, 0, 0, -1], 4)  # those that stay together are not alike
    found = propose([a, b, c, d], alike, [], known, BOUNDS)
    assert [one.photos for one in found] == [(a, b), (c, d)] and [one.seen for one in found] == [frozenset()] * 2
    alike = symmetric([0, 6, 6, 6, 6, -1], 4)  # b is like them, and so is a, from which they were split
    assert [one.photos for one in propose([a, b, c, d], alike, [], known, BOUNDS)] == [(a,), (b, c, d)]
    known = verdict([*lines, *decided("2", ("confirm", c, c), ("confirm", d, c))])
    found = propose([a, b, c, d], symmetric([0] * 6, 4), [], known, BOUNDS)
    assert [one.doubt for one in found if one.photos == (c, d)] == [0.0]


# the measure


def test_a_perfect_review_of_all_proposals_leaves_pairs_that_are_right_and_counts_its_keys():
    names = "aabbbcde"
    photos = [f"{number:016x}" for number in range(len(names))]
    truth = dict(zip(photos, names, strict=True))
    sequence_of = {photo: f"clip {dog}" for photo, dog in truth.items()}
    proposals = [
        Proposal(tuple(photos[:3]), frozenset(), 0.9),  # a a b
        Proposal(tuple(photos[3:5]), frozenset(), 0.8),  # b b
        Proposal((photos[5],), frozenset(), 0.1),
        Proposal(tuple(photos[6:]), frozenset(), 0.05),  # d e
    ]
    assert quality(proposals, truth) == Quality(2 / 5, 2 / 4, 4)
    near = {0: [1, 2, 3], 1: [0, 2, 3], 2: [0, 1, 3], 3: [0, 1, 2]}
    steps = list(review(proposals, near, truth, sequence_of, 9))
    # mark b, split, confirm; confirm; confirm; mark e, split, confirm
    assert [keys for _, keys in steps] == [3, 1, 1, 3]
    known = verdict([line for lines, _ in steps for line in lines])
    found = propose(photos, np.zeros((8, 8), np.float32), [], known, BOUNDS)
    assert quality(found, truth) == Quality(1.0, 2 / 4, 6)
    assert len(list(review(proposals, near, truth, sequence_of, 1))) == 1
    alike = symmetric([1.0] * 28, 8)
    place = {photo: at for at, photo in enumerate(photos)}
    assert candidates(proposals, place, alike)[1] == [0, 2, 3]


def test_merges_are_made_where_the_dogs_that_are_shown_are_one():
    photos = [f"{number:016x}" for number in range(4)]
    truth = dict(zip(photos, "aaab", strict=True))
    proposals = [Proposal((photo,), frozenset(), 0.5) for photo in photos]
    near = {at: [other for other in range(4) if other != at] for at in range(4)}
    steps = list(review(proposals, near, truth, dict.fromkeys(photos, "clip"), 9))
    assert [keys for _, keys in steps] == [3, 1]
    assert verdict([line for lines, _ in steps for line in lines]).dogs == [photos[:3], photos[3:]]


def test_the_benchmarks_films_are_a_video_of_each_photograph_of_the_first_dogs(tmp_path, monkeypatch):
    import sample_films

    rows = [{"path": f"{dog}{view}.png", "dog_id": dog} for dog in ("a", "b", "c") for view in (1, 2)]
    dogs(tmp_path / "sample", [*rows, {"path": "breed.png", "dog_id": ""}])
    monkeypatch.setattr(sample_films, "SAMPLE", tmp_path / "sample")
    monkeypatch.setattr(sample_films, "DOGS", 2)
    dog_of = sample_films.write_films(tmp_path / "films")
    assert sorted(dog_of.values()) == ["a", "a", "b", "b"]
    found = run(tmp_path / "out", tmp_path / "films").found
    assert {Path(item.stream).name for item in found.items.values()} <= dog_of.keys() and found.left_out == []


# stops


STOPPED = """
import os, sys
sys.path[:0] = [{tests!r}, {src!r}]
import dog_photos
from pathlib import Path
from auxreid.assembling import {module} as module
whole = module.{function}
calls = [0]
def stopping(*args, **kwargs):
    calls[0] += 1
    if calls[0] > {after}:
        os._exit(9)
    return whole(*args, **kwargs)
module.{function} = stopping
dog_photos.run(Path("out"), Path("walks"))
"""
STEPS = [
    ("videos", "write_text", 0),
    ("looks", "_append", 1),
    ("vectors", "finished_file", 1),
    ("thumbs", "finished_file", 9),
    ("dataset", "finished_file", 5),
    ("dataset", "write_if_new", 0),
    ("run", "write_if_new", 0),
]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Folders to be read, and what a run that nobody stopped made of them."""
    root = tmp_path_factory.mktemp("whole")
    put_dogs(root / "walks", range(9))
    video(root / "walks/film.avi", [dog_pixels("red", view) for view in range(20, 28)])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("auxreid.assembling.vectors.AT_ONCE", 24)
        run(Path("out"), Path("walks"))
    return root


@pytest.mark.parametrize(("module", "function", "after"), STEPS)
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(uninterrupted, monkeypatch, module, function, after):
    monkeypatch.chdir(uninterrupted)
    expected = contents(Path("out"))
    Path("out").rename("kept")
    try:
        script = STOPPED.format(
            tests=str(ROOT / "tests"), src=str(ROOT / "src"), module=module, function=function, after=after
        )
        script = script.replace("whole = ", "from auxreid.assembling import vectors; vectors.AT_ONCE = 24\nwhole = ")
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
        assert contents(Path("out")) != expected
        monkeypatch.setattr("auxreid.assembling.vectors.AT_ONCE", 24)
        run(Path("out"))
        assert contents(Path("out")) == expected
    finally:
        subprocess.run(["rm", "-rf", "out"], check=True)
        Path("kept").rename("out")


def test_a_torn_last_line_of_what_is_known_is_cut_off(tmp_path):
    put_dogs(tmp_path / "walks", range(2))
    run(tmp_path / "out", tmp_path / "walks")
    store = tmp_path / "out/.assemble/looks.jsonl"
    whole = store.read_bytes()
    store.write_bytes(whole[:-20])
    run(tmp_path / "out")
    assert store.read_bytes() == whole
