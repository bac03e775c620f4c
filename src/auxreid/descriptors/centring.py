"""Features measured from a mean in the place of 0: of the training images, or of the images of one camera.

Light, height and colour of a camera move all of its images alike; with its mean off, what is left is more of the
individual. The mean of a camera is that of the images that are ranked together, query and gallery, whoever they are: no
label is read. Where few images are of a camera, their mean is drawn to that of all that are ranked, and that to the
training images': cameras are told apart by what is between them, never by how many images each has.
"""

import numpy as np
import torch
from torch import Tensor

from auxreid.plumbing.base.errors import DataError
from auxreid.pose.joint_places import another

PRIOR_IMAGES = 20  # images as which a wider mean counts among those of a narrower one


def cameras_of(frames, centre: str, seed: int) -> np.ndarray | None:
    """The camera from whose mean each image is measured, int [n]; None where it is the mean of training images.

    Args:
        centre: as in a row's `rank`; other_cameras gives each image the camera of another, drawn by the seed.

    Raises:
        DataError: a frame has no camera, which 0 stands for, or there is one frame alone to take another's.
    """
    if centre == "mean":
        return None
    without = np.flatnonzero(frames.camera == 0)
    if len(without):
        raise DataError(
            f"{frames.meta.dataset}: {len(without)} images have no camera (e.g. {frames.path[without[0]]}), "
            "and the row measures each image from the mean of its camera's"
        )
    return frames.camera[another(len(frames), seed)] if centre == "other_cameras" else frames.camera


def centred(values: Tensor, usual: Tensor, cameras: np.ndarray | None) -> Tensor:
    """Features less a mean, float32 [n, d].

    Args:
        values: [n, d]; usual: the mean of the training images [d].
        cameras: of each image [n], which are measured from (sum of a camera's n_c features + k all) / (n_c + k), where
            all = (sum of the n features + k usual) / (n + k), with k = PRIOR_IMAGES; None: all from `usual`.
    """
    if cameras is None:
        return values - usual
    places = torch.from_numpy(np.unique(cameras, return_inverse=True)[1])  # [n]
    counts = torch.bincount(places).double()[:, None]  # [c, 1]
    sums = torch.zeros(len(counts), values.shape[1], dtype=torch.float64).index_add_(0, places, values.double())
    whole = (sums.sum(dim=0) + PRIOR_IMAGES * usual.double()) / (len(values) + PRIOR_IMAGES)  # [d]
    means = (sums + PRIOR_IMAGES * whole) / (counts + PRIOR_IMAGES)  # [c, d]
    return (values.double() - means[places]).float()
