"""Contrastive pre-training of a small CLIP on pairs of image and caption, where no weights are given.

The loss is open_clip's (Radford et al. 2021, section 2.3). CLIP-ReID uses raw dot products without a logit scale, which
suits OpenAI's weights, whose features are long; so after training the learned scale is folded into both towers.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clip.embed import encode_frames
from auxreid.clip.frame_captions import FrameCaptions
from auxreid.clip.images import Draw, TrainImages, draw_views, loader, normalise
from auxreid.clip.text_tower import TextTower, cut, encode_tokens
from auxreid.plumbing.base.progress import track
from auxreid.training.fabric import fabric_of_one
from auxreid.training.precision import FULL, lengthened, tower_precision
from auxreid.training.seeding import epoch_seed, seed_everything
from auxreid.training.state import Checkpoint, EpochLosses, continue_from, save_epoch

Report = Callable[[dict[str, float], int], None]


def pretrain_clip(
    image: nn.Module,
    text: TextTower,
    frames,
    settings,
    input_config,
    seed: int,
    report: Report,
    checkpoint: Checkpoint | None = None,
    precision: str = FULL,
    branch: nn.Module | None = None,
) -> None:
    """Train both towers in place on `frames`, whose attributes make the captions.

    Args:
        settings: the recipe's pretrain section.
        report: called with the epoch's mean loss and logit scale.
        checkpoint: where a killed training goes on from.
        precision: of the towers.
        branch: a third tower that is trained with them, a Branch of clip/pretrain_branch.py; None for none.

    Raises:
        DataError: no frame has an attribute.
        FloatingPointError: the loss is not finite; names the epoch and the step.
    """
    from open_clip.loss import ClipLoss

    fabric = fabric_of_one(precision)
    scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    parts = nn.ModuleDict({"image": image.to(memory_format=torch.channels_last), "text": text})
    parts.register_parameter("scale", scale)
    if branch is not None:
        parts["branch"] = branch
    fabric.to_device(parts)
    optimizer = fabric.setup_optimizers(_optimizer(parts, settings))
    captions = FrameCaptions(frames)
    total = settings.epochs * (len(captions.rows) // settings.batch_size)
    images, loss_of = TrainImages(frames, input_config.height, input_config.width), ClipLoss()
    states = {"towers": parts, "optimizer": optimizer, "precision": fabric.strategy.precision}
    for epoch in track(range(continue_from(checkpoint, states), settings.epochs), "pretrain epochs"):
        seed_everything(epoch_seed(seed, epoch))
        rng = np.random.default_rng(epoch_seed(seed, epoch))
        batches, texts = _epoch_batches(captions, settings.batch_size, rng)
        parts.train()
        losses = EpochLosses("pretrain", "lower pretrain.lr")
        for step, (batch, tokens) in enumerate(zip(loader(images, batch_sampler=batches), texts, strict=True)):
            _set_lr(optimizer, epoch * len(batches) + step, total, settings.warmup_epochs * len(batches))
            with tower_precision(precision, fabric.device):
                f3 = image(normalise(fabric.to_device(batch), input_config))[2]  # [b, e]
                features = text(fabric.to_device(tokens))  # [b, e]
            both = F.normalize(lengthened(f3), dim=1), F.normalize(lengthened(features), dim=1)
            terms = {"loss": loss_of(*both, scale.exp())}
            if branch is not None:
                terms = branch(terms["loss"], *both, fabric.to_device(branch.inputs(batches[step])))
            optimizer.zero_grad()
            fabric.backward(terms["loss"])
            optimizer.step()
            with torch.no_grad():
                scale.clamp_(0, math.log(100))  # the bound of CLIP
            losses.add(terms)
        means = {name: float(np.mean(values.tolist())) for name, values in losses.read(epoch).items()}
        report(means | {"logit_scale": scale.exp().item()}, epoch)
        save_epoch(checkpoint, epoch + 1, states)
    fold_scale(image, text, frames, captions, input_config, scale.exp().item(), precision)


@torch.no_grad()
def fold_scale(
    image: nn.Module,
    text: TextTower,
    frames,
    captions: FrameCaptions,
    input_config,
    scale: float,
    precision: str = FULL,
) -> None:
    """Scale both projections so that raw dot products have the size of `scale` times the cosine, on average.

    Each tower's mean feature norm becomes sqrt(scale), measured on the captioned frames.
    """
    image_features = encode_frames(image, frames.take(captions.rows), input_config, precision=precision)[2]
    image_norm = image_features.norm(dim=1).mean().item()
    tokens = _tokenize(sorted({captions.full(row) for row in captions.rows}))
    text_norm = encode_tokens(text, tokens, precision).norm(dim=1).mean().item()
    for weight in _image_projection(image):
        weight.mul_(math.sqrt(scale) / image_norm)
    text.text_projection.mul_(math.sqrt(scale) / text_norm)


def _image_projection(image: nn.Module) -> list[Tensor]:
    """The parameters of the last linear map before f3."""
    if hasattr(image, "projection"):
        return list(image.projection.parameters())
    return list(image.visual.attnpool.c_proj.parameters())


def _epoch_batches(captions: FrameCaptions, size: int, rng) -> tuple[list[list[Draw]], list[Tensor]]:
    """Shuffled full batches of (row, view), and the tokens of each batch's captions [b, l]."""
    order = rng.permutation(captions.rows)[: len(captions.rows) // size * size].reshape(-1, size)
    batches = [draw_views(batch, rng) for batch in order]
    return batches, [cut(_tokenize([captions.varied(row, rng) for row in batch])) for batch in order]


def _tokenize(sentences: list[str]) -> Tensor:
    import open_clip

    return open_clip.tokenize(sentences)  # [b, 77]


def _optimizer(parts: nn.ModuleDict, settings) -> torch.optim.Optimizer:
    """AdamW; the image tower at its own rate; no decay on the logit scale, norms and biases (as CLIP)."""
    groups = []
    for name, parameter in parts.named_parameters():
        factor = settings.image_lr_factor if name.startswith("image.") else 1.0
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.append(
            {"params": [parameter], "lr": settings.lr * factor, "peak": settings.lr * factor, "weight_decay": decay}
        )
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def _set_lr(optimizer, step: int, total: int, warmup: int) -> None:
    """Linear warm-up, then a half cosine to zero (CLIP's schedule), by step."""
    rise = (step + 1) / warmup if step < warmup else 1.0
    fall = 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, total - warmup)))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * rise * fall
