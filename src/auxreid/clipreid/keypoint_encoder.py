"""The trainable keypoint encoder of the thesis (THESIS section 4): an MLP 2J-100-100-BN-d."""

from torch import nn

HIDDEN = 100


class KeypointEncoder(nn.Sequential):
    """Joint coordinates, as shares of the image's sides, to a vector of f3's width: [b, 2J] -> [b, d]."""

    def __init__(self, joints: int, width: int):
        super().__init__(
            nn.Linear(2 * joints, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.BatchNorm1d(HIDDEN),
            nn.Linear(HIDDEN, width),
        )
