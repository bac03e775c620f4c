"""An encoder as one ONNX file that takes pixels and gives the embedding that is ranked."""

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.serving.embedding import Encoder

CLOSE = 1e-4  # the largest difference of two embeddings of length 1 that is rounding
CHECKED = (1, 5)  # images in a batch
INPUT, POSE, OUTPUT = "images", "pose", "embedding"
KEYPOINTS = "x / width, y / height of the upright image, joint after joint"
HEATMAPS = "HRNet's pose embedding as keypoints.parquet has it"


class Exported(nn.Module):
    """Pixels uint8 [n, h, w, 3] -> embedding float32 [n, d], the normalisations inside."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.tower, self.input_config = encoder.tower, encoder.tower.input_config
        for name in ("mean", "std"):  # buffers: `normalise` keeps its tensors, and a tracer's must not be kept
            self.register_buffer(name, torch.tensor(tuple(getattr(self.input_config, name))) * 255)
        self.fusion: PoseFusion | None = None
        self.joints = 0 if encoder.fusion is None else encoder.fusion.joints
        if encoder.fusion is not None:
            self.fusion = PoseFusion(encoder.tower.dims[2], encoder.fusion.joints, encoder.fusion.pose)
            self.fusion.load_state_dict(encoder.fusion_tensors)

    def forward(self, images: Tensor, pose: Tensor | None = None) -> Tensor:
        pixels = ((images.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        _, f2, f3 = self.tower(pixels)
        if self.fusion is not None:
            f3 = self.fusion(f3, pose)
        return F.normalize(torch.cat([f2, f3], dim=1), dim=1)


def export(encoder: Encoder, path: Path, about: Mapping[str, object]) -> float:
    """Write the file, once ONNX Runtime gives what torch gives for random images; returns the largest difference.

    Its metadata say what the pixels must be: RGB, resized to height x width by OpenCV's bicubic interpolation.

    Raises:
        DataError: the encoder has a camera embedding, or an idea or descriptors that rank with it; or the two differ by
            more than rounding, and then no file is written.
    """
    if encoder.cameras:
        raise DataError(f"{encoder.path}: the encoder has a camera embedding, which has no form in ONNX here")
    if encoder.descriptors is not None:
        raise DataError(f"{encoder.path}: is ranked by descriptors, which have no form in ONNX here")
    if encoder.idea is not None:
        kind = encoder.idea.config.kind
        raise DataError(f"{encoder.path}: the row's auxiliary {kind} ranks with the encoder, and has no form in ONNX")
    model = Exported(encoder).eval()
    with finished_file(path) as unfinished:
        _convert(model, unfinished)
        _describe(model, unfinished, about)
        difference = max(_difference(model, unfinished, count) for count in CHECKED)
        if not difference <= CLOSE:
            raise DataError(
                f"{path}: not kept, for ONNX Runtime's embedding differs from torch's by {difference:.2g}, allowed "
                f"is {CLOSE:g}"
            )
    return difference


def random_inputs(model: Exported, count: int) -> dict[str, np.ndarray]:
    """Noise as a model of this size takes it, always the same."""
    rng, size = np.random.default_rng(count), model.input_config
    inputs = {INPUT: rng.integers(0, 256, (count, size.height, size.width, 3), np.uint8)}
    if model.fusion is not None:
        inputs[POSE] = rng.random((count, _pose_width(model)), np.float32)
    return inputs


def _pose_width(model: Exported) -> int:
    """Of the pose as it goes into the fusion."""
    if isinstance(model.fusion.encoder, nn.Identity):
        return model.fusion.projector.in_features - model.fusion.width
    return 2 * model.joints


def _convert(model: Exported, path: Path) -> None:
    inputs = {name: torch.from_numpy(values) for name, values in random_inputs(model, 2).items()}
    batch = torch.export.Dim("batch", min=1)
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):  # they tell of every node
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[OUTPUT],
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            dynamo=True,
            verbose=False,
        )
    program.save(path, external_data=False)


def _describe(model: Exported, path: Path, about: Mapping[str, object]) -> None:
    import onnx

    size = model.input_config
    said: dict[str, object] = {
        "height": size.height,
        "width": size.width,
        "channels": "RGB",
        "layout": "NHWC, uint8",
        "resize": "OpenCV INTER_CUBIC, of the upright image, to height x width",
        "normalisation": "inside",
        "distance": "squared Euclidean of the embeddings, which have length 1",
    }
    if model.fusion is not None:
        said["pose"] = HEATMAPS if isinstance(model.fusion.encoder, nn.Identity) else KEYPOINTS
    described = onnx.load(path)
    onnx.helper.set_model_props(described, {name: _text(value) for name, value in (said | dict(about)).items()})
    onnx.checker.check_model(described)
    onnx.save(described, path)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@torch.no_grad()
def _difference(model: Exported, path: Path, count: int) -> float:
    import onnxruntime

    inputs = random_inputs(model, count)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], inputs)
    expected = model(*(torch.from_numpy(values) for values in inputs.values())).numpy()
    return float(np.abs(found - expected).max())
