"""Fitting an HRNet to annotated frames, through mmpose's data sets and mmengine's Runner."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from auxreid.data.frames import Frames
from auxreid.plumbing.base.errors import DataError
from auxreid.pose.architecture import PoseSpec, import_mmpose, model_config
from auxreid.pose.coco_export import ANNOTATIONS, IMAGES, export_coco
from auxreid.pose.joints import mmpose_metainfo
from auxreid.pose.pck import pck
from auxreid.pose.predict import FrameImages, predict_all
from auxreid.training.state import Checkpoint, EpochLosses, Part, State, TorchRandom, continue_from, save_epoch

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner
    from torch import nn

FITTED_PADDING = 1.0  # the crop is seen as it is
FITTED_SPLITS = ("train", "none")  # no query and no gallery
WEIGHT_DECAY = 1e-4
WARMUP = 0.05  # share of the iterations over which the learning rate rises
ROTATION = 20.0  # degrees
SCALE = (0.85, 1.15)
SHIFT = 0.05  # of the box
CLIP = 1.0  # gradient norm
MEASUREMENTS = 3  # of the held-out PCK during a fit
LOADING_PROCESSES = 1  # a fixed number, as each draws its own views; on a CPU it costs as much as a small network


class FitSettings(Protocol):
    """The keys of recipes.<name>.pose in params.yaml that fitting reads."""

    epochs: int
    batch_size: int
    lr: float
    seed: int


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to."""

    number: int  # from 1
    loss: float  # mean over the iterations
    pck: float | None  # PCK@0.1 on the held-out frames, where it was measured after this epoch


def choose_frames(frames: Frames, held_out: float, max_images: int | None, seed: int) -> tuple[Frames, Frames]:
    """The annotated frames to fit on and those held out; no individual is in both.

    Fitting uses frames that no evaluation asks for or searches (splits "train" and "none") where any of them is
    annotated, and frames of every split otherwise. Whole individuals are held out, in seeded order, until they make up
    `held_out` of the annotated frames (or of `max_images`): individuals outside those splits where there are annotated
    ones, else some of those to fit on.

    Raises:
        DataError: the annotated frames do not suffice for both parts.
    """
    _, annotated = frames.keypoints()
    individual = individuals(frames)
    unseen = annotated & np.isin(frames.split.astype(str), FITTED_SPLITS)
    outside = annotated & ~np.isin(individual, individual[unseen])
    usable = unseen if unseen.any() else annotated
    pool = outside if unseen.any() and outside.any() else usable
    rng = np.random.default_rng(seed)
    total = min(int(annotated.sum()), max_images or len(frames))
    chosen = _take_individuals(individual, pool, held_out * total, rng)
    to_fit = np.flatnonzero(usable & ~chosen)
    if not len(to_fit) or not chosen.any():
        raise DataError(
            f"data set {frames.meta.dataset!r}: {annotated.sum()} frames of {len(np.unique(individual[annotated]))} "
            "individuals have keypoints; fitting and holding out need at least two individuals"
        )
    if max_images is not None and len(to_fit) > max_images:
        to_fit = np.sort(rng.choice(to_fit, max_images, replace=False))
    return frames.take(to_fit), frames.take(np.flatnonzero(chosen))


def individuals(frames: Frames) -> np.ndarray:
    """[n] names that keep together what may show one individual: its identity, else its sequence, else the frame."""
    known = frames.identity > 0
    by_sequence = np.where(frames.sequence != "", "sequence " + frames.sequence, "")
    unknown = np.where(by_sequence != "", by_sequence, "frame " + frames.frame_id.astype(str).astype(object))
    return np.where(known, "identity " + frames.identity.astype(str).astype(object), unknown).astype(str)


def _take_individuals(individual: np.ndarray, pool: np.ndarray, wanted: float, rng: np.random.Generator) -> np.ndarray:
    """bool [n]: frames of the pool, whole individuals in random order until `wanted` frames are reached."""
    names, sizes = np.unique(individual[pool], return_counts=True)
    order = rng.permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]
    return pool & np.isin(individual, names[order[before < wanted]])


def fit(
    spec: PoseSpec,
    training: Frames,
    held_out: Frames,
    settings: FitSettings,
    on_epoch: Callable[[Epoch], None],
    checkpoint: Checkpoint | None = None,
) -> "nn.Module":
    """Fit an HRNet from a random initialisation and return it in eval mode.

    Top-down heat maps with mean squared error, AdamW, linear warm-up and cosine decay; mirrored (with left and right
    joints swapped), rotated, scaled and shifted views. Equal frames and settings give equal weights on one kind of CPU.

    Args:
        on_epoch: called after each epoch; PCK@0.1 on `held_out` is measured some three times and after the last one.
        checkpoint: keeps the state after each epoch; a fit that was killed goes on from the last one.
    """
    import_mmpose()
    from mmengine.runner import Runner

    import auxreid.pose.transforms  # noqa: F401  (registers what `training_pipeline` names)

    with tempfile.TemporaryDirectory(prefix="auxreid-pose-") as folder:
        export_coco(training, Path(folder) / "coco")
        runner = Runner.from_cfg(runner_config(spec, training, settings, Path(folder)))
        runner.register_hook(_epoch_hook(spec, held_out, on_epoch, checkpoint))
        with redirect_stdout(None):  # the COCO reader prints how it gets on
            _ = runner.train_loop  # builds the data loader
        net = runner.train()
    return net.eval()


def runner_config(spec: PoseSpec, training: Frames, settings: FitSettings, folder: Path) -> "Config":
    """mmengine's configuration of the fit; `folder`/coco holds the exported frames, nothing else is written."""
    from mmengine.config import Config

    iterations = settings.epochs * max(1, len(training) // settings.batch_size)
    warmup = max(1, round(WARMUP * iterations))
    return Config(
        {
            "default_scope": "mmpose",
            "work_dir": str(folder / "work"),
            "log_level": "WARNING",
            "visualizer": {"type": "Visualizer", "vis_backends": []},
            "default_hooks": {"logger": None, "checkpoint": None, "timer": None},
            "randomness": {"seed": settings.seed},
            "model": model_config(spec),
            "train_dataloader": _loader(spec, training, settings, folder / "coco"),
            "train_cfg": {"by_epoch": True, "max_epochs": settings.epochs},
            "optim_wrapper": {
                "optimizer": {"type": "AdamW", "lr": settings.lr, "weight_decay": WEIGHT_DECAY, "fused": True},
                "clip_grad": {"max_norm": CLIP},
            },
            "param_scheduler": [
                {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": warmup},
                {
                    "type": "CosineAnnealingLR",
                    "T_max": max(1, iterations - warmup),
                    "by_epoch": False,
                    "begin": warmup,
                    "end": iterations,
                    "eta_min": settings.lr / 100,
                },
            ],
        },
        format_python_code=False,  # it would be formatted three times over for a log that nobody reads
    )


def _loader(spec: PoseSpec, training: Frames, settings: FitSettings, folder: Path) -> dict[str, Any]:
    return {
        "batch_size": settings.batch_size,
        "num_workers": LOADING_PROCESSES,
        "persistent_workers": False,  # a process that outlives an epoch has drawn what no checkpoint can hold
        "worker_init_fn": {"type": "keep_torch_seeds"},
        "drop_last": len(training) > settings.batch_size,  # a last batch of one image would upset batch normalisation
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "dataset": {
            "type": "CocoDataset",
            "data_root": str(folder),
            "ann_file": ANNOTATIONS,
            "data_prefix": {"img": f"{IMAGES}/"},
            "metainfo": mmpose_metainfo(spec.joints),
            "pipeline": training_pipeline(spec),
        },
    }


def training_pipeline(spec: PoseSpec) -> list[dict[str, Any]]:
    """mmpose's transforms for one training view."""
    model = model_config(spec)
    return [
        {"type": "LoadImage"},
        {"type": "PhotometricDistortion"},  # or a camera's light would tell front from back, and left from right
        {"type": "GetBBoxCenterScale", "padding": spec.padding},
        {"type": "RandomFlip", "direction": "horizontal"},
        {
            "type": "UniformBBoxTransform",
            "shift_factor": SHIFT,
            "shift_prob": 0.5,
            "scale_factor": SCALE,
            "rotate_factor": ROTATION,
        },
        {"type": "TopdownAffine", "input_size": (spec.width, spec.height)},
        {"type": "GenerateTarget", "encoder": model["head"]["decoder"]},
        {"type": "PackPoseInputs", "meta_keys": ()},  # a loss needs none, and copying them takes a fifth of the time
    ]


class Schedules:
    """mmengine's schedules of the learning rate as one part of a training's state."""

    def __init__(self, schedules: Sequence[Any]) -> None:
        self.schedules = schedules

    def state_dict(self) -> State:
        return {"schedules": [schedule.state_dict() for schedule in self.schedules]}

    def load_state_dict(self, state: State) -> None:
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)


def _parts(runner: "Runner") -> dict[str, Part]:
    """All that an epoch changes. The order of the images follows from the epoch's number, their views from torch."""
    schedules = Schedules(runner.param_schedulers)
    return {"model": runner.model, "optimizer": runner.optim_wrapper, "schedules": schedules, "random": TorchRandom()}


def _epoch_hook(
    spec: PoseSpec, held_out: Frames, on_epoch: Callable[[Epoch], None], checkpoint: Checkpoint | None
) -> Any:
    import torch
    from mmengine.hooks import Hook

    truth, _ = held_out.keypoints()

    class EpochHook(Hook):
        """Hands each epoch's mean loss and, at times, held-out PCK to `on_epoch`, and saves its state."""

        def before_train(self, runner: Any) -> None:
            self.threads = torch.get_num_threads()
            torch.set_num_threads(max(1, self.threads - LOADING_PROCESSES))  # each process its own cores
            runner.model.to(memory_format=torch.channels_last)  # 1.6 times as fast on a CPU
            self.parts = _parts(runner)
            loop = runner.train_loop
            loop._epoch = continue_from(checkpoint, self.parts)  # as Runner.resume sets them
            loop._iter = loop._epoch * len(loop.dataloader)

        def after_train(self, runner: Any) -> None:
            torch.set_num_threads(self.threads)

        def before_train_epoch(self, runner: Any) -> None:
            self.losses = EpochLosses("pose", "lower pose.lr")

        def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
            self.losses.add({"loss": outputs["loss"]})

        def after_train_epoch(self, runner: Any) -> None:
            number, last = runner.epoch + 1, runner.max_epochs
            due = number == last or number % max(1, last // MEASUREMENTS) == 0
            loss = float(np.mean(self.losses.read(number)["loss"].tolist()))
            on_epoch(Epoch(number, loss, self.measure(runner.model) if due else None))
            save_epoch(checkpoint, number, self.parts)

        def measure(self, net: "nn.Module") -> float:
            net.eval()  # the Runner itself returns to training mode at the start of an epoch
            predicted = predict_all(net, spec, FrameImages(held_out))
            return pck(predicted[..., :2], truth).overall

    return EpochHook()
