"""A data set of 50,000 frames from its folder to its metric model: images a second, and memory within 2 GB.

    python benchmarks/large_set.py [--dogs 500] [--frames 100]

Rendered dogs (two photographs of each; shifted, darker or brighter variants of them are further frames) are written as
small JPEGs in the dogs' layout, and the stages run as `dvc repro` runs them, in a clone of the committed state, with
the sample's settings but for one epoch of attributes' training and two metric rows. The references are the least that
the work costs on the same machine: decoding the files by PIL, the bare network on batches that lie in memory, and
reading the files once. Memory is the most that a stage and the DVC above it had at a time, what they share counted
once. It takes some ten minutes at that size.
"""

import csv
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import torch
import yaml
from PIL import Image
from result import Asked, Row, finish, times
from sizes import read_sizes

from auxreid.attributes.dataset import train_loader
from auxreid.attributes.model import AttributeModel, build_backbone
from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.settings.load import load_config
from auxreid.sample.dog_set import render_dogs

ROOT = Path(__file__).parents[1]
DOGS, FRAMES = 500, 100
NAME, ROWS = "large", ("untouched", "verification")
MOST_GB = 2.0
BATCH, STEPS, DECODED = 64, 5, 40  # batches
PERIOD = 0.2  # seconds between two looks at the memory
Shape = tuple[int, int, int]


def rows(dogs: int = DOGS, frames: int = FRAMES) -> list[Row]:
    """A row for each stage, and one for nothing to do."""
    with tempfile.TemporaryDirectory(prefix="auxreid-large-") as folder:
        root = Path(folder, "clone")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(root)], check=True)
        files = make_set(root / "raw" / NAME, dogs, frames)
        name_it(root)
        return [*stage_rows(root, files), nothing_to_do(root, files)]


# the set


def make_set(target: Path, dogs: int, frames: int) -> list[Path]:
    """So many frames of each dog in the dogs' layout: two rendered photographs and variants of them."""
    rendered = render_dogs(target.parent / "rendered", dogs=dogs, sequences=(2, 2), frames=1)
    with (rendered / "frames.csv").open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    (target / "frames").mkdir(parents=True)
    rng, files = np.random.default_rng(0), []
    with (target / "frames.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, known[0].keys(), lineterminator="\n")
        table.writeheader()
        for photograph in known:
            picture = np.asarray(Image.open(rendered / photograph["path"]))
            for number in range(frames // 2):
                path = f"frames/{photograph['sequence']}_{number:03d}.jpg"
                variant(picture, rng).save(target / path, quality=85)
                files.append(target / path)
                table.writerow(photograph | {"path": path, "sequence": f"{photograph['sequence']}_{number // 25}"})
    return files


def variant(picture: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """The photograph, moved by some pixels, and darker or brighter."""
    moved = np.roll(picture, rng.integers(-6, 7, 2), axis=(0, 1))
    return Image.fromarray(np.clip(moved * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8))


def name_it(root: Path) -> None:
    """The set as the only one of the clone's study, with the sample's recipe."""
    path = root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    entry = {"layout": "dogs", "folder": f"raw/{NAME}", "protocol": "dogs", "word": "dog", "recipe": "sample_dogs"}
    params["datasets"][NAME] = entry
    params["study"] |= {"datasets": [NAME], "seeds": [0], "metric_rows": list(ROWS)}
    params["recipes"]["sample_dogs"]["attributes"]["epochs"] = 1
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    run(root, "auxreid.cli", "plan")
    repro(root, "sources")


# the stages


def stage_rows(root: Path, files: list[Path]) -> Iterator[Row]:
    """Each stage's wall-clock time in images a second, beside the least that the machine needs for it."""
    count = len(files)
    seconds, peak = repro(root, f"ingest@{NAME}")
    yield row(f"ingest, {count} files", "decoding by PIL", rate_of(decode, files), count / seconds, peak)
    frames = open_frames(root / f"results/ingest/{NAME}/frames.arrow")
    settings = load_config(root / "params.yaml").recipes["sample_dogs"].attributes
    shape = 3, settings.height, settings.width
    trained = frames.where("train")

    seconds, peak = repro(root, f"attributes@{NAME}")
    forward, learning = (bare_rate(settings.backbone, shape, backward) for backward in (False, True))
    needed = len(trained) / learning + count / forward  # one epoch, and a prediction of every frame
    decoding = rate_of(lambda _: decoded(trained, settings), [None]) * BATCH * DECODED
    remark = (
        f"{seconds:.0f} s; decoded and augmented alone: {decoding:,.0f} images/s, the bare training {learning:,.0f}"
    )
    name = f"attributes, an epoch of {len(trained)} and {count} predictions"
    bounds = Asked("decoding over training", decoding / learning, least=1.0)
    yield row(
        name, "bare network", (len(trained) + count) / needed, (len(trained) + count) / seconds, peak, remark, bounds
    )

    seconds, peak = repro(root, f"metric_features@{NAME}-0")
    encoded = encoded_images(root)
    yield row(f"metric_features, {encoded} images and views", "bare network", forward, encoded / seconds, peak)
    seconds, peak = repro(root, f"metric@{NAME}-{ROWS[1]}-0")
    yield row(f"metric, {ROWS[1]}, {count} images", "-", None, count / seconds, peak, f"{seconds:.0f} s")
    seconds, peak = repro(root)
    yield row(f"metric, {ROWS[0]}, and the table", "-", None, count / seconds, peak, f"{seconds:.0f} s")


def row(
    name: str, reference: str, least: float | None, ours: float, peak: float, remark: str = "", *bounds: Asked
) -> Row:
    """A row of images a second; `least` is None where nothing is to compare with."""
    figures = ("-" if least is None else f"{least:,.0f} images/s", f"{ours:,.0f} images/s")
    ratio = "-" if least is None else f"{ours / least:.2f}"
    asked = (Asked("peak GB", peak, most=MOST_GB), *bounds)
    return Row(name, reference, *figures, ratio, asked, ", ".join(filter(None, (f"{peak:.2f} GB peak", remark))))


def nothing_to_do(root: Path, files: list[Path]) -> Row:
    """`dvc repro` when everything is there, against reading and hashing the folder's files once."""
    again, peak = repro(root)
    reading = len(files) / rate_of(read, files)
    figures = f"{reading:.1f} s", f"{again:.1f} s", times(reading, again)
    asked = (Asked("peak GB", peak, most=MOST_GB),)
    return Row("dvc repro, nothing to do", "MD5 of every file", *figures, asked, f"{peak:.2f} GB peak")


def encoded_images(root: Path) -> int:
    """How many images went through the encoder: all as they are, and the training images once per view."""
    from safetensors import safe_open

    with safe_open(root / f"results/metric_features/{NAME}-0/features.safetensors", "pt") as tensors:
        views, learnt, _ = tensors.get_slice("views").get_shape()
        return tensors.get_slice("plain").get_shape()[0] + (views - 1) * learnt


# processes and references


def repro(root: Path, *stages: str) -> tuple[float, float]:
    """Seconds and peak GB of `dvc repro` of these stages alone, or of all."""
    with most_memory() as peak:
        began = time.perf_counter()
        run(root, "dvc", "repro", *(("-s", *stages) if stages else ()))
        return time.perf_counter() - began, peak() / 1e9


def run(root: Path, module: str, *arguments: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(root / "src"), "AUXREID_LIVE": "off"}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")


@contextmanager
def most_memory() -> Iterator[Callable[[], float]]:
    """The block in which the memory of all that this process has started is looked at; gives its peak so far, bytes."""
    ended, found = threading.Event(), [0]

    def look() -> None:
        while not ended.wait(PERIOD):
            found[0] = max(found[0], sum(map(proportional_bytes, psutil.Process().children(recursive=True))))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lambda: found[0]
    finally:
        ended.set()
        thread.join()


def proportional_bytes(process: psutil.Process) -> int:
    """A process's own memory and its part of what it shares; 0 of one that has ended."""
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def rate_of(work: Callable, items: list) -> float:
    """How many items a second a function is done with."""
    began = time.perf_counter()
    for item in items:
        work(item)
    return len(items) / (time.perf_counter() - began)


def decode(path: Path) -> None:
    Image.open(io.BytesIO(path.read_bytes())).load()


def read(path: Path) -> None:
    hashlib.md5(path.read_bytes()).digest()


def decoded(frames: Frames, settings) -> None:
    """Batches as the training sees them, without a network."""
    loader = train_loader(frames, {}, settings.model_copy(update={"batch_size": BATCH}))
    for _, _ in zip(range(DECODED), loader, strict=False):
        pass


def bare_rate(backbone: str, shape: Shape, backward: bool) -> float:
    """Images a second of the network on batches that lie in memory."""
    model = AttributeModel(build_backbone(backbone, None), {"color": ["black", "white"]}).train(backward)
    model.to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, *shape).contiguous(memory_format=torch.channels_last)

    def step(_: object) -> None:
        with torch.set_grad_enabled(backward):
            made = model(images)["color"]
        if backward:
            made.sum().backward()

    step(None)
    return BATCH * rate_of(step, [None] * STEPS)


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, dogs=DOGS, frames=FRAMES)))
