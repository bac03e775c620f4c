"""CLIP-ReID stage 1: learn the prompts' tokens with both encoders frozen (THESIS section 3)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from auxreid.clip.text_tower import TextTower
from auxreid.clipreid.losses import contrastive
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.schedules import warmup_cosine
from auxreid.plumbing.base.progress import track
from auxreid.training.state import Checkpoint, TorchRandom, check_finite, continue_from, save_epoch

Report = Callable[[dict[str, float], int], None]


def batch_texts(text: TextTower, prompts: PromptLearner, identities: Tensor) -> Tensor:
    """Text features of a batch's identities [b] -> [b, e]; each distinct identity is encoded once."""
    distinct, place = identities.unique(return_inverse=True)
    return text.encode(*prompts(distinct))[place]


def train_prompts(
    text: TextTower,
    prompts: PromptLearner,
    features: Tensor,
    identities: Tensor,
    targets_of: Callable[[Tensor], Tensor],
    settings,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train `prompts` in place.

    Args:
        text: frozen text tower.
        features: cached image features f3 of the training frames, without augmentation [n, e].
        identities: [n] in 0..k-1.
        targets_of: a batch's identities [b] -> contrastive targets [b, b] (see attribute_targets).
        settings: the recipe's prompts section.
        report: called with the epoch's mean losses and learning rate.
        checkpoint: where a killed training goes on from.

    Random batches come from torch's global generator: seed it first.

    Raises:
        FloatingPointError: the loss is not finite; names the epoch and the step.
    """
    from lightning_fabric import Fabric

    fabric = Fabric(devices=1)
    text.requires_grad_(False).eval()
    for module in (text, prompts):
        fabric.to_device(module)
    features, identities = fabric.to_device(features), fabric.to_device(identities)
    optimizer = torch.optim.Adam(prompts.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    optimizer = fabric.setup_optimizers(optimizer)
    parts = {"prompts": prompts, "optimizer": optimizer, "random": TorchRandom()}
    for epoch in track(range(continue_from(checkpoint, parts), settings.epochs), "stage 1 epochs"):
        lr = _set_lr(optimizer, settings, epoch)
        losses = []
        for batch in torch.randperm(len(features)).to(features.device).split(settings.batch_size):
            texts = batch_texts(text, prompts, identities[batch])
            i2t, t2i = contrastive(features[batch], texts, targets_of(identities[batch]))
            check_finite((i2t + t2i).item(), "stage 1", epoch, len(losses), "lower prompts.lr")
            optimizer.zero_grad()
            fabric.backward(i2t + t2i)
            optimizer.step()
            losses.append((i2t.item(), t2i.item()))
        i2t, t2i = np.mean(losses, axis=0)
        report({"loss": float(i2t + t2i), "i2t": float(i2t), "t2i": float(t2i), "lr": lr}, epoch)
        save_epoch(checkpoint, epoch + 1, parts)


@torch.no_grad()
def text_features(text: TextTower, prompts: PromptLearner, batch_size: int = 256) -> Tensor:
    """Text features of all identities [k, e], on the CPU."""
    text.eval()
    every = torch.arange(len(prompts.learned), device=prompts.learned.device)
    return torch.cat([text.encode(*prompts(part)) for part in every.split(batch_size)]).cpu()


def _set_lr(optimizer, settings, epoch: int) -> float:
    lr = warmup_cosine(
        epoch,
        epochs=settings.epochs,
        lr=settings.lr,
        warmup_epochs=settings.warmup_epochs,
        warmup_lr=settings.warmup_lr,
        min_lr=settings.min_lr,
    )
    for group in optimizer.param_groups:
        group["lr"] = lr
    return lr
