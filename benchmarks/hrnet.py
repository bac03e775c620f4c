"""HRNet-w32 at 256 x 192 over photographs: ours, by torch and by ONNX Runtime, against mmpose's own inference_topdown.

    python benchmarks/hrnet.py [--images 24] [--rounds 3]

The weights are random. Each round runs every method once, so that other work on the machine meets all of them; the
best round of each counts. Joints must be equal to 0.01 pixel, and heat maps' maxima and pooled values to 1e-4.

On a CPU the ratio is asked of ONNX Runtime (AUXREID_POSE_RUNTIME=onnx): there torch's convolutions, which mmpose uses
too, are nearly all of the time. On a GPU it is asked of torch.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from result import Asked, Row, finish
from sizes import read_sizes

from auxreid.pose.architecture import PoseSpec, build
from auxreid.pose.checkpoint import published_body
from auxreid.pose.heatmaps import ONNX, TORCH
from auxreid.pose.joints import mmpose_metainfo
from auxreid.pose.predict import Poses, pose_embedding, predict, view_pipeline

IMAGES, ROUNDS = 24, 3
SIZE = 128, 64  # of a photograph, as Market-1501's
LEAST_RATIO, MOST_PIXELS, MOST_HEAT = 1.5, 0.01, 1e-4
UNCOUNTED = 8  # images until a method is ready: a session is opened, memory is laid out


def network() -> tuple[torch.nn.Module, PoseSpec]:
    """With random weights, in the form that mmpose's inference takes."""
    torch.manual_seed(0)
    spec = PoseSpec("w32", tuple(published_body("coco").joints), (), 256, 192, padding=1.25, source="random")
    net = build(spec)
    make_lively(net, torch.randn(2, 3, 256, 192))
    net.to("cuda" if torch.cuda.is_available() else "cpu")
    net.cfg = Config({"test_dataloader": {"dataset": {"pipeline": view_pipeline(spec)}}})
    net.dataset_meta = parse_pose_metainfo(mmpose_metainfo(spec.joints))
    return net, spec


@torch.no_grad()
def make_lively(net: torch.nn.Module, images: torch.Tensor) -> None:
    """Random weights and fitting batch norms under which heat maps are as large as a trained network's, and as varied.

    Those of a fresh network are nearly constant: rounding would choose their maxima.
    """
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    net.train()(images, None, mode="tensor")
    heatmaps = net.eval()(images, None, mode="tensor")
    scale = 1 / (3 * heatmaps.std((0, 2, 3)))
    last = net.head.final_layer
    last.weight *= scale[:, None, None, None]
    last.bias.copy_((last.bias - heatmaps.mean((0, 2, 3))) * scale)


def pictures(count: int) -> list[np.ndarray]:
    """Smooth noise, RGB."""
    rng = np.random.default_rng(0)
    return [cv2.GaussianBlur(rng.integers(0, 256, (*SIZE, 3), np.uint8), (7, 7), 0) for _ in range(count)]


def by_mmpose(net: torch.nn.Module, images: list[np.ndarray]) -> Iterator[Poses]:
    """The reference: image by image."""
    for image in images:
        [sample] = inference_topdown(net, np.ascontiguousarray(image[..., ::-1]))
        found = sample.pred_instances
        keypoints = np.concatenate([found.keypoints, found.keypoint_scores[..., None]], axis=2)
        yield Poses(keypoints, pose_embedding(sample.pred_fields.heatmaps[None]).cpu().numpy())


def now() -> float:
    """Of a GPU the time; of a CPU its core-seconds, in which other work on the machine does not count."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def timed(batches: Iterator[Poses]) -> tuple[float, Poses]:
    """Images a second after the first ones, and all poses."""
    found, counted, started = [], 0, None
    for poses in batches:
        found.append(poses)
        if started is not None:
            counted += len(poses.keypoints)
        elif sum(len(one.keypoints) for one in found) >= UNCOUNTED:
            started = now()
    rate = counted / (now() - started)
    return rate, Poses(*(np.concatenate(column) for column in zip(*found, strict=True)))


def measured(images: int, rounds: int) -> tuple[dict[str, float], dict[str, Poses]]:
    """The best images a second of each method over the rounds, and what it found."""
    (net, spec), shown = network(), pictures(images)
    methods: dict[str, Callable[[], Iterator[Poses]]] = {"mmpose": lambda: by_mmpose(net, shown)}
    for runtime in (TORCH, ONNX):
        methods[runtime] = partial(predict, net, spec, shown, runtime=runtime)
    rates, found = dict.fromkeys(methods, 0.0), {}
    for _ in range(rounds):
        for name, run in methods.items():
            rate, found[name] = timed(run())
            rates[name] = max(rates[name], rate)
    return rates, found


def row(runtime: str, rates: dict[str, float], found: dict[str, Poses]) -> Row:
    """A runtime against mmpose."""
    ours, theirs, ratio = found[runtime], found["mmpose"], rates[runtime] / rates["mmpose"]
    apart = np.abs(ours.keypoints - theirs.keypoints)
    pixels = float(apart[..., :2].max())
    heat = max(float(apart[..., 2].max()), float(np.abs(ours.embedding - theirs.embedding).max()))
    asked = [Asked("pixels", pixels, most=MOST_PIXELS), Asked("heat", heat, most=MOST_HEAT)]
    if runtime == ONNX or torch.cuda.is_available():
        asked.append(Asked("ratio", ratio, least=LEAST_RATIO))
    unit = "images/s" if torch.cuda.is_available() else "images/core-s"
    figures = (f"{rates[name]:.2f} {unit}" for name in ("mmpose", runtime))
    remark = f"joints to {pixels:.0e} pixel, heat maps to {heat:.0e}; threads: {torch.get_num_threads()}"
    name = f"keypoints, HRNet-w32, {runtime}"
    return Row(name, "inference_topdown", *figures, f"{ratio:.2f} x", tuple(asked), remark)


def rows(images: int = IMAGES, rounds: int = ROUNDS) -> list[Row]:
    """A row for each runtime."""
    rates, found = measured(images, rounds)
    return [row(runtime, rates, found) for runtime in (TORCH, ONNX)]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, images=IMAGES, rounds=ROUNDS)))
