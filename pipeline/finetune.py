"""DVC stage `finetune`: CLIP-ReID stage 2 of one ablation.

usage: python pipeline/finetune.py DATASET ABLATION SEED
"""

import numpy as np
from safetensors.torch import load_file
from torch import Tensor, nn

from auxreid.clip.checkpoints import FusionHeader, load_image_encoder, save_tower
from auxreid.clip.embed import camera_places
from auxreid.clip.vit_variants import adapt_vit, training_cameras
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.pose_inputs import open_pose
from auxreid.clipreid.projector_figure import projector_figure
from auxreid.clipreid.stage2 import PoseBranch, Report, finetune_encoder
from auxreid.clipreid.supervision import build_supervision
from auxreid.clipreid.training_set import training_set
from auxreid.config import Config
from auxreid.data.frames import open_frames
from auxreid.errors import DataError
from auxreid.graph import build_graph, load_study, split_of
from auxreid.parallel.environment import rank
from auxreid.parallel.launch import run_stage
from auxreid.seeding import seed_everything
from auxreid.tracking.curves import Curves
from auxreid.tracking.stage import Run, stage_run
from auxreid.tracking.stage_checkpoint import stage_checkpoint
from auxreid.training_state import Checkpoint


def main(dataset: str, ablation: str, seed: str) -> None:
    config = load_study()
    if rank() > 0:  # process 0 alone keeps the record and writes
        train(config, dataset, ablation, seed, lambda *_: None)
        return
    row, settings, key = config.ablations[ablation], config.finetune(dataset, ablation), f"{dataset}-{ablation}-{seed}"
    params = {
        "recipes": {config.datasets[dataset].recipe: {"finetune": settings.model_dump(mode="json")}},
        "ablations": {ablation: row.model_dump(mode="json")},
    }
    if row.prompts is not None:
        params["prompts_key"] = f"{dataset}-{row.prompts}-{seed}"
    with stage_run("finetune", key, dataset=dataset, params=params, ablation=ablation, seed=int(seed)) as run:
        curves = Curves(run)
        source, files = f"results/ingest/{dataset}/frames.arrow", build_graph(config)["finetune"][key]
        read = {"start": True, "prompts": row.prompts is not None, "pose": row.pose is not None}
        inputs = [source, *(files[name] for name, is_read in read.items() if is_read)]
        with stage_checkpoint(run, __file__, inputs, curves) as checkpoint:
            encoder, pose, header = train(config, dataset, ablation, seed, curves, checkpoint)
        curves.write(run.out / "history.csv")
        run.summary(curves.last)
        if pose is not None:
            report_fusion(pose.fusion, run)
        fusion = None if pose is None else (pose.fusion, header)
        save_tower(encoder, run.out / "encoder.safetensors", encoder.encoder_config, encoder.input_config, fusion)
        run.artifact("encoder.safetensors")


def train(
    config: Config,
    dataset: str,
    ablation: str,
    seed: str,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> tuple[nn.Module, PoseBranch | None, FusionHeader | None]:
    """The row's encoder, and the pose branch trained with it, from the outputs of the stages before."""
    row, files = config.ablations[ablation], build_graph(config)["finetune"][f"{dataset}-{ablation}-{seed}"]
    source, split = f"results/ingest/{dataset}/frames.arrow", split_of(config, dataset, int(seed))
    frames, classes, names = training_set(source, split)
    texts = None if row.prompts is None else read_texts(files["prompts"], names)
    encoder = adapt_encoder(load_image_encoder(files["start"]), row.vit, frames, int(seed))
    if getattr(encoder, "cameras", ()):  # a camera that the encoder will not know: fail before training
        camera_places(encoder, open_frames(source, split).where(("query", "gallery")))
    supervision = build_supervision(frames, classes, texts, row)
    pose, header = open_branch(row.pose, files["pose"], frames, encoder.dims[2], int(seed))
    settings = config.finetune(dataset, ablation)
    finetune_encoder(encoder, frames, classes, supervision, settings, int(seed), report, pose, checkpoint)
    return encoder, pose, header


def read_texts(path: str, names: np.ndarray) -> Tensor:
    """Text features [k, e] of stage 1, checked to belong to the identities `names` [k]."""
    prompts = load_file(path)
    if not np.array_equal(prompts["identities"].numpy(), names):
        raise DataError(f"{path}: holds texts of other identities than the training frames have")
    return prompts["texts"]


def adapt_encoder(encoder: nn.Module, vit, frames, seed: int) -> nn.Module:
    """The encoder as the row's `vit` wants it; as it is where the row has none. `frames` are the training frames."""
    if vit is None:
        return encoder
    seed_everything(seed)  # the cameras' vectors
    cameras = () if vit.camera_embedding is None else training_cameras(frames)
    return adapt_vit(encoder, vit, (encoder.input_config.height, encoder.input_config.width), cameras)


def open_branch(pose, path: str, frames, width: int, seed: int) -> tuple[PoseBranch | None, FusionHeader | None]:
    """The pose branch of a row and what its checkpoint says of it; none where the row has no pose."""
    if pose is None:
        return None, None
    inputs, joints = open_pose(path, frames, pose)
    seed_everything(seed)  # the fusion's weights
    branch = PoseBranch(inputs, PoseFusion(width, joints, pose), supervise_image=pose.supervise == "both")
    return branch, FusionHeader(joints=joints, pose=pose)


def report_fusion(fusion: PoseFusion, run: Run) -> None:
    """Figure 13 of the thesis, and a number per half that says how much the model listens to it."""
    image, pose = (half.cpu().numpy() for half in fusion.halves())
    projector_figure(image, pose, run.out.name).savefig(run.figure("projector_weights.png"))
    run.summary({f"listens_to_{half}": value for half, value in fusion.listening().items()})


if __name__ == "__main__":
    run_stage(main)
