"""PCK, the percentage of correct keypoints."""

from dataclasses import dataclass

import numpy as np

from auxreid.plumbing.base.errors import DataError


@dataclass(frozen=True)
class Pck:
    """Shares of joints found; `per_joint` holds NaN for a joint that is labelled nowhere."""

    overall: float
    per_joint: np.ndarray  # [J]


def pck(predicted: np.ndarray, truth: np.ndarray, threshold: float = 0.1) -> Pck:
    """The share of labelled joints predicted within `threshold` times the larger side of the body's bounding box.

    The box is the one around the joints that are labelled (COCO visibility v > 0, hidden but labelled ones included);
    `overall` counts every labelled joint of every image once (Yang and Ramanan, TPAMI 2013).

    Args:
        predicted: [n, J, 2] x and y in pixels.
        truth: [n, J, 3] x, y in pixels and v.
    Raises:
        DataError: no joint is labelled, or the labelled joints of an image span no box.
    """
    labelled = truth[..., 2] > 0  # [n, J]
    used = labelled.any(axis=1)
    if not used.any():
        raise DataError("PCK needs at least one image with a labelled joint")
    side = _body_side(truth[used, :, :2], labelled[used])  # [m]
    if (side == 0).any():
        raise DataError(f"PCK: the labelled joints of {(side == 0).sum()} images lie in one point, which spans no box")
    distance = np.linalg.norm(predicted[used, :, :2] - truth[used, :, :2], axis=2)  # [m, J]
    found = (distance <= threshold * side[:, None]) & labelled[used]
    counts = labelled[used].sum(axis=0)
    per_joint = np.where(counts > 0, found.sum(axis=0) / np.maximum(counts, 1), np.nan)
    return Pck(overall=float(found.sum() / counts.sum()), per_joint=per_joint)


def _body_side(points: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """[m] the larger side of the box around the labelled points [m, J, 2]."""
    low = np.where(labelled[..., None], points, np.inf).min(axis=1)
    high = np.where(labelled[..., None], points, -np.inf).max(axis=1)
    return (high - low).max(axis=1)
