"""HRNet as mmpose configures it: the network, its top-down heat map head and its codec.

Source: Sun et al., Deep High-Resolution Representation Learning for Human Pose Estimation, CVPR 2019. `w32` and `w48`
are the paper's networks; `small` is the same network of width 8 with one module a stage and one block a branch. As the
finest of its branches has 8 channels only, its head reads all four (HRNetV2: Wang et al., TPAMI 2020, section 3.2).
"""

import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from auxreid.plumbing.base.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

STRIDE = 4  # input pixels per heat map cell
ALIGNMENT = 32  # the coarsest of the four branches has this stride
IMAGENET_MEAN = [123.675, 116.28, 103.53]
IMAGENET_STD = [58.395, 57.12, 57.375]


@dataclass(frozen=True)
class Width:
    """What distinguishes one HRNet from another."""

    channels: int  # of the finest branch; each coarser one has twice as many
    modules: tuple[int, int, int]  # exchange modules in stages 2, 3, 4
    blocks: int  # residual blocks of a branch in a module
    stem: int  # channels of the bottlenecks of stage 1
    all_branches: bool  # whether the head reads all branches, or the finest alone


WIDTHS = {
    "small": Width(channels=8, modules=(1, 1, 1), blocks=1, stem=16, all_branches=True),
    "w32": Width(channels=32, modules=(1, 4, 3), blocks=4, stem=64, all_branches=False),
    "w48": Width(channels=48, modules=(1, 4, 3), blocks=4, stem=64, all_branches=False),
}


@dataclass(frozen=True)
class PoseSpec:
    """What is needed to build a pose network, to feed it and to draw what it says.

    `skeleton` holds pairs of joint numbers. `padding` is the side of the network's view relative to the box of the
    body: mmpose's published weights saw 1.25 times the box, networks fitted here see the crop as it is.
    """

    architecture: str
    joints: tuple[str, ...]
    skeleton: tuple[tuple[int, int], ...]
    height: int
    width: int
    padding: float
    source: str

    def __post_init__(self) -> None:
        if self.architecture not in WIDTHS:
            raise ConfigError(f"pose.architecture = {self.architecture!r}: allowed are {', '.join(WIDTHS)}")
        for side in ("height", "width"):
            if getattr(self, side) <= 0 or getattr(self, side) % ALIGNMENT:
                raise ConfigError(f"pose.{side} = {getattr(self, side)}: HRNet needs a multiple of {ALIGNMENT}")


def import_mmpose() -> ModuleType:
    """mmpose with its parts registered and found by name.

    Keeps its import from warning about mmcv-lite, and its logger from telling how every single weight was initialised;
    warnings and errors of the logger still appear.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Fail to import", category=UserWarning)
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        import mmpose
        import mmpose.datasets
        import mmpose.models
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    init_default_scope("mmpose")
    MMLogger.get_current_instance().setLevel("WARNING")
    return mmpose


def codec_config(spec: PoseSpec) -> dict[str, Any]:
    """mmpose's MSRA codec: one Gaussian a joint, decoded at the maximum plus a quarter cell towards the second one.

    The Gaussian keeps mmpose's proportion to the heat map: sigma 2 at 64 cells, 3 at 96, but not below 1. Three sigmas
    are a whole number of cells: of others mmpose puts the maximum one cell to the left of the joint and above it.
    """
    cells = (spec.width // STRIDE, spec.height // STRIDE)
    sigma = max(1.0, round(3 * max(cells) / 32) / 3)
    return {
        "type": "MSRAHeatmap",
        "input_size": (spec.width, spec.height),
        "heatmap_size": cells,
        "sigma": sigma,
    }


def model_config(spec: PoseSpec) -> dict[str, Any]:
    """mmpose's TopdownPoseEstimator: HRNet and a 1x1 heat map head.

    Tested as in the paper, on the mean of the heat maps of the image and of its mirror image; hands the heat maps out.
    """
    width = WIDTHS[spec.architecture]
    extra = _stages(width)
    head = {
        "type": "HeatmapHead",
        "in_channels": width.channels,
        "out_channels": len(spec.joints),
        "deconv_out_channels": None,
        "loss": {"type": "KeypointMSELoss", "use_target_weight": True},
        "decoder": codec_config(spec),
    }
    neck = None
    if width.all_branches:
        channels = sum(extra["stage4"]["num_channels"])
        extra["stage4"]["multiscale_output"] = True
        extra["upsample"] = {"mode": "bilinear", "align_corners": False}
        neck = {"type": "FeatureMapProcessor", "concat": True}
        head |= {"in_channels": channels, "conv_out_channels": (channels,), "conv_kernel_sizes": (1,)}
    return {
        "type": "TopdownPoseEstimator",
        "data_preprocessor": {
            "type": "PoseDataPreprocessor",
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
            "bgr_to_rgb": True,
        },
        "backbone": {"type": "HRNet", "in_channels": 3, "extra": extra},
        "neck": neck,
        "head": head,
        "train_cfg": {"compute_acc": False},
        "test_cfg": {"flip_test": True, "flip_mode": "heatmap", "shift_heatmap": True, "output_heatmaps": True},
    }


def _stages(width: Width) -> dict[str, Any]:
    stages = {"stage1": _stage(1, 1, "BOTTLENECK", width.blocks, width.stem)}
    for branches, modules in enumerate(width.modules, start=2):
        stages[f"stage{branches}"] = _stage(modules, branches, "BASIC", width.blocks, width.channels)
    return stages


def _stage(modules: int, branches: int, block: str, blocks: int, channels: int) -> dict[str, Any]:
    return {
        "num_modules": modules,
        "num_branches": branches,
        "block": block,
        "num_blocks": (blocks,) * branches,
        "num_channels": tuple(channels * 2**branch for branch in range(branches)),
    }


def build(spec: PoseSpec) -> "nn.Module":
    """A freshly initialised network in eval mode; the initialisation follows torch's seed."""
    import_mmpose()
    from mmpose.registry import MODELS

    net = MODELS.build(model_config(spec))
    net.init_weights()
    return net.eval()
