"""HRNet as it predicts: batch norms folded into their convolutions, in channels-last layout, by torch or ONNX Runtime.

mmpose's own network stays as it is; its heat maps differ by rounding.
"""

import copy
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

RUNTIME = "AUXREID_POSE_RUNTIME"
TORCH, ONNX = "torch", "onnx"
Network = Callable[["Tensor"], "Tensor"]  # normalised images [b, 3, h, w] -> heat maps [b, J, h / 4, w / 4]


def asked_runtime() -> str:
    """What AUXREID_POSE_RUNTIME asks for: torch, which is the default and uses a GPU; or onnx, on the CPU.

    Raises:
        ConfigError: it is neither.
    """
    asked = os.environ.get(RUNTIME, TORCH)
    if asked not in (TORCH, ONNX):
        raise ConfigError(f"environment variable {RUNTIME} = {asked!r}: allowed are {TORCH} and {ONNX}")
    return asked


def folded(net: "nn.Module") -> "nn.Module":
    """A copy of the network without its batch norms and mmpose's bookkeeping. The network must be in eval mode."""
    from mmcv.cnn import fuse_conv_bn
    from torch import nn

    parts = [net.backbone, *([net.neck] if net.with_neck else []), net.head]
    return fuse_conv_bn(nn.Sequential(*copy.deepcopy(parts))).requires_grad_(False)


def open_network(net: "nn.Module", size: tuple[int, int], runtime: str) -> tuple[Network, "torch.device"]:
    """The folded network in a runtime, for images of `size` (height, width), and the device that these must be on."""
    import torch

    if runtime == ONNX:
        return _onnx(folded(net), size), torch.device("cpu")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return folded(net).to(device, memory_format=torch.channels_last), device


def _onnx(net: "nn.Module", size: tuple[int, int]) -> Network:
    """The export holds this size wherever the network resizes a map; the number of images is free."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="auxreid-pose-") as folder:
        path = str(Path(folder) / "hrnet.onnx")
        names = {"input_names": ["images"], "output_names": ["heatmaps"]}
        free = {"dynamic_axes": {name: {0: "b"} for name in ("images", "heatmaps")}}
        torch.onnx.export(net.cpu(), (torch.zeros(1, 3, *size),), path, dynamo=False, **names, **free)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.contiguous().numpy()})[0])
