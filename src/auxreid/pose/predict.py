"""Batched inference with a top-down HRNet: keypoints in image pixels, and the pose embedding."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from auxreid.pose.architecture import PoseSpec, import_mmpose
from auxreid.pose.joints import flip_indices

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH_SIZE = 64
GRID = (8, 4)  # rows and columns that the embedding pools a heat map to


class Poses(NamedTuple):
    """What HRNet says of a batch of images."""

    keypoints: np.ndarray  # float32 [b, J, 3]: x, y in pixels of the image, and the confidence
    embedding: np.ndarray  # float32 [b, J * 32]


def predict(
    net: "nn.Module", spec: PoseSpec, images: Iterable[np.ndarray], batch_size: int = BATCH_SIZE
) -> Iterator[Poses]:
    """Run HRNet over RGB images [h, w, 3] of any sizes; the whole image is the box of the body.

    The view, the network and the decoding are mmpose's own (`inference_topdown`), many images at a time. The
    confidence is the maximum of the joint's heat map. The network is left on its device in channels-last layout.

    Raises:
        RuntimeError: the network is in training mode, in which batch normalisation would drift.
    """
    import torch

    if net.training:
        raise RuntimeError("predict needs the network in eval mode: call net.eval()")
    import_mmpose()
    from mmengine.dataset import Compose, pseudo_collate

    view = Compose(view_pipeline(spec))
    net.to("cuda" if torch.cuda.is_available() else "cpu", memory_format=torch.channels_last)
    remaining, mirrored = iter(images), flip_indices(spec.joints)
    while chunk := list(islice(remaining, batch_size)):
        batch = pseudo_collate([view(_whole_image(image, mirrored)) for image in chunk])
        with torch.no_grad():
            yield _poses(net.test_step(batch))


def predict_all(net: "nn.Module", spec: PoseSpec, images: Iterable[np.ndarray]) -> np.ndarray:
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


def pose_embedding(heatmaps: "torch.Tensor") -> "torch.Tensor":
    """Heat maps [b, J, h, w], averaged over an 8 x 4 grid and flattened: [b, J * 32]."""
    from torch.nn.functional import adaptive_avg_pool2d

    return adaptive_avg_pool2d(heatmaps, GRID).flatten(1)


def _whole_image(image: np.ndarray, mirrored: list[int]) -> dict[str, Any]:
    height, width = image.shape[:2]
    return {
        "flip_indices": mirrored,  # which joint each one is in the mirror image
        "img": np.ascontiguousarray(image[..., ::-1]),  # mmpose's networks expect OpenCV's BGR here
        "bbox": np.array([[0, 0, width, height]], np.float32),
        "bbox_score": np.ones(1, np.float32),
    }


def _poses(samples: list[Any]) -> Poses:
    import torch

    points = np.concatenate([sample.pred_instances.keypoints for sample in samples])  # [b, J, 2]
    scores = np.concatenate([sample.pred_instances.keypoint_scores for sample in samples])  # [b, J]
    heatmaps = torch.stack([sample.pred_fields.heatmaps for sample in samples])
    keypoints = np.concatenate([points, scores[..., None]], axis=2).astype(np.float32)
    return Poses(keypoints, pose_embedding(heatmaps).cpu().numpy())
