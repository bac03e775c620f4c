"""What mmpose's training loader names: an augmentation drawn faster, and the seeds of its processes.

Importing this module imports mmpose and registers them.
"""

import numpy as np
from mmengine.registry import FUNCTIONS
from mmpose.datasets.transforms import RandomBBoxTransform
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class UniformBBoxTransform(RandomBBoxTransform):
    """mmpose's random shift, size and rotation of the box, uniform within their ranges.

    The truncated normal of SciPy that mmpose draws from, cut at one standard deviation, is nearly uniform as well; but
    drawing from it takes a third of the time in which an image is loaded.
    """

    @staticmethod
    def _truncnorm(low: float = -1.0, high: float = 1.0, size: tuple[int, ...] = ()) -> np.ndarray:
        return np.random.uniform(low, high, size).astype(np.float32)


@FUNCTIONS.register_module()
def keep_torch_seeds(worker: int) -> None:
    """Leaves a loading process the seeds that torch gave it, drawn for each epoch from the training's own generator.

    mmengine's function in its place seeds with the run's seed: each epoch's first image would get the same view.
    """
