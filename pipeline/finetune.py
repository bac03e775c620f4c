"""DVC stage `finetune`: CLIP-ReID stage 2 of one ablation.

usage: python pipeline/finetune.py DATASET-ROW-SEED
"""

from pathlib import Path

import checkout  # noqa: F401
import numpy as np
from safetensors.torch import load_file
from torch import Tensor, nn

from auxreid.clip.checkpoints import AuxiliaryHeader, Beside, FusionHeader, load_image_encoder, save_tower
from auxreid.clip.embed import camera_places
from auxreid.clip.last_stride import remove_last_stride_of
from auxreid.clip.vit_variants import adapt_vit, training_cameras
from auxreid.clipreid.auxiliary import Context, build_auxiliary
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.pose_inputs import open_pose
from auxreid.clipreid.row_settings import remark, row_settings
from auxreid.clipreid.stage2 import PoseBranch, Report, finetune_encoder
from auxreid.clipreid.supervision import build_supervision
from auxreid.clipreid.training_set import training_set
from auxreid.data.frames import open_frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.recipes import FinetuneConfig
from auxreid.plumbing.stage.checkpoint import stage_checkpoint
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.launch import run_stage
from auxreid.plumbing.stage.run import Run
from auxreid.training.environment import rank
from auxreid.training.seeding import seed_everything
from auxreid.training.state import Checkpoint


def main(stage: Stage) -> None:
    row, recipe = stage.settings.ablation, stage.settings.finetune
    settings = row_settings(recipe, row)
    if rank() > 0:  # process 0 alone keeps the record and writes
        train(stage, settings, lambda *_: None)
        return
    names = {} if row.prompts is None else {"prompts_key": stage.reads["prompts"].parent.name}
    with stage.run(replaced={"finetune": settings}, **names) as run:
        curves = Curves(run)
        with stage_checkpoint(run, stage, curves) as checkpoint:
            encoder, pose, beside = train(stage, settings, curves, checkpoint)
        curves.write(run.out / "history.csv")
        run.summary(curves.last)
        if pose is not None:
            report_fusion(pose.fusion, run)
        encoder.remark = remark(recipe, row)
        save_tower(encoder, run.out / "encoder.safetensors", encoder.encoder_config, encoder.input_config, beside)
        run.artifact("encoder.safetensors")


def train(
    stage: Stage, settings: FinetuneConfig, report: Report, checkpoint: Checkpoint | None = None
) -> tuple[nn.Module, PoseBranch | None, tuple[nn.Module, Beside] | None]:
    """The row's encoder, the pose branch, and what of all that was trained with it its file must hold."""
    row, reads, seed, split = stage.settings.ablation, stage.reads, stage.entry["seed"], stage.entry["split"]
    frames, classes, names = training_set(reads["frames"], split, reads["labels"])
    texts = None if row.prompts is None else read_texts(reads["prompts"], names)
    encoder = adapt_encoder(load_image_encoder(reads["start"]), row, frames, seed)
    if getattr(encoder, "cameras", ()):  # a camera that the encoder will not know: fail before training
        camera_places(encoder, open_frames(reads["frames"], split).where(("query", "gallery")))
    supervision = build_supervision(frames, classes, texts, row)
    pose, beside = open_branch(row.pose, reads["pose"], frames, encoder.dims[2], seed)
    auxiliary = None
    if row.auxiliary is not None:
        seed_everything(seed)  # its weights
        auxiliary = build_auxiliary(row.auxiliary, Context(encoder, frames, classes, reads["pose"], settings, seed))
        beside = (auxiliary, AuxiliaryHeader(config=row.auxiliary, facts=auxiliary.facts)) if auxiliary.ranked else None
    training = settings, seed, report, pose, checkpoint, stage.settings.precision, auxiliary
    finetune_encoder(encoder, frames, classes, supervision, *training)
    return encoder, pose, beside


def read_texts(path: Path, names: np.ndarray) -> Tensor:
    """Text features [k, e] of stage 1, checked to belong to the identities `names` [k]."""
    prompts = load_file(path)
    if not np.array_equal(prompts["identities"].numpy(), names):
        raise DataError(f"{path}: holds texts of other identities than the training frames have")
    return prompts["texts"]


def adapt_encoder(encoder: nn.Module, row, frames, seed: int) -> nn.Module:
    """The encoder as the row's `vit` and `stride_one` want it; as it is where the row has neither.

    `frames` are the training frames.
    """
    size = encoder.input_config.height, encoder.input_config.width
    if row.stride_one and not getattr(encoder, "stride_one", False):  # a start may have it from its own row
        encoder = remove_last_stride_of(encoder, size)
    if row.vit is None:
        return encoder
    seed_everything(seed)  # the cameras' vectors
    cameras = () if row.vit.camera_embedding is None else training_cameras(frames)
    return adapt_vit(encoder, row.vit, size, cameras)


def open_branch(
    pose, path: Path, frames, width: int, seed: int
) -> tuple[PoseBranch | None, tuple[PoseFusion, FusionHeader] | None]:
    """The pose branch of a row and what its checkpoint says of it; none where the row has no pose."""
    if pose is None:
        return None, None
    inputs, joints = open_pose(path, frames, pose)
    seed_everything(seed)  # the fusion's weights
    branch = PoseBranch(inputs, PoseFusion(width, joints, pose), supervise_image=pose.supervise == "both")
    return branch, (branch.fusion, FusionHeader(joints=joints, pose=pose))


def report_fusion(fusion: PoseFusion, run: Run) -> None:
    """Figure 13 of the thesis, and a number per half that says how much the model listens to it."""
    from auxreid.clipreid.projector_figure import projector_figure  # matplotlib, for these rows alone

    image, pose = (half.cpu().numpy() for half in fusion.halves())
    projector_figure(image, pose, run.out.name).savefig(run.figure("projector_weights.png"))
    run.summary({f"listens_to_{half}": value for half, value in fusion.listening().items()})


if __name__ == "__main__":
    run_stage(main)
