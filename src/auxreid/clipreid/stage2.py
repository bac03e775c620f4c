"""CLIP-ReID stage 2: fine-tune the image encoder against frozen text features (THESIS section 3)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clip.images import TrainImages, loader, normalise
from auxreid.clipreid.losses import batch_hard_triplet, image_text_cross_entropy
from auxreid.clipreid.schedules import warmup_steps
from auxreid.data.sampler import identity_batches
from auxreid.progress import track
from auxreid.seeding import seed_everything

Report = Callable[[dict[str, float], int], None]


class BNNeck(nn.Module):
    """Batch norm with a frozen bias, then a classifier without one (Luo et al. 2019). [b, d] -> [b, identities]."""

    def __init__(self, width: int, identities: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.norm(features))


class Stage2Losses(nn.Module):
    """The loss of stage 2, with the two BNNecks that it trains.

    L = w_id * (CE(f2) + CE(f3)) + w_triplet * (triplet(f1) + triplet(f2) + triplet(f3)) + w_i2t * i2tce(f3)

    Args:
        dims: widths of f1, f2, f3.
        texts: text features of all training identities [k, e], or None: no text loss.
        settings: the finetune section.
    """

    def __init__(self, dims: tuple[int, int, int], identities: int, texts: Tensor | None, settings):
        super().__init__()
        self.necks = nn.ModuleList([BNNeck(dims[1], identities), BNNeck(dims[2], identities)])
        self.register_buffer("texts", texts)
        self.settings = settings

    def forward(self, features: tuple[Tensor, Tensor, Tensor], identities: Tensor) -> dict[str, Tensor]:
        """The terms by name, unweighted, and their weighted sum "loss"; identities [b] in 0..k-1."""
        s = self.settings
        necked = zip(self.necks, features[1:], strict=True)
        ce = [F.cross_entropy(neck(f), identities, label_smoothing=s.smoothing) for neck, f in necked]
        terms = {
            "id": torch.stack(ce).sum(),
            "triplet": torch.stack([batch_hard_triplet(f, identities, s.margin) for f in features]).sum(),
        }
        total = s.w_id * terms["id"] + s.w_triplet * terms["triplet"]
        if self.texts is not None:
            terms["i2t"] = image_text_cross_entropy(features[2], self.texts, identities, s.smoothing)
            total = total + s.w_i2t * terms["i2t"]
        return {"loss": total} | terms


def finetune_encoder(
    encoder: nn.Module, frames, identities: np.ndarray, texts: Tensor | None, settings, seed: int, report: Report
) -> None:
    """Train `encoder` in place on `frames`.

    Args:
        encoder: an image tower with `.dims` and `.input_config`.
        frames: the training frames; identities: theirs, in 0..k-1 [n].
        texts: text features [k, e], or None for no text loss.
        report: called with the epoch's mean loss terms and learning rate.

    Raises:
        FloatingPointError: the loss is not finite; names the epoch and the step.
    """
    from lightning_fabric import Fabric
    from timm.data.random_erasing import RandomErasing

    fabric = Fabric(devices=1)
    seed_everything(seed)  # the heads' weights
    losses_of = Stage2Losses(encoder.dims, int(identities.max()) + 1, texts, settings)
    trained = nn.ModuleDict({"encoder": encoder.to(memory_format=torch.channels_last), "losses": losses_of})
    fabric.to_device(trained)
    optimizer = fabric.setup_optimizers(_optimizer(trained, settings))
    size = encoder.input_config
    images = TrainImages(frames, size.height, size.width)
    erase = RandomErasing(probability=settings.erasing, mode="pixel", max_area=0.4, device=fabric.device)
    for epoch in track(range(1, settings.epochs + 1), "stage 2 epochs"):
        epoch_seed = seed * 100_003 + epoch
        seed_everything(epoch_seed)  # an epoch draws the same whatever ran before it
        lr = _set_lr(optimizer, settings, epoch)
        batches = _draws(identities, settings, np.random.default_rng(epoch_seed))
        trained.train()
        means = _Means()
        for batch, rows in zip(loader(images, batch_sampler=batches), batches, strict=True):
            labels = fabric.to_device(torch.from_numpy(identities[[row for row, _ in rows]]))
            pixels = erase(normalise(fabric.to_device(batch), size))
            terms = losses_of(encoder(pixels), labels)
            _check_finite(terms["loss"], epoch, means.steps)
            optimizer.zero_grad()
            fabric.backward(terms["loss"])
            optimizer.step()
            means.add(terms)
        report(means.values() | {"lr": lr}, epoch)
    encoder.eval()


class _Means:
    """Mean of each loss term over an epoch."""

    def __init__(self):
        self.steps, self.sums = 0, {}

    def add(self, terms: dict[str, Tensor]) -> None:
        self.steps += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.item()

    def values(self) -> dict[str, float]:
        return {name: total / self.steps for name, total in self.sums.items()}


def _draws(identities: np.ndarray, settings, rng) -> list[list[tuple[int, int]]]:
    """The epoch's P x K batches as (row, augmentation seed)."""
    batches = identity_batches(identities, settings.identities, settings.instances, rng)
    return [[(int(row), int(rng.integers(2**31))) for row in batch] for batch in batches]


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
    return torch.optim.Adam(groups, lr=settings.lr, weight_decay=settings.weight_decay)


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


def _check_finite(loss: Tensor, epoch: int, step: int) -> None:
    if not torch.isfinite(loss):
        raise FloatingPointError(f"stage 2: the loss is {loss.item()} at epoch {epoch}, step {step}; lower finetune.lr")
