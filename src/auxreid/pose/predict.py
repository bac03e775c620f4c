"""Batched inference with a top-down HRNet: keypoints in image pixels, and the pose embedding."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from auxreid.pose.architecture import IMAGENET_MEAN, IMAGENET_STD, STRIDE, PoseSpec, import_mmpose
from auxreid.pose.heatmaps import TORCH, open_network
from auxreid.pose.joints import flip_indices

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

BATCH_SIZE = 64
BATCH_ON_CPU = 8  # more leave the caches, and gain nothing
GRID = (8, 4)  # rows and columns that the embedding pools a heat map to
View = tuple["Tensor", "Tensor"]  # uint8 RGB [h, w, 3]; centre and size of the box in the image's pixels, float32 [4]


class Poses(NamedTuple):
    """What HRNet says of a batch of images."""

    keypoints: np.ndarray  # float32 [b, J, 3]: x, y in pixels of the image, and the confidence
    embedding: np.ndarray  # float32 [b, J * 32]


class FrameImages(Sequence):
    """The pictures of frames, each decoded when it is asked for."""

    def __init__(self, frames: Any):
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.frames.image(index)


def predict(
    net: "nn.Module",
    spec: PoseSpec,
    images: Sequence[np.ndarray],
    batch_size: int | None = None,
    runtime: str = TORCH,
) -> Iterator[Poses]:
    """Run HRNet over RGB images [h, w, 3] of any sizes; the whole image is the box of the body.

    View, network, mirroring and decoding are those of mmpose's `inference_topdown`, many images at a time and to
    rounding. The confidence is the maximum of the joint's heat map. The network itself is left as it is.

    Raises:
        RuntimeError: the network is in training mode, in which batch normalisation would drift.
    """
    import torch
    from torch.utils.data import DataLoader

    from auxreid.training.decoding import decoding_processes

    if net.training:
        raise RuntimeError("predict needs the network in eval mode: call net.eval()")
    import_mmpose()
    network, device = open_network(net, (spec.height, spec.width), runtime)
    views, pinned = _Views(images, spec), torch.cuda.is_available()
    size = batch_size or (BATCH_ON_CPU if device.type == "cpu" else BATCH_SIZE)
    processes = decoding_processes(views, range(len(images)))
    poses_of = _decoder(network, spec, device)
    for pixels, boxes in DataLoader(views, size, num_workers=processes, pin_memory=pinned):
        with torch.inference_mode():
            keypoints, embedding = poses_of(*(one.to(device, non_blocking=True) for one in (pixels, boxes)))
        yield Poses(keypoints.cpu().numpy(), embedding.cpu().numpy())


def predict_all(net: "nn.Module", spec: PoseSpec, images: Sequence[np.ndarray]) -> np.ndarray:
    """The keypoints of all images at once: float32 [n, J, 3]."""
    batches = [poses.keypoints for poses in predict(net, spec, images)]
    return np.concatenate(batches) if batches else np.zeros((0, len(spec.joints), 3), np.float32)


def view_pipeline(spec: PoseSpec) -> list[dict[str, Any]]:
    """mmpose's test pipeline: the box, padded and widened to the input's proportions, warped to the input."""
    return [
        {"type": "LoadImage"},
        {"type": "GetBBoxCenterScale", "padding": spec.padding},
        {"type": "TopdownAffine", "input_size": (spec.width, spec.height)},
        {"type": "PackPoseInputs"},
    ]


def pose_embedding(heatmaps: "Tensor") -> "Tensor":
    """Heat maps [b, J, h, w], averaged over an 8 x 4 grid and flattened: [b, J * 32]."""
    from torch.nn.functional import adaptive_avg_pool2d

    return adaptive_avg_pool2d(heatmaps, GRID).flatten(1)


class _Views:
    """What the network sees of each image, by mmpose's pipeline."""

    def __init__(self, images: Sequence[np.ndarray], spec: PoseSpec):
        from mmengine.dataset import Compose

        self.images = images
        self.pipeline = Compose(view_pipeline(spec)[:-1])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> View:
        import torch

        image = self.images[index]
        height, width = image.shape[:2]
        box = {"bbox": np.array([[0, 0, width, height]], np.float32), "bbox_score": np.ones(1, np.float32)}
        seen = self.pipeline({"img": np.ascontiguousarray(image)} | box)
        place = np.concatenate([seen["bbox_center"][0], seen["bbox_scale"][0]]).astype(np.float32)
        return torch.from_numpy(seen["img"]), torch.from_numpy(place)


def _decoder(network: Callable, spec: PoseSpec, device: "torch.device") -> Callable:
    """`poses_of(views [b, h, w, 3], boxes [b, 4])`: keypoints [b, J, 3] and embedding [b, J * 32], on the device."""
    import torch

    mean, std = (torch.tensor(values, device=device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    cells = torch.tensor([spec.width // STRIDE, spec.height // STRIDE], device=device)
    mirrored_joints = torch.tensor(flip_indices(spec.joints), device=device)

    def poses_of(views: "Tensor", boxes: "Tensor") -> tuple["Tensor", "Tensor"]:
        images = views.float().sub_(mean).div_(std).permute(0, 3, 1, 2)  # channels last in memory
        mirror = network(images.flip(3)).flip(3)[:, mirrored_joints]
        mirror[..., 1:] = mirror[..., :-1].clone()  # it lies one cell off (as mmpose's shift_heatmap)
        heatmaps = (network(images) + mirror) * 0.5  # [b, J, h, w]
        places, confidence = heatmap_maxima(heatmaps)
        centre, size = boxes[:, None, :2], boxes[:, None, 2:]
        points = places / cells * size + centre - 0.5 * size
        return torch.cat([points, confidence[..., None]], dim=2), pose_embedding(heatmaps)

    return poses_of


def heatmap_maxima(heatmaps: "Tensor") -> tuple["Tensor", "Tensor"]:
    """mmpose's MSRA decoding: [b, J, h, w] -> x, y in cells [b, J, 2] and the maxima [b, J].

    The place of the maximum, a quarter of a cell towards the higher one of its neighbours, in each direction in which
    it lies more than a cell inside; (-1, -1), without a quarter, where nothing is above 0.
    """
    import torch

    height, width = heatmaps.shape[2:]
    maxima, at = heatmaps.flatten(2).max(dim=2)  # [b, J]
    x, y = at % width, at // width

    def slope(step: int, inside: "Tensor") -> "Tensor":
        after, before = ((at + one).clamp(0, height * width - 1) for one in (step, -step))
        values = heatmaps.flatten(2)
        rise = values.gather(2, after[..., None]) - values.gather(2, before[..., None])
        return torch.where(inside, rise[..., 0].sign() / 4, 0)

    shift_x = slope(1, (x > 1) & (x < width - 1) & (y > 0))
    shift_y = slope(width, (y > 1) & (y < height - 1) & (x > 0))
    cells = torch.stack([x + shift_x, y + shift_y], dim=2)
    return torch.where((maxima > 0)[..., None], cells, -1.0), maxima
