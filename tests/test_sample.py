"""The rendered sample: layout, equal bytes, true joints and attributes, and that looking is needed to solve it."""

import csv
import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from xtcocotools.coco import COCO

from auxreid.data.vocabulary import DOG_ATTRIBUTES, PERSON_ATTRIBUTES
from auxreid.plumbing.base.errors import DataError
from auxreid.sample.canvas import Canvas
from auxreid.sample.dog import JOINTS as DOG_JOINTS
from auxreid.sample.dog import Pose as DogPose
from auxreid.sample.dog import draw_dog
from auxreid.sample.dog_set import _splits, render_dogs
from auxreid.sample.files import new_folder
from auxreid.sample.geometry import Ring, Trunk, View
from auxreid.sample.people_set import CAMERAS, Walk, _pose, render_people
from auxreid.sample.person import JOINTS as PERSON_JOINTS
from auxreid.sample.person import Gait, draw_person
from auxreid.sample.world import COATS_OF_COLOUR, make_dogs, make_people, rng_of

# Of the smallest worlds below: equal on every x86-64 machine that has the locked packages.
PEOPLE_SHA256 = "8d1767c1038b2f737afc95c996fcf69db3f7fe335ff97b8c852fac3093834e38"
DOGS_SHA256 = "1239805ce48bb6ce7f795c21c6b544684947a38dece38099fb44978c028d1159"


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    return render_people(tmp_path_factory.mktemp("people"), shared=6, train=3, only_a=1, only_b=2, frames=3)


@pytest.fixture(scope="module")
def dogs(tmp_path_factory) -> Path:
    return render_dogs(tmp_path_factory.mktemp("dogs"), dogs=5, sequences=(2, 3), frames=2)


def digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files."""
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------------------------------- layout


def test_people_lie_as_prid2011_does(people):
    numbers = {"cam_a": range(1, 8), "cam_b": range(1, 9)}
    assert sorted(p.name for p in people.iterdir()) == [
        "attributes.csv",
        "keypoints.coco.json",
        "multi_shot",
        "single_shot",
        "splits.json",
    ]
    for camera, persons in numbers.items():
        names = [f"person_{n:04d}" for n in persons]
        assert sorted(p.name for p in (people / "single_shot" / camera).iterdir()) == [f"{name}.png" for name in names]
        assert sorted(p.name for p in (people / "multi_shot" / camera).iterdir()) == names
        for name in names:
            frames = sorted((people / "multi_shot" / camera / name).iterdir())
            assert [p.name for p in frames] == ["0001.png", "0002.png", "0003.png"]
            for path in [*frames, people / "single_shot" / camera / f"{name}.png"]:
                with Image.open(path) as image:
                    assert (image.size, image.mode) == ((64, 128), "RGB")


def test_people_beyond_the_shared_are_different_persons():
    looks = make_people(6 + 1 + 2, 2024)
    assert len(set(map(repr, looks))) == 9


def test_splits_divide_the_shared_people_ten_times(people):
    splits = json.loads((people / "splits.json").read_text())
    everyone = [f"person_{number:04d}" for number in range(1, 7)]
    assert len(splits) == 10 and all(len(split["train"]) == 3 for split in splits)
    assert all(sorted(split["train"] + split["test"]) == everyone for split in splits)
    assert len({tuple(split["train"]) for split in splits}) > 1


def test_attribute_table_speaks_the_vocabulary(people):
    table = rows(people / "attributes.csv")
    assert [row["identity"] for row in table] == ["1", "2", "3", "4", "5", "6"]
    for row in table:
        assert list(row) == ["identity", *PERSON_ATTRIBUTES]
        for name, words in PERSON_ATTRIBUTES.items():
            assert row[name] in words
        assert sum(row[name] == "yes" for name in row if name.startswith("up") and name != "up") == 1
        assert sum(row[name] == "yes" for name in row if name.startswith("down") and name != "down") == 1
        assert sum(row[name] == "yes" for name in ("backpack", "bag", "handbag")) <= 1


def test_every_word_of_the_vocabulary_is_worn_by_two_of_the_full_worlds_shared_people():
    looks = make_people(420 + 6 + 12, 2024)[:420]
    worn = Counter((name, word) for look in looks for name, word in look.attributes.items())
    assert min(worn[name, word] for name, words in PERSON_ATTRIBUTES.items() for word in words) >= 2


def test_dogs_lie_in_the_dog_layout(dogs):
    table = rows(dogs / "frames.csv")
    assert list(table[0]) == ["path", "dog_id", "sequence", "date", "place", *DOG_ATTRIBUTES, "split"]
    assert sorted(row["path"] for row in table) == sorted(
        p.relative_to(dogs).as_posix() for p in (dogs / "frames").rglob("*.jpg")
    )
    clips = defaultdict(list)
    for row in table:
        clips[row["dog_id"], row["sequence"]].append(row)
        assert all(row[name] in ("", *words) for name, words in DOG_ATTRIBUTES.items())
        with Image.open(dogs / row["path"]) as image:
            assert (image.size, image.mode) == ((96, 96), "RGB")
            assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # no colour subsampling
    assert all(len(clip) == 2 for clip in clips.values())
    assert all(len({row["split"] for row in table if row["dog_id"] == dog}) == 1 for dog, _ in clips)
    assert set(Counter(dog for dog, _ in clips).values()) <= {2, 3}


def test_each_dog_attribute_value_is_in_train_and_in_test_and_twins_stay_together():
    looks = make_dogs(60, 2024)
    split = _splits(looks, 2024)
    assert Counter(split) == {"train": 36, "val": 6, "test": 18}
    for part in ("train", "test"):
        members = [look.attributes for look, name in zip(looks, split, strict=True) if name == part]
        for name, words in DOG_ATTRIBUTES.items():
            assert {dog[name] for dog in members} == set(words)
    groups = defaultdict(list)
    for number, look in enumerate(looks):
        groups[tuple(look.attributes.values())].append(number)
    twins = [group for group in groups.values() if len(group) > 1]
    assert len(twins) >= 12
    assert all(len({split[dog] for dog in group}) == 1 for group in twins)
    assert {"train", "test"} <= {split[group[0]] for group in twins}
    for a, b, *_ in twins:
        assert (
            looks[a].markings.socks != looks[b].markings.socks or looks[a].markings.collar != looks[b].markings.collar
        )


def test_full_dog_table_has_a_few_gaps(tmp_path):
    table = rows(render_dogs(tmp_path, dogs=18, sequences=(1, 1), frames=1, workers=1) / "frames.csv")
    gaps = [row["dog_id"] for row in table if "" in row.values()]
    assert gaps == ["dog_009", "dog_018"]


# -------------------------------------------------------------------------------------------------------------- bytes


def test_one_process_renders_the_same_people_as_two(people, tmp_path):
    again = render_people(tmp_path, shared=6, train=3, only_a=1, only_b=2, frames=3, workers=1)
    assert digest(again) == digest(people)


def test_one_process_renders_the_same_dogs_as_two(dogs, tmp_path):
    again = render_dogs(tmp_path, dogs=5, sequences=(2, 3), frames=2, workers=1)
    assert digest(again) == digest(dogs)


def test_another_seed_renders_others(people, tmp_path):
    other = render_people(tmp_path, shared=6, train=3, only_a=1, only_b=2, frames=3, seed=7)
    assert digest(other) != digest(people)


def test_bytes_are_those_of_every_other_machine(tmp_path):
    people = render_people(tmp_path, shared=3, train=1, only_a=1, only_b=1, frames=2, workers=1)
    dogs = render_dogs(tmp_path, dogs=5, sequences=(1, 1), frames=2, workers=1)
    assert (digest(people), digest(dogs)) == (PEOPLE_SHA256, DOGS_SHA256)


def test_more_people_do_not_change_the_pictures_of_a_look(tmp_path):
    """Each picture has a random stream of its own: the same walk gives the same pixels in a larger world."""
    look = make_people(3, 5)[0]
    pictures = [np.asarray(_pose(Walk(look, 0, 1, 0, frames, 5), CAMERAS[0], 0).canvas.picture()) for frames in (1, 4)]
    assert np.array_equal(*pictures)


# ------------------------------------------------------------------------------------------------------------- folders


def test_a_filled_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"people: is not empty"):
        render_people(tmp_path, shared=1, train=1, only_a=0, only_b=0, frames=1, workers=1)
    assert [p.name for p in tmp_path.rglob("*")] == ["people", "mine.txt"]


def test_overwrite_replaces_the_whole_folder(tmp_path):
    (tmp_path / "dogs").mkdir()
    (tmp_path / "dogs" / "old.txt").write_text("old")
    render_dogs(tmp_path, dogs=1, sequences=(1, 1), frames=1, workers=1, overwrite=True)
    assert sorted(p.name for p in (tmp_path / "dogs").iterdir()) == [
        "frames",
        "frames.csv",
        "keypoints.coco.json",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["dogs"]


def test_a_broken_off_rendering_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "people") as folder:
        (folder / "half").mkdir()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------------------- joints


@pytest.mark.parametrize("kind", ["people", "dogs"])
def test_joints_load_as_coco_and_lie_in_image_and_box(kind, request):
    folder = request.getfixturevalue(kind)
    coco = COCO(str(folder / "keypoints.coco.json"))
    pattern = "multi_shot/**/*.png" if kind == "people" else "frames/**/*.jpg"
    assert sorted(i["file_name"] for i in coco.imgs.values()) == sorted(
        p.relative_to(folder).as_posix() for p in folder.glob(pattern)
    )
    (category,) = coco.cats.values()
    assert category["keypoints"] == list(PERSON_JOINTS if kind == "people" else DOG_JOINTS)
    assert len(category["keypoints"]) == 17
    assert {joint for pair in category["skeleton"] for joint in pair} == set(range(1, 18))
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        joints = np.array(annotation["keypoints"]).reshape(17, 3)
        given = joints[joints[:, 2] > 0]
        left, top, width, height = annotation["bbox"]
        assert set(joints[:, 2]) <= {0, 1, 2}
        assert annotation["num_keypoints"] == len(given) >= 15
        assert (given[:, 2] == 2).sum() >= 4
        assert (given[:, :2] >= 0).all() and (given[:, :2] <= [image["width"] - 1, image["height"] - 1]).all()
        assert (given[:, :2] >= [left - 1, top - 1]).all() and (
            given[:, :2] <= [left + width + 1, top + height + 1]
        ).all()
        assert left >= 0 and top >= 0 and left + width <= image["width"] and top + height <= image["height"]
        assert 0.15 * width * height < annotation["area"] < width * height


def test_bodies_stand_upright(people, dogs):
    persons = json.loads((people / "keypoints.coco.json").read_text())["annotations"]
    order = [PERSON_JOINTS.index(name) for name in ("nose", "left_shoulder", "left_hip", "left_knee", "left_ankle")]
    for person in persons:
        heights = [person["keypoints"][3 * joint + 1] for joint in order]
        assert heights == sorted(heights)
    for dog in json.loads((dogs / "keypoints.coco.json").read_text())["annotations"]:
        at = {name: dog["keypoints"][3 * i : 3 * i + 3] for i, name in enumerate(DOG_JOINTS)}
        for side in ("left", "right"):
            for chain in (("shoulder", "elbow", "front_paw"), ("hip", "knee", "back_paw")):
                heights = [at[f"{side}_{name}"][1] for name in chain if at[f"{side}_{name}"][2]]
                assert heights == sorted(heights)


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
def test_joints_are_on_pixels_of_the_body(camera):
    for number, look in enumerate(make_people(8, 3)):
        shot = _pose(Walk(look, number, number + 1, camera.number - 1, 1, 3), camera, 0)
        places = {name: (round(x), round(y)) for name, ((x, y), _) in shot.joints.items()}
        labels = {name: shot.canvas.label.getpixel(place) for name, place in places.items()}
        assert all(labels[name] for name in labels if name not in ("left_ear", "right_ear", "nose")), labels


def test_left_and_right_are_the_persons_own():
    look = make_people(2, 1)[0]
    for yaw, sign in ((0, 1), (180, -1)):
        canvas = Canvas(Image.new("RGB", (256, 512)))
        joints = draw_person(canvas, View(yaw, 5, 450, (128, 480)), look, Gait(0, 20, 20), rng_of(1))
        assert sign * (joints["left_shoulder"][0][0] - joints["right_shoulder"][0][0]) > 60
        assert canvas.shows(*joints["nose"]) == (yaw == 0)


def test_a_patch_on_the_back_is_not_seen_from_the_front():
    trunk = Trunk([Ring(-1, 1, 1), Ring(0, 1, 1)], View(0, 0, 10, (50, 50)))
    assert trunk.patch(0, 1, 150, 210) is None
    front = trunk.patch(0, 1, -30, 30)
    assert sorted({round(x, 6) for x, _ in front})[::6] == [45.0, 55.0]  # 50 -+ 10 * sin 30


# ----------------------------------------------------------------------------------------------------------- hardness


def colour_histogram(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        bins = np.asarray(image).astype(int) // 32  # [h, w, 3]
    codes = (bins[..., 0] * 8 + bins[..., 1]) * 8 + bins[..., 2]
    return np.bincount(codes.ravel(), minlength=512) / codes.size


def mean_reciprocal_rank(folder: Path, shared: int) -> float:
    """mAP of camera A's people against all of camera B by the intersection of their tracks' colour histograms."""
    tracks = {
        camera: {
            int(person.name[-4:]): np.mean([colour_histogram(p) for p in sorted(person.iterdir())], axis=0)
            for person in sorted((folder / "multi_shot" / camera).iterdir())
        }
        for camera in ("cam_a", "cam_b")
    }
    found = []
    for person in range(1, shared + 1):
        query = tracks["cam_a"][person]
        likeness = {other: np.minimum(query, h).sum() for other, h in tracks["cam_b"].items()}
        rank = sum(score >= likeness[person] for score in likeness.values())
        found.append(1 / rank)
    return float(np.mean(found))


def test_a_colour_histogram_does_not_find_the_person(tmp_path):
    """Among 40 people chance gives 0.11; the full sample gives 0.04 (chance among 132: 0.04)."""
    folder = render_people(tmp_path, shared=32, train=16, only_a=0, only_b=8, frames=2)
    assert mean_reciprocal_rank(folder, 32) < 0.25


def test_looks_repeat_colours_and_differ_in_detail():
    """Several people wear the same two colour words, and no two people are equal."""
    looks = make_people(96, 2024)
    worn = Counter(
        tuple(n for n, word in look.attributes.items() if word == "yes" and n[:2] in ("up", "do")) for look in looks
    )
    assert sum(count for count in worn.values() if count > 1) >= 48
    details = {(look.pattern, look.accent, look.shoes, look.hair, look.upper, look.skin) for look in looks}
    assert len(details) == 96


@pytest.mark.parametrize(
    ("attribute", "words", "measured"),
    [("size", ("small", "medium", "large"), "width"), ("leg_length", ("short", "medium", "long"), "height")],
)
def test_sizes_of_dogs_are_to_be_seen(attribute, words, measured):
    look, extents = make_dogs(1, 1)[0], []
    for word in words:
        canvas = Canvas(Image.new("RGB", (384, 384)))
        changed = replace(look, attributes={**look.attributes, attribute: word})
        draw_dog(canvas, View(90, 10, 220, (190, 330)), changed, DogPose(0, 0, 40, 0, 0), rng_of(1))
        left, top, right, bottom = canvas.body_box()
        extents.append(right - left if measured == "width" else bottom - top)
    assert extents[1] > 1.12 * extents[0] and extents[2] > 1.12 * extents[1]


@pytest.mark.parametrize("attribute", ["color", "muzzle", "ears", "coat"])
def test_looks_of_dogs_are_to_be_seen(attribute):
    """Each word of an attribute gives another picture of the same dog in the same pose."""
    look, pictures = make_dogs(1, 1)[0], []
    for word in DOG_ATTRIBUTES[attribute]:
        canvas = Canvas(Image.new("RGB", (384, 384), (120, 140, 110)))
        main, second = COATS_OF_COLOUR[word if attribute == "color" else "brown"]
        changed = replace(look, main=main, second=second, attributes={**look.attributes, attribute: word})
        draw_dog(canvas, View(75, 10, 420, (180, 330)), changed, DogPose(0, 0, 40, 0, 0), rng_of(1))
        pictures.append(np.asarray(canvas.picture()).astype(int))
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert (np.abs(one - other).max(axis=2) > 24).sum() > 25  # pixels of 96 x 96
