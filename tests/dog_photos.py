"""Photographs of dogs that are told apart by colour: a folder of them, and a network that sees the colour alone."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from auxreid.assembling.networks import Network
from auxreid.assembling.run import Assembly, Wishes, assemble

# Hues far apart, so that the mean colour tells who it is.
COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 40, 220),
    "yellow": (220, 210, 30),
    "cyan": (30, 210, 220),
    "pink": (220, 40, 210),
    "white": (235, 235, 235),
    "black": (20, 20, 20),
}
WIDTH = 32  # of the features
EXIF_IFD, TAKEN, PART = 0x8769, 0x9003, 0x9291


def dog_pixels(dog: str, view: int, size: int = 64) -> np.ndarray:
    """uint8 RGB: the dog's colour under a pattern of patches, another one for each view."""
    rng = np.random.default_rng([*dog.encode(), view])
    patches = cv2.resize(rng.integers(-60, 60, (8, 8, 1)).astype(np.float32), (size, size), interpolation=0)
    noise = rng.normal(0, 6, (size, size, 3))
    colour = np.array(COLOURS[dog]) + rng.normal(0, 3, 3)
    return np.clip(colour + patches[..., None] * 0.8 + noise, 0, 255).astype(np.uint8)


def put_photo(path: Path, pixels: np.ndarray, taken: str | None = None, part: str | None = None) -> Path:
    """Write a photograph, with a time if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    if taken is not None:
        exif.get_ifd(EXIF_IFD).update({TAKEN: taken, **({PART: part} if part else {})})
    image.save(path, exif=exif, **({"quality": 95} if path.suffix == ".jpg" else {}))
    return path


def put_dogs(folder: Path, views: range = range(5), dogs=tuple(COLOURS), suffix: str = ".jpg") -> dict[str, str]:
    """A photograph of each view of each dog; returns who is on which, by the files' names."""
    who = {f"{view}-{dog}{suffix}": dog for dog in dogs for view in views}
    for name, dog in who.items():
        put_photo(folder / name, dog_pixels(dog, int(name.partition("-")[0])))
    return who


def features(items) -> np.ndarray:
    """A direction for each dog, told by the mean colour, and noise that only depends on the photograph."""
    directions = np.random.default_rng(0).normal(size=(len(COLOURS), WIDTH))
    rows = []
    for item in items:
        colour = cv2.imread(str(item.path), cv2.IMREAD_COLOR_RGB).reshape(-1, 3).mean(axis=0)
        dog = np.linalg.norm(np.array(list(COLOURS.values())) - colour, axis=1).argmin()
        rows.append(directions[dog] + np.random.default_rng(int(item.photo, 16)).normal(0, 0.3, WIDTH))
    return np.array(rows, np.float32)


BY_COLOUR = Network("colour", "0" * 64, features)


def run(out: Path, *folders: Path, network: Network = BY_COLOUR, **wishes) -> Assembly:
    """Assemble with the network that sees colours."""
    return assemble(list(folders), Wishes(out, network, **wishes))


def dogs_of(assembly: Assembly, who: Mapping[str, str]) -> list[list[str]]:
    """Who is in each proposed dog, by the labels."""
    items = assembly.found.items
    return [sorted(who[items[photo].path.name] for photo in one.photos) for one in assembly.found.dogs.values()]


def photo_of(assembly: Assembly, name: str) -> str:
    """The photograph of a file."""
    return next(photo for photo, item in assembly.found.items.items() if item.path.name == name)


def dog_of(assembly: Assembly, name: str) -> str:
    """The dog of a file."""
    photo = photo_of(assembly, name)
    return next(dog for dog, one in assembly.found.dogs.items() if photo in one.photos)


def contents(folder: Path) -> dict[str, bytes]:
    """All bytes below a folder, hidden files included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
