"""The rendered dogs, on disk in the dog layout: frames/ and frames.csv."""

import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from auxreid.data.vocabulary import DOG_ATTRIBUTES
from auxreid.plumbing.base.progress import track
from auxreid.sample.camera import Light, exposed, varied
from auxreid.sample.canvas import OVERSAMPLING, Canvas
from auxreid.sample.coco import Annotation, annotate, measure, write_coco
from auxreid.sample.dog import JOINTS, SKELETON, Pose, draw_dog
from auxreid.sample.files import new_folder, save_jpeg
from auxreid.sample.geometry import View
from auxreid.sample.parallel import in_order
from auxreid.sample.places import PLACES
from auxreid.sample.world import DogLook, between, chance, make_dogs, pick, random_order, rng_of

SIDE = 96  # pixels
METRE = SIDE * OVERSAMPLING / 1.15  # canvas pixels: the picture shows 1.15 m
LIGHTS = (  # by the weather
    Light((1.06, 1.0, 0.92), 1.0, 22, 1.0, vignette=0.1, noise=2, blur=0.2),
    Light((0.94, 0.99, 1.05), 0.9, 16, 0.9, vignette=0.15, noise=2, blur=0.25),
    Light((1.03, 0.97, 0.86), 1.08, 10, 1.1, vignette=0.2, noise=3, blur=0.25),
    Light((0.88, 0.93, 1.0), 0.94, 2, 0.82, vignette=0.2, noise=4, blur=0.3),
)
SHARES = {"test": 0.3, "val": 0.1}  # the rest trains
MISSING_EVERY = 9  # every ninth dog lacks one attribute


@dataclass(frozen=True)
class Clip:
    """One dog on one day at one place."""

    look: DogLook
    dog: int  # 1-based
    number: int  # of the dog's sequences, 1-based
    frames: int
    seed: int

    @property
    def dog_id(self) -> str:
        return f"dog_{self.dog:03d}"

    @property
    def sequence(self) -> str:
        return f"{self.dog_id}_s{self.number}"

    def stream(self) -> np.random.Generator:
        return rng_of(self.seed, 8, self.dog, self.number)


@dataclass(frozen=True)
class Setting:
    """What a clip's frames share."""

    place: str
    date: str
    light: Light
    yaw: float
    stride: float
    seed: int  # of the place's own look


def render_dogs(
    root: Path,
    *,
    dogs: int = 1000,
    sequences: tuple[int, int] = (2, 2),
    frames: int = 1,
    seed: int = 2024,
    workers: int = 2,
    overwrite: bool = False,
) -> Path:
    """Render root/dogs and return it; the result does not depend on the number of workers.

    Each dog has between sequences[0] and sequences[1] sequences. The splits are disjoint in dogs, and twins in
    attributes are in one split. DataError if the folder is there and not empty.
    """
    target = root / "dogs"
    looks = make_dogs(dogs, seed)
    clips = [
        Clip(look, dog, number, frames, seed)
        for dog, look in enumerate(looks, start=1)
        for number in range(1, _sequences(seed, dog, sequences) + 1)
    ]
    with new_folder(target, overwrite) as folder:
        annotations: list[Annotation] = []
        for found in track(in_order(partial(_film, folder), clips, workers), "dogs", len(clips)):
            annotations += found
        write_coco(folder / "keypoints.coco.json", annotations, "dog", JOINTS, SKELETON)
        _write_table(folder / "frames.csv", clips, _splits(looks, seed))
    return target


def _sequences(seed: int, dog: int, bounds: tuple[int, int]) -> int:
    return int(rng_of(seed, 9, dog).integers(bounds[0], bounds[1] + 1))


def _splits(looks: list[DogLook], seed: int) -> list[str]:
    """The split of each dog: of many random ones, the one with the most attribute values in both train and test."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for dog, look in enumerate(looks):
        groups[tuple(look.attributes.values())].append(dog)
    rng = rng_of(seed, 11)
    return max((_drawn_split(list(groups.values()), rng) for _ in range(200)), key=partial(_covered, looks))


def _drawn_split(groups: list[list[int]], rng: np.random.Generator) -> list[str]:
    """Fill test and val with groups of dogs in random order, as far as they fit; the rest trains."""
    dogs = sum(map(len, groups))
    split = ["train"] * dogs
    room = {name: round(share * dogs) for name, share in SHARES.items()}
    for group in (groups[i] for i in random_order(rng, len(groups))):
        name = next((name for name in room if room[name] >= len(group)), "train")
        if name in room:
            room[name] -= len(group)
        for dog in group:
            split[dog] = name
    return split


def _covered(looks: list[DogLook], split: list[str]) -> int:
    """How many attribute values occur in train and in test."""
    dogs = zip(looks, split, strict=True)
    seen = {(name, value, part) for look, part in dogs for name, value in look.attributes.items()}
    return sum((name, value, "test") in seen for name, value, part in seen if part == "train")


def _setting(clip: Clip) -> Setting:
    rng = clip.stream()
    return Setting(
        place=pick(rng, sorted(PLACES)),
        date=f"2024-{int(rng.integers(1, 13)):02d}-{int(rng.integers(1, 29)):02d}",
        light=varied(pick(rng, LIGHTS), rng, 0.06),
        yaw=pick(rng, (90, 90, -90, -90, 55, -55, 125, -125)) + between(rng, -12, 12),
        stride=pick(rng, (4, 22, 30)),
        seed=int(rng.integers(1 << 30)),
    )


def _film(folder: Path, clip: Clip) -> list[Annotation]:
    place = folder / "frames" / clip.dog_id
    place.mkdir(parents=True, exist_ok=True)
    annotations = []
    for frame in range(1, clip.frames + 1):
        image, annotation = _shoot(clip, _setting(clip), frame, _path(clip, frame))
        save_jpeg(image, folder / annotation.file_name)
        annotations.append(annotation)
    return annotations


def _path(clip: Clip, frame: int) -> str:
    return f"frames/{clip.dog_id}/s{clip.number}_{frame:02d}.jpg"


def _shoot(clip: Clip, setting: Setting, frame: int, file_name: str) -> tuple[Image.Image, Annotation]:
    rng = rng_of(clip.seed, 10, clip.dog, clip.number, frame)
    size = (SIDE * OVERSAMPLING, SIDE * OVERSAMPLING)
    metre = METRE * between(rng, 0.95, 1.05)
    ground = size[1] * between(rng, 0.84, 0.88)
    background = PLACES[setting.place](size, metre, ground, rng_of(setting.seed), rng)
    canvas = Canvas(background)
    yaw = setting.yaw + between(rng, -10, 10)
    ahead = -0.13 * size[0] if 0 < yaw < 180 else 0.13 * size[0]  # room for the head
    view = View(yaw, 10 + between(rng, -3, 4), metre, (size[0] * between(rng, 0.46, 0.54) + ahead, ground))
    pose = Pose(
        phase=between(rng, 0, 360),
        stride=setting.stride,
        head=between(rng, 25, 62),
        turn=between(rng, -25, 25) + (0 if chance(rng, 0.7) else _towards_camera(yaw)),
        wag=between(rng, -30, 30),
    )
    joints = draw_dog(canvas, view, clip.look, pose, rng)
    annotation = annotate(file_name, canvas, measure(canvas), joints)
    return exposed(canvas.picture(), varied(setting.light, rng, 0.03), rng), annotation


def _towards_camera(yaw: float) -> float:
    """A turn of the head that brings the face nearer to the camera."""
    return -40 if 0 < yaw < 180 else 40


def _known(look: DogLook, dog: int) -> DogLook:
    """The look with the attributes that were noted down: of some dogs one is not."""
    if dog % MISSING_EVERY:
        return look
    missing = sorted(DOG_ATTRIBUTES)[dog // MISSING_EVERY % len(DOG_ATTRIBUTES)]
    return replace(look, attributes={**look.attributes, missing: ""})


def _write_table(path: Path, clips: list[Clip], split: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "dog_id", "sequence", "date", "place", *DOG_ATTRIBUTES, "split"])
        for clip in clips:
            setting, known = _setting(clip), _known(clip.look, clip.dog).attributes
            values = [known[name] for name in DOG_ATTRIBUTES]
            for frame in range(1, clip.frames + 1):
                row = [_path(clip, frame), clip.dog_id, clip.sequence, setting.date, setting.place]
                table.writerow([*row, *values, split[clip.dog - 1]])
