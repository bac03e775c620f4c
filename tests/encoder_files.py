"""Encoders' files as fine-tuning leaves them, with random weights; and photographs to embed."""

from pathlib import Path

import cv2
import numpy as np
import torch
from params import CONFIG
from small_frames import noise

from auxreid.auxiliary.gated_fusion import OfJoints
from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import AuxiliaryHeader, FusionHeader, save_tower
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.plumbing.settings.auxiliary import GatedFusion
from auxreid.plumbing.settings.rows import PoseFusionConfig
from auxreid.pose.joint_places import JointPlaces

JOINTS = ("neck", "left_hip", "right_hip")
RECIPE = CONFIG.recipes["sample_people"]
TEXT = RECIPE.encoder.text.model_copy(update={"width": 16, "heads": 2, "layers": 1})
ENCODER = RECIPE.encoder.model_copy(update={"width": 4, "embed_dim": 8, "text": TEXT})
INPUT = RECIPE.input.model_copy(update={"height": 32, "width": 16})
SIZES = ((16, 32), (40, 20), (9, 50), (64, 64), (16, 32))


def write_encoder(path: Path, source: str | None = None, rank: str = "fused", seed: int = 0) -> Path:
    """An image tower, with a fusion of this source of poses if there is one."""
    torch.manual_seed(seed)
    image, _ = build_towers(ENCODER, (INPUT.height, INPUT.width))
    fusion = None
    if source is not None:
        norm = {"normalisation": "unit", "detach_norm": False, "supervise": "fused"}
        pose = PoseFusionConfig(source=source, swap_joints=True, rank=rank, **norm)
        joints = len(JOINTS)
        fusion = PoseFusion(image.dims[2], joints, pose), FusionHeader(joints=joints, pose=pose)
    save_tower(image, path, ENCODER, INPUT, fusion)
    return path


def write_idea_encoder(path: Path, **changes) -> Path:
    """An image tower with an idea beside it that takes part in ranking, and needs a pose for that."""
    torch.manual_seed(0)
    image, _ = build_towers(ENCODER, (INPUT.height, INPUT.width))
    body = {"kind": "gated_fusion", "tokens": "joints", "heads": 2, "width": 8, "supervise": "fused"}
    config = GatedFusion(**body | {"ranked": "fused", "closed": False, "shuffled": False} | changes)
    places = JointPlaces(np.zeros((1, len(JOINTS), 3), np.float32), JOINTS, (INPUT.height, INPUT.width))
    fusion = OfJoints(image.dims[2], config, places)
    with torch.no_grad():
        fusion.gate.fill_(1.0)
    save_tower(image, path, ENCODER, INPUT, (fusion, AuxiliaryHeader(config=config, facts=fusion.facts)))
    return path


def write_photos(folder: Path, sizes=SIZES) -> list[Path]:
    """Noise of these sizes (width, height), as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        assert cv2.imwrite(str(path), cv2.cvtColor(noise(number, *size), cv2.COLOR_RGB2BGR))
    return paths


def frames_rows(paths: list[Path], camera: int = 1) -> list[dict]:
    """The same photographs as rows of a frames file."""
    rows = []
    for path in paths:
        width, height = cv2.imread(str(path)).shape[1::-1]
        row = {"path": path.name, "split": "query", "identity": 1, "camera": camera, "image": path.read_bytes()}
        rows.append(row | {"width": width, "height": height})
    return rows


def poses(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints in pixels float32 [n, J, 3], and pose embeddings float32 [n, J * 32]."""
    rng = np.random.default_rng(5)
    points = rng.random((count, len(JOINTS), 3)) * [16, 32, 1]
    return points.astype(np.float32), rng.random((count, len(JOINTS) * 32), np.float32)
