"""The rendered people, on disk as PRID2011 is: two cameras, single_shot and multi_shot."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from auxreid.data.vocabulary import PERSON_ATTRIBUTES
from auxreid.plumbing.base.progress import track
from auxreid.sample.camera import Light, exposed, occlude, park, passage, street, varied
from auxreid.sample.canvas import OVERSAMPLING, Canvas
from auxreid.sample.coco import Annotation, Joints, annotate, measure, write_coco
from auxreid.sample.files import new_folder, save_png
from auxreid.sample.geometry import View
from auxreid.sample.parallel import in_order
from auxreid.sample.person import JOINTS, SKELETON, Gait, draw_person
from auxreid.sample.world import PersonLook, between, chance, make_people, pick, random_order, rng_of

WIDTH, HEIGHT = 64, 128
SPLITS = 10  # in splits.json
Scene = Callable[[tuple[int, int], np.random.Generator, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Camera:
    """One of the two cameras: where it hangs, how it sees, and from which sides people pass it."""

    name: str
    number: int
    light: Light
    scenes: tuple[Scene, ...]
    pitch: float
    yaws: tuple[float, ...]  # the walks' directions, the usual ones repeated


CAMERAS = (
    Camera(
        "cam_a",
        1,
        Light((1.16, 1.0, 0.76), 0.78, 16, 0.9, vignette=0.2, noise=5, blur=0.45),
        (street, street, park),
        pitch=9,
        yaws=(0, 25, -25, 0, 35, -35, 70, -70, 160),
    ),
    Camera(
        "cam_b",
        2,
        Light((0.7, 0.87, 1.12), 1.0, 2, 0.75, vignette=0.45, noise=8, blur=0.6),
        (passage, passage, park),
        pitch=16,
        yaws=(180, 155, -155, 180, 205, 110, -110, 60, -30),
    ),
)


@dataclass(frozen=True)
class Walk:
    """One person's passage before one camera."""

    look: PersonLook
    person: int  # a number of the world, not of the file name
    number: int  # of the file name; the same in both cameras for the shared people only
    camera: int  # index in CAMERAS
    frames: int
    seed: int


def render_people(
    root: Path,
    *,
    shared: int = 420,
    train: int = 120,
    only_a: int = 6,
    only_b: int = 12,
    frames: int = 4,
    seed: int = 2024,
    workers: int = 2,
    overwrite: bool = False,
) -> Path:
    """Render root/people and return it; the result does not depend on the number of workers.

    People 1..shared walk past both cameras; splits.json divides them into `train` and the rest, ten times at random:
    few to train on and many to test with, since training is what costs and queries are what makes a figure sure.
    Beyond them each camera numbers its own people onwards, so that, as in PRID2011, an equal number above `shared` is
    not an equal person. DataError if the folder is there and not empty.
    """
    target = root / "people"
    looks = make_people(shared + only_a + only_b, seed)
    walks = _walks(looks, shared, only_a, frames, seed)
    with new_folder(target, overwrite) as folder:
        annotations: list[Annotation] = []
        for found in track(in_order(partial(_film, folder), walks, workers), "people", len(walks)):
            annotations += found
        write_coco(folder / "keypoints.coco.json", annotations, "person", JOINTS, SKELETON)
        _write_attributes(folder / "attributes.csv", looks[:shared])
        _write_splits(folder / "splits.json", shared, train, seed)
    return target


def _walks(looks: list[PersonLook], shared: int, only_a: int, frames: int, seed: int) -> list[Walk]:
    walks = []
    for person, look in enumerate(looks):
        a_only, b_only = shared <= person < shared + only_a, person >= shared + only_a
        number = person + 1 - (only_a if b_only else 0)
        if not b_only:
            walks.append(Walk(look, person, number, 0, frames, seed))
        if not a_only:
            walks.append(Walk(look, person, number, 1, frames, seed))
    return walks


def _film(folder: Path, walk: Walk) -> list[Annotation]:
    """Write one walk's frames into both layouts and return the joints of the multi-shot ones."""
    camera, name = CAMERAS[walk.camera], f"person_{walk.number:04d}"
    track_folder = folder / "multi_shot" / camera.name / name
    single_folder = folder / "single_shot" / camera.name
    track_folder.mkdir(parents=True, exist_ok=True)
    single_folder.mkdir(parents=True, exist_ok=True)
    annotations = []
    for frame in range(walk.frames + 1):  # the last one is the single shot
        single = frame == walk.frames
        path = single_folder / f"{name}.png" if single else track_folder / f"{frame + 1:04d}.png"
        image, annotation = _shoot(walk, camera, frame, path.relative_to(folder).as_posix())
        save_png(image, path)
        if not single:
            annotations.append(annotation)
    return annotations


@dataclass(frozen=True)
class Pose:
    """A person drawn in a place, before anything is put in front of the body and the camera takes the picture."""

    canvas: Canvas
    joints: Joints
    light: Light
    rng: np.random.Generator  # what follows in this frame draws from it


def _pose(walk: Walk, camera: Camera, frame: int) -> Pose:
    """The walk decides place, direction and light; the frame decides step, crop and what moves in the background."""
    passing = rng_of(walk.seed, 6, walk.person, camera.number)
    yaw, start, weather = pick(passing, camera.yaws), between(passing, 0, 360), varied(camera.light, passing, 0.09)
    scene, place = pick(passing, camera.scenes), int(passing.integers(1 << 30))
    stride, arm_swing = between(passing, 14, 26), between(passing, 12, 30)

    rng = rng_of(walk.seed, 7, walk.person, camera.number, frame)
    size = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING)
    canvas = Canvas(scene(size, rng_of(place), rng))
    view = View(
        yaw=yaw + between(rng, -20, 20),
        pitch=camera.pitch + between(rng, -3, 3),
        scale=size[1] * walk.look.height * between(rng, 0.86, 0.92),
        origin=(size[0] * between(rng, 0.44, 0.56), size[1] * between(rng, 0.92, 0.955)),
    )
    gait = Gait(start + 67 * frame + between(rng, -15, 15), stride, arm_swing)
    return Pose(canvas, draw_person(canvas, view, walk.look, gait, rng), weather, rng)


def _shoot(walk: Walk, camera: Camera, frame: int, file_name: str) -> tuple[Image.Image, Annotation]:
    """One picture and its joints; in a quarter of them something hides a part of the body."""
    pose = _pose(walk, camera, frame)
    body = measure(pose.canvas)
    if chance(pose.rng, 0.25):
        occlude(pose.canvas, pose.rng)
    annotation = annotate(file_name, pose.canvas, body, pose.joints)
    return exposed(pose.canvas.picture(), varied(pose.light, pose.rng, 0.04), pose.rng), annotation


def _write_splits(path: Path, shared: int, train: int, seed: int) -> None:
    splits = []
    for number in range(SPLITS):
        order = [f"person_{person + 1:04d}" for person in random_order(rng_of(seed, 12, number), shared)]
        splits.append({"train": sorted(order[:train]), "test": sorted(order[train:])})
    path.write_text(json.dumps(splits, indent=0) + "\n", encoding="utf-8")


def _write_attributes(path: Path, looks: list[PersonLook]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["identity", *PERSON_ATTRIBUTES])
        for number, look in enumerate(looks, start=1):
            table.writerow([number, *(look.attributes[name] for name in PERSON_ATTRIBUTES)])
