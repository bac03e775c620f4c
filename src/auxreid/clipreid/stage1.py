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
from auxreid.training.fabric import fabric_of_one
from auxreid.training.precision import FULL, lengthened, tower_precision
from auxreid.training.state import Checkpoint, EpochLosses, TorchRandom, continue_from, save_epoch

Report = Callable[[dict[str, float], int], None]


def batch_texts(text: TextTower, prompts: PromptLearner, identities: np.ndarray, precision: str = FULL) -> Tensor:
    """Text features of a batch's identities [b] -> [b, e], float32; each distinct identity is encoded once."""
    distinct, place = np.unique(identities, return_inverse=True)
    with tower_precision(precision, prompts.learned.device):
        texts = text.encode(*prompts(distinct))
    return lengthened(texts)[torch.from_numpy(place).to(texts.device, non_blocking=True)]


def train_prompts(
    text: TextTower,
    prompts: PromptLearner,
    features: Tensor,
    identities: np.ndarray,
    targets_of: Callable[[Tensor], Tensor],
    settings,
    report: Report,
    checkpoint: Checkpoint | None = None,
    precision: str = FULL,
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
        precision: of the text tower.

    Random batches come from torch's global generator: seed it first.

    Raises:
        FloatingPointError: the loss is not finite; names the epoch and the step.
    """
    fabric = fabric_of_one(precision)
    text.requires_grad_(False).eval()
    for module in (text, prompts):
        fabric.to_device(module)
    features = fabric.to_device(features)  # all of them, once
    adam = torch.optim.Adam(prompts.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    optimizer = fabric.setup_optimizers(adam)
    parts = {
        "prompts": prompts,
        "optimizer": optimizer,
        "random": TorchRandom(),
        "precision": fabric.strategy.precision,
    }
    for epoch in track(range(continue_from(checkpoint, parts), settings.epochs), "stage 1 epochs"):
        lr = _set_lr(optimizer, settings, epoch)
        losses = EpochLosses("stage 1", "lower prompts.lr")
        order = torch.randperm(len(features)).numpy()
        for rows in np.split(order, range(settings.batch_size, len(order), settings.batch_size)):
            shown = identities[rows]
            texts = batch_texts(text, prompts, shown, precision)
            images = features[fabric.to_device(torch.from_numpy(rows))]
            i2t, t2i = contrastive(images, texts, fabric.to_device(targets_of(torch.from_numpy(shown))))
            optimizer.zero_grad()
            fabric.backward(i2t + t2i)
            optimizer.step()
            losses.add({"loss": i2t + t2i, "i2t": i2t, "t2i": t2i})
        read = losses.read(epoch)
        i2t, t2i = np.mean(list(zip(read["i2t"].tolist(), read["t2i"].tolist(), strict=True)), axis=0)
        report({"loss": float(i2t + t2i), "i2t": float(i2t), "t2i": float(t2i), "lr": lr}, epoch)
        save_epoch(checkpoint, epoch + 1, parts)


@torch.no_grad()
def text_features(text: TextTower, prompts: PromptLearner, batch_size: int = 256, precision: str = FULL) -> Tensor:
    """Text features of all identities [k, e], float32 on the CPU."""
    text.eval()
    every = np.arange(len(prompts.learned))
    parts = np.split(every, range(batch_size, len(every), batch_size))
    return torch.cat([batch_texts(text, prompts, part, precision) for part in parts]).cpu()


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
