"""Every stage's images a second on the device that is here, against a plain loop in the reference's way.

    python benchmarks/gpu.py [--identities 256] [--images 8] [--epochs 4]

On a GPU it is CLIP's RN50 at 256 x 128 with float16 towers, on a CPU the sample's small encoder in float32; weights are
random and pictures synthetic. The plain loop decodes files by PIL and torchvision, augments image by image, has NCHW
memory, autocast and a GradScaler on a GPU around everything, and reads its loss at each step. On a CPU all is smaller:
it takes some two minutes. Beside our figure stands
what share it is of the bare network: forward and backward on a batch that lies on the device. Keypoints, ranking and
re-ranking are compared as in their own benchmarks.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import torch
from hrnet import measured as measured_keypoints
from plain_loop import BATCH, DEVICE, ON_GPU, PROCESSES, Bench, Files, now, plain_rate, reference_autocast
from ranking import argsort_and_loop
from reranking import clustered_embeddings, dense
from result import Row, finish, times
from sizes import read_sizes
from stage1 import untruncated
from stage2 import PARAMS, synthetic_frames
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from auxreid.attributes.model import AttributeModel, build_backbone
from auxreid.attributes.train import fit
from auxreid.clip.embed import encode_frames
from auxreid.clip.pretrain import pretrain_clip
from auxreid.clipreid.attribute_targets import contrastive_identity
from auxreid.clipreid.losses import contrastive
from auxreid.clipreid.placeholders import plain_sentence
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import train_prompts
from auxreid.clipreid.stage2 import finetune_encoder
from auxreid.clipreid.stage2_losses import Stage2Losses, Supervision
from auxreid.evaluation.on_device import gpu
from auxreid.evaluation.ranking import rank_queries, squared_distances
from auxreid.evaluation.reranking import reranked_distances
from auxreid.plumbing.settings.load import load_config
from auxreid.pose.heatmaps import TORCH
from auxreid.training.precision import FULL, SCALED, tower_precision

IDENTITIES, IMAGES, EPOCHS = (256, 8, 4) if ON_GPU else (32, 4, 3)
STEPS = 3  # that are timed where there are no epochs
COLOURS = ["black", "white"]
PRECISION = SCALED if ON_GPU else FULL
QUERIES, GALLERY, DIM = (3368, 15913, 1280) if ON_GPU else (300, 3000, 512)
Report = Callable[..., None]


def prepare(folder: Path, identities: int, images: int, epochs: int) -> Bench:
    """Pictures of so many identities, packed and as files."""
    frames = synthetic_frames(folder / "frames.arrow", identities, images, {"color": COLOURS})
    files = [folder / f"{number}.jpg" for number in range(len(frames))]
    for number, path in enumerate(files):
        path.write_bytes(frames.image_bytes(number))
    recipe = load_config(PARAMS).recipes["rn50" if ON_GPU else "sample_people"]
    return Bench(frames, files, frames.identity - 1, recipe, epochs)


def epochs_rate(images: int, train: Callable[[Report], None]) -> float:
    """Images a second of our loop, from the end of its first epoch on; `images` are those of an epoch."""
    ends: list[float] = []
    train(lambda *_: ends.append(now()))
    return images * (len(ends) - 1) / (ends[-1] - ends[0])


def bare_rate(network: nn.Module, bench: Bench, backward: bool = True) -> float:
    """Images a second of forward and backward alone, as our loops run them, on a batch that lies on the device."""
    size = bench.recipe.input.height, bench.recipe.input.width
    network.to(DEVICE, memory_format=torch.channels_last).train(backward)
    images = torch.randn(BATCH, 3, *size, device=DEVICE).contiguous(memory_format=torch.channels_last)

    def step() -> int:
        with torch.set_grad_enabled(backward), tower_precision(PRECISION, DEVICE):
            made = network(images)
        if backward:
            sum(one.float().sum() for one in (made if isinstance(made, tuple) else (made,))).backward()
        return BATCH

    return steps_rate(step)


# the stages, each as (ours, the plain loop's, the bare network's) images a second


def pretrain(bench: Bench) -> tuple[float, float, float]:
    settings = SimpleNamespace(
        epochs=bench.epochs, batch_size=BATCH, lr=1e-5, image_lr_factor=1.0, weight_decay=0.05, warmup_epochs=0
    )
    image, text = bench.towers()
    frames, size = bench.frames, bench.recipe.input
    train = partial(pretrain_clip, image, text, frames, settings, size, 0, precision=PRECISION)
    ours = epochs_rate(len(frames) // BATCH * BATCH, train)
    image, text = bench.towers()
    tokens = open_clip.tokenize([f"a photo of a {COLOURS[0]} person"] * BATCH).to(DEVICE)  # one caption, all positions

    def loss_of(images: Tensor, identities: Tensor) -> Tensor:
        pair = F.normalize(image(images)[2], dim=1), F.normalize(text(tokens), dim=1)
        places = torch.arange(len(images), device=DEVICE)
        logits = 14 * pair[0] @ pair[1].T
        return (F.cross_entropy(logits, places) + F.cross_entropy(logits.T, places)) / 2

    plain = plain_rate(bench, nn.ModuleList([image, text]), loss_of)
    return ours, plain, bare_rate(image, bench)


def stage_1(bench: Bench) -> tuple[float, float, float | None]:
    """Images are cached features: the plain loop too has them, and encodes all positions of every image's sentence."""
    text = bench.towers()[1].requires_grad_(False).eval()
    count = int(bench.identities.max()) + 1
    features = torch.randn(len(bench.identities), text.dim)
    settings = SimpleNamespace(
        epochs=bench.epochs, batch_size=BATCH, lr=1e-3, weight_decay=0.0, warmup_epochs=0, warmup_lr=1e-5, min_lr=1e-6
    )

    def learner() -> PromptLearner:
        return PromptLearner(text.cpu(), [plain_sentence(bench.frames.meta.word, 4)] * count)

    started = learner(), features, bench.identities, contrastive_identity, settings
    ours = epochs_rate(len(features), partial(train_prompts, text, *started, precision=PRECISION))
    prompts = learner().to(DEVICE)
    model = text.to(DEVICE)
    optimizer = torch.optim.Adam(prompts.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=ON_GPU)
    labels, cached = torch.from_numpy(bench.identities).to(DEVICE), features.to(DEVICE)

    def step() -> int:
        batch = torch.randint(len(labels), (BATCH,), device=DEVICE)
        optimizer.zero_grad()
        with reference_autocast():
            texts = untruncated(model, prompts.learned, labels[batch])
        loss = sum(contrastive(cached[batch], texts.float(), contrastive_identity(labels[batch])))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        loss.item()
        return BATCH

    return ours, steps_rate(step), None


def stage_2(bench: Bench) -> tuple[float, float, float]:
    settings = bench.recipe.finetune.model_copy(update={"epochs": bench.epochs, "identities": 16, "instances": 4})
    encoder, _ = bench.towers()
    texts = torch.randn(int(bench.identities.max()) + 1, encoder.dims[2])
    seen: list[int] = []

    def train(report: Report) -> None:
        started = encoder, bench.frames, bench.identities, Supervision(texts), settings, 0
        finetune_encoder(*started, report, precision=PRECISION)

    with counted_images(encoder, seen):
        rate = epochs_rate(1, train)
    ours = rate * sum(seen) / bench.epochs  # P x K sampling decides how many images an epoch has
    encoder, _ = bench.towers()
    losses = Stage2Losses(encoder.dims, len(texts), Supervision(texts), settings)
    modules = nn.ModuleDict({"encoder": encoder, "losses": losses})
    plain = plain_rate(bench, modules, lambda images, identities: losses(encoder(images), identities)["loss"])
    return ours, plain, bare_rate(encoder, bench)


def attributes(bench: Bench) -> tuple[float, float, float]:
    size = bench.recipe.input
    name = "resnet50" if ON_GPU else "regnetx_002"
    values = {"backbone": name, "weights": None, "height": size.height, "width": size.width, "mean": size.mean}
    values |= {"std": size.std, "epochs": bench.epochs, "batch_size": BATCH, "lr": 1e-4, "backbone_lr_factor": 1.0}
    values |= {"weight_decay": 0.02, "warmup_epochs": 0, "label_smoothing": 0.0, "dropout": 0.0, "balance": "none"}
    values |= {
        "trained_stages": None,
        "views": None,
        "folds": None,
        "patience": None,
        "mixup": None,
        "mirrored": False,
        "augmentation": 1.0,
        "seed": 0,
    }
    settings, frames = SimpleNamespace(**values), bench.frames
    ours = epochs_rate(len(frames) // BATCH * BATCH, lambda report: fit(frames, settings, report, precision=PRECISION))
    model = AttributeModel(build_backbone(name, None), {"color": COLOURS})
    loss_of = lambda images, identities: F.cross_entropy(model(images)["color"], identities % 2)  # noqa: E731
    return ours, plain_rate(bench, model, loss_of), bare_rate(model.backbone, bench)


def encoding(bench: Bench) -> tuple[float, float, float]:
    encoder, _ = bench.towers()
    frames = bench.frames.take(np.resize(np.arange(len(bench.frames)), 2 * len(bench.frames)))

    def ours() -> int:
        encode_frames(encoder, frames, encoder.input_config, precision=PRECISION)
        return len(frames)

    @torch.no_grad()
    def plain() -> int:
        loader = DataLoader(Files(bench, False), 2 * BATCH, num_workers=PROCESSES)
        for images, _ in loader:
            with reference_autocast():
                torch.cat(encoder(images.to(DEVICE))[1:], dim=1).cpu()
        return len(bench.files)

    rates = steps_rate(ours, 1), steps_rate(plain, 1)
    return *rates, bare_rate(encoder, bench, backward=False)


STAGES = {"pretrain": pretrain, "stage 1": stage_1, "stage 2": stage_2, "attributes": attributes, "encoding": encoding}


def steps_rate(step: Callable[[], int], steps: int = STEPS) -> float:
    """Images a second of a function that returns how many it saw, after one call that does not count."""
    step()
    began = now()
    return sum(step() for _ in range(steps)) / (now() - began)


def counted_images(encoder: nn.Module, seen: list[int]):
    """Notes the images of each of the encoder's batches inside the block."""
    return encoder.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))


def stage_row(name: str, bench: Bench) -> Row:
    ours, plain, bare = STAGES[name](bench)
    share = "" if bare is None else f"bare image network {bare:,.0f} images/s: ours is {100 * ours / bare:.0f} % of it"
    figures = f"{plain:,.0f} images/s", f"{ours:,.0f} images/s", f"{ours / plain:.2f} x"
    return Row(name, "plain loop", *figures, remark=share)


def keypoints_row() -> Row:
    rates, _ = measured_keypoints(*((512, 2) if ON_GPU else (16, 1)))
    figures = (
        f"{rates['mmpose']:.1f} images/s",
        f"{rates[TORCH]:.1f} images/s",
        f"{rates[TORCH] / rates['mmpose']:.2f} x",
    )
    return Row("keypoints, HRNet-w32", "inference_topdown", *figures)


def evaluation_rows() -> Iterator[Row]:
    """Distances and ranking, then re-ranking, on the device."""
    query, gallery, *identities = clustered_embeddings(QUERIES, GALLERY, DIM)
    cameras = np.arange(QUERIES) % 6, np.arange(GALLERY) % 6
    size, device = f"{QUERIES} x {GALLERY} x {DIM}", gpu()
    pairs = {
        ("ranking", "numpy, argsort and loop"): (
            lambda: argsort_and_loop(squared_distances(query, gallery), *identities, *cameras),
            lambda: rank_queries(squared_distances(query, gallery, device), *identities, *cameras),
        ),
        ("re-ranking", "dense numpy"): (
            lambda: dense(query, gallery),
            lambda: reranked_distances(query, gallery, device=device),
        ),
    }
    for (name, reference), methods in pairs.items():
        seconds = []
        for method in methods:
            began = now()
            method()
            seconds.append(now() - began)
        yield Row(f"{name}, {size}", reference, *(f"{one:.2f} s" for one in seconds), times(*seconds))


def device_line() -> str:
    name = (
        torch.cuda.get_device_name() if ON_GPU else f"CPU, {torch.get_num_threads()} threads of {os.cpu_count()} cores"
    )
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}, open_clip {open_clip.__version__}"
    return f"{name}; {PRECISION}; {versions}"


def rows(identities: int = IDENTITIES, images: int = IMAGES, epochs: int = EPOCHS) -> list[Row]:
    """A row for each stage, and one that names the device."""
    with tempfile.TemporaryDirectory() as folder:
        bench = prepare(Path(folder), identities, images, epochs)
        found = [stage_row(name, bench) for name in STAGES]
    found += [keypoints_row(), *evaluation_rows()]
    return [*found, Row("device", "-", "-", "-", "-", remark=device_line())]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, identities=IDENTITIES, images=IMAGES, epochs=EPOCHS)))
