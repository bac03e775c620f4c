"""Profile of a training step of stage 2: the network itself should be nearly all of it.

    python benchmarks/stage2.py [--identities 64] [--images 8] [--epochs 4]

The real loop trains the encoders of two recipes of params.yaml, from random weights on synthetic JPEGs. Beside it the
same loop runs as the reference does: PIL and torchvision transforms image by image, and NCHW memory.
"""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from PIL import Image
from result import Asked, Row, finish, print_table, times
from sizes import read_sizes
from stage2_profile import LOADER, NETWORK, OPTIMIZER, PARTS, Profile, profile_stage2
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import transforms

from auxreid.clip.build import build_towers
from auxreid.clip.images import PADDING, Draw
from auxreid.clipreid import stage2
from auxreid.data.frames import Frames, FramesMeta, open_frames, write_frames
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.settings.recipes import RecipeConfig

PARAMS = Path(__file__).parents[1] / "params.yaml"
ENCODERS = {"small encoder": "sample_people", "lite0 encoder": "lite0"}  # their recipes
IDENTITIES, IMAGES, EPOCHS = 64, 8, 4
FRAME = 128, 64  # height and width of a picture in pixels, as Market-1501's; an encoder may see it smaller
PATCHES = 8, 4  # rows and columns of the noise that a picture is smoothed from
LEAST_SHARE = 85  # per cent


class PilImages(Dataset):
    """Frames augmented by torchvision one by one, with its own random numbers. Items are float32 [3, h, w]."""

    def __init__(self, frames: Frames, height: int, width: int, mean: tuple[float, ...], std: tuple[float, ...]):
        self.frames = frames
        self.transform = transforms.Compose(
            [
                transforms.Resize((height, width), transforms.InterpolationMode.BICUBIC),
                transforms.RandomHorizontalFlip(),
                transforms.Pad(PADDING),
                transforms.RandomCrop((height, width)),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, draw: Draw) -> Tensor:
        return self.transform(Image.open(io.BytesIO(self.frames.image_bytes(draw[0]))).convert("RGB"))


@contextmanager
def as_reference(size) -> Iterator[None]:
    """Inside, stage 2 takes PilImages normalised to `size` (an input section), and its encoder lies in NCHW."""
    row_encoder = stage2.row_encoder

    def contiguous(encoder, frames):
        return row_encoder(encoder.to(memory_format=torch.contiguous_format), frames)

    with (
        patch.object(stage2, "TrainImages", partial(PilImages, mean=size.mean, std=size.std)),
        patch.object(stage2, "normalise", lambda images, _: images),
        patch.object(stage2, "row_encoder", contiguous),
    ):
        yield


def synthetic_frames(
    path: Path, identities: int, images: int, attributes: dict[str, list[str]] | None = None
) -> Frames:
    """Random smooth pictures of FRAME, as JPEG; `images` of each identity, with the attributes' words in turn."""
    height, width = FRAME
    rng, rows = np.random.default_rng(0), []
    for number in range(identities * images):
        pixels = cv2.resize(rng.integers(0, 256, (*PATCHES, 3), np.uint8), (width, height))
        row = {"path": f"{number}.jpg", "split": "train", "identity": number // images + 1}
        row |= {"width": width, "height": height, "image": cv2.imencode(".jpg", pixels)[1].tobytes()}
        row |= {f"attr_{name}": words[number % len(words)] for name, words in (attributes or {}).items()}
        rows.append(row)
    write_frames(path, rows, FramesMeta("synthetic", "market1501", "market1501", "person", attributes=attributes or {}))
    return open_frames(path)


def profile_recipe(recipe: RecipeConfig, frames: Frames, epochs: int) -> Profile:
    """Of the recipe's encoder with random weights, against random texts."""
    torch.manual_seed(0)
    encoder, _ = build_towers(recipe.encoder, (recipe.input.height, recipe.input.width), weights=False)
    encoder.input_config = recipe.input
    identities = frames.identity - 1
    texts = torch.randn(int(identities.max()) + 1, encoder.dims[2])
    return profile_stage2(encoder, frames, identities, texts, recipe.finetune.model_copy(update={"epochs": epochs}))


def profiles(identities: int, images: int, epochs: int) -> dict[str, tuple[Profile, Profile]]:
    """The reference's profile and ours for each encoder."""
    config, found = load_config(PARAMS), {}
    with tempfile.TemporaryDirectory() as folder:
        frames = synthetic_frames(Path(folder) / "frames.arrow", identities, images)
        for name, key in ENCODERS.items():
            recipe = config.recipes[key]
            with as_reference(recipe.input):
                reference = profile_recipe(recipe, frames, epochs)
            found[name] = reference, profile_recipe(recipe, frames, epochs)
    return found


def encoder_rows(name: str, reference: Profile, ours: Profile) -> list[Row]:
    """The network's share of our step, and our step against the reference's."""
    whole, network = ours.milliseconds(), ours.milliseconds(*NETWORK)
    share, threads = ours.share(*NETWORK), torch.get_num_threads()
    shown = f"{whole:.0f} ms", f"{network:.0f} ms", f"{share:.1f} %"
    remark = f"loader {ours.share(LOADER):.1f} %, optimizer {ours.share(OPTIMIZER):.1f} %; threads: {threads}"
    asked = (Asked("network's share in %", share, least=LEAST_SHARE),)
    slow = reference.milliseconds()
    figures = f"{slow:.0f} ms", f"{whole:.0f} ms", times(slow, whole)
    loaders = f"loader {reference.milliseconds(LOADER):.1f} and {ours.milliseconds(LOADER):.1f} ms"
    return [
        Row(f"stage 2 step, {name}: network alone", "whole step", *shown, asked, remark),
        Row(f"stage 2 step, {name}", "PIL transforms, NCHW", *figures, remark=loaders),
    ]


def rows(identities: int = IDENTITIES, images: int = IMAGES, epochs: int = EPOCHS) -> list[Row]:
    """Two rows for each encoder."""
    found = profiles(identities, images, epochs)
    return [row for name, pair in found.items() for row in encoder_rows(name, *pair)]


def print_profiles(found: dict[str, tuple[Profile, Profile]]) -> None:
    """A mean step part by part, a column for each profile."""
    columns = [one for pair in found.values() for one in pair]
    headings = [f"{name}, {whose}" for name in found for whose in ("reference", "ours")]
    lines = [[part, *(f"{p.milliseconds(part):.2f} ms, {p.share(part):.1f} %" for p in columns)] for part in PARTS]
    whole = ["whole", *(f"{p.milliseconds():.2f} ms, mean of {p.steps} steps" for p in columns)]
    print_table(["part of a step", *headings], [*lines, whole])


def main() -> None:
    """Print the profiles, then the rows."""
    found = profiles(**read_sizes(__doc__, identities=IDENTITIES, images=IMAGES, epochs=EPOCHS))
    print_profiles(found)
    finish([row for name, pair in found.items() for row in encoder_rows(name, *pair)])


if __name__ == "__main__":
    main()
