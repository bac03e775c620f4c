"""CLIP-ReID stage 2: fine-tune the image encoder against frozen text features (THESIS section 3).

Several processes train as one: each loads and encodes its share of a batch's rows, and computes the loss of all rows
from the gathered features. P x K sampling, batch-hard mining, the BNNecks and the pose's fusion see the whole batch as
they do in one process, as does what a row adds (clipreid/auxiliary.py); so do the encoder's batch norms, and random
erasing is drawn for all rows. An encoder that draws random numbers of its own (none does by the defaults of open_clip
and timm) would draw others than in one process.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.clip.embed import row_encoder
from auxreid.clip.images import Draw, TrainImages, draw_views, loader, normalise
from auxreid.clip.maps import captured
from auxreid.clipreid.auxiliary import Auxiliary
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.pose_inputs import PoseInput
from auxreid.clipreid.schedules import warmup_steps
from auxreid.clipreid.stage2_losses import Stage2Losses, Supervision
from auxreid.plumbing.base.progress import track
from auxreid.training.batch_norm import share_batch_norms
from auxreid.training.fabric import open_fabric
from auxreid.training.precision import FULL
from auxreid.training.seeding import epoch_seed, seed_everything
from auxreid.training.share import Share
from auxreid.training.state import Checkpoint, EpochLosses, continue_from, save_epoch

Report = Callable[[dict[str, float], int], None]


@dataclass(frozen=True)
class PoseBranch:
    """The pose beside the image: where it comes from, how it is fused, and whether f3 stays supervised beside it."""

    inputs: PoseInput
    fusion: PoseFusion
    supervise_image: bool

    def features(self, features: tuple[Tensor, Tensor, Tensor], pose: Tensor) -> tuple[Tensor, ...]:
        """(f1, f2, f3) and the pose [b, p] -> what the losses see: the fused feature in f3's place, or after it."""
        fused = self.fusion(features[2], pose)
        return (*features, fused) if self.supervise_image else (*features[:2], fused)


def finetune_encoder(
    encoder: nn.Module,
    frames,
    identities: np.ndarray,
    supervision: Supervision,
    settings,
    seed: int,
    report: Report,
    pose: PoseBranch | None = None,
    checkpoint: Checkpoint | None = None,
    precision: str = FULL,
    auxiliary: Auxiliary | None = None,
) -> None:
    """Train `encoder`, the pose's fusion and the auxiliary where there are some, in place on `frames`.

    Args:
        encoder: an image tower with `.dims` and `.input_config`; with a camera embedding it is told the cameras too.
        frames: the training frames; identities: theirs, in 0..k-1 [n].
        report: called with the epoch's mean loss terms and learning rate.
        checkpoint: where a killed training goes on from.
        precision: of the encoder.
        auxiliary: what the row adds; None adds nothing.

    Raises:
        ConfigError: a batch has fewer images than there are processes.
        DataError: a frame's camera is none of those that the encoder has an embedding of.
        FloatingPointError: the loss is not finite; names the epoch and the step.
    """
    fabric, share = open_fabric(precision)
    seed_everything(seed)  # the heads' weights
    added = Auxiliary() if auxiliary is None else auxiliary
    dims = added.dims(encoder.dims + ((encoder.dims[2],) if pose is not None and pose.supervise_image else ()))
    losses_of = Stage2Losses(dims, int(identities.max()) + 1, supervision, settings)
    trained = nn.ModuleDict({"encoder": encoder.to(memory_format=torch.channels_last), "losses": losses_of})
    if pose is not None:
        trained["fusion"] = pose.fusion
    if auxiliary is not None:
        trained["auxiliary"] = auxiliary
    share_batch_norms(trained["encoder"])
    encode = row_encoder(encoder, frames, precision)
    loss_of = fabric.setup_module(_WholeBatchLoss(trained, encode, pose, added, share))
    optimizer = fabric.setup_optimizers(_optimizer(trained, settings))
    size = encoder.input_config
    images = TrainImages(frames, size.height, size.width)
    erase = _random_erasing(settings.erasing, fabric.device)
    parts = {"trained": trained, "optimizer": optimizer, "precision": fabric.strategy.precision}
    parts |= {} if pose is None else pose.inputs.drifting
    epochs = range(continue_from(checkpoint, parts, share) + 1, settings.epochs + 1)
    for epoch in track(epochs, "stage 2 epochs") if share.rank == 0 else epochs:
        seed_everything(epoch_seed(seed, epoch))  # an epoch draws the same whatever ran before it
        lr = _set_lr(optimizer, settings, epoch)
        batches = _draws(added, identities, settings, np.random.default_rng(epoch_seed(seed, epoch)))
        trained.train()
        losses = EpochLosses("stage 2", "lower finetune.lr")
        own = [draws[share.rows(len(draws))] for draws in batches]
        for batch, draws, mine in zip(loader(images, batch_sampler=own), batches, own, strict=True):
            labels = fabric.to_device(torch.from_numpy(identities[[row for row, _ in draws]]))  # of all rows
            rows, batch = np.array([row for row, _ in mine]), fabric.to_device(batch)
            poses = None
            if pose is not None:
                mirrored = np.array([view.mirrored for _, view in mine])
                poses = fabric.to_device(pose.inputs(rows, mirrored, batch))
            known = fabric.to_device(added.inputs(rows, [view for _, view in mine]))
            terms = loss_of(erase(normalise(batch, size), share, len(draws)), rows, poses, known, labels)
            optimizer.zero_grad()
            fabric.backward(terms["loss"])
            optimizer.step()
            losses.add(terms)
        means = {name: sum(values.tolist()) / len(values) for name, values in losses.read(epoch).items()}
        report(means | {"lr": lr}, epoch)
        save_epoch(checkpoint, epoch, parts)
    trained.eval()


class _WholeBatchLoss(nn.Module):
    """All that is trained as one module, which is what DDP wraps: from the own rows to the whole batch's loss."""

    def __init__(
        self, trained: nn.ModuleDict, encode: Callable, pose: PoseBranch | None, added: Auxiliary, share: Share
    ):
        super().__init__()
        self.trained, self.encode, self.pose, self.added, self.share = trained, encode, pose, added, share

    def forward(
        self, images: Tensor, rows: np.ndarray, poses: Tensor | None, known: tuple[Tensor, ...], labels: Tensor
    ) -> dict[str, Tensor]:
        """images, rows, poses and what else is known of the own rows, labels [b] of all -> all terms."""
        with captured(self.trained["encoder"], self.added.maps) as maps:
            own = self.encode(self.added.images(images, known), rows)
        observed = self.added.observe(own, maps, known)
        features, observed = (tuple(self.share.gather(one, len(labels)) for one in some) for some in (own, observed))
        if self.pose is not None:
            features = self.pose.features(features, self.share.gather(poses, len(labels)))
        features, more = self.added(features, observed, labels)
        terms = self.trained["losses"](features, labels)
        return terms | more | {"loss": terms["loss"] + more["loss"]} if more else terms


def _random_erasing(probability: float, device) -> Callable[[Tensor, Share, int], Tensor]:
    """Erases a random box of an image; without it, timm is not imported, which takes seconds."""
    if not probability:
        return lambda images, share, batch: images
    from timm.data.random_erasing import RandomErasing

    eraser = RandomErasing(probability=probability, mode="pixel", max_area=0.4, device=device)

    def erase(images: Tensor, share: Share, batch: int) -> Tensor:
        """The own rows of a batch; what the others would get is drawn and dropped, as all draw from one stream."""
        own, dropped = share.rows(batch), torch.empty_like(images[0])
        for row in range(batch):
            eraser(images[row - own.start] if own.start <= row < own.stop else dropped)
        return images

    return erase


def _draws(added: Auxiliary, identities: np.ndarray, settings, rng) -> list[list[Draw]]:
    """The epoch's batches as (row, view)."""
    batches = added.batches(identities, settings, rng)
    return [draw_views(batch, rng) for batch in batches]


def _optimizer(trained: nn.ModuleDict, settings) -> torch.optim.Optimizer:
    """Adam with weight decay in the gradient; biases at `bias_lr_factor` times the rate."""
    plain, biases = [], []
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            (biases if name.endswith("bias") else plain).append(parameter)
    groups = [
        {"params": plain, "lr": settings.lr, "peak": settings.lr},
        {"params": biases, "lr": settings.lr * settings.bias_lr_factor, "peak": settings.lr * settings.bias_lr_factor},
    ]
    return torch.optim.Adam(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


def _set_lr(optimizer, settings, epoch: int) -> float:
    factor = warmup_steps(
        epoch,
        warmup_epochs=settings.warmup_epochs,
        warmup_factor=settings.warmup_factor,
        milestones=settings.milestones,
        gamma=settings.gamma,
    )
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return settings.lr * factor
