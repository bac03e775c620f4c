"""The pretrained encoder that a metric model starts from, as one module: images -> features [b, d]."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auxreid.clip.checkpoints import load_image_encoder
from auxreid.clip.model_names import timm_fault
from auxreid.clip.weights import load_fitting, read_weights, without_classifier
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.settings.recipes import InputConfig

RANDOM_SEED = 0


class ClipFeatures(nn.Module):
    """What CLIP-ReID ranks: f2 and f3 of an image tower, side by side."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower = tower

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, h, w] -> [b, d2 + d3]"""
        _, f2, f3 = self.tower(images)
        return torch.cat([f2, f3], dim=1)


def open_backbone(settings: Any, path: Path | None) -> tuple[nn.Module, InputConfig]:
    """The encoder in eval mode, and what it takes in.

    Args:
        settings: the backbone of a recipe's metric section.
        path: the file that the table of runs gives for it; None: a timm model as its settings say.

    Raises:
        ConfigError: timm has no such model, or the weights are of another structure.
        DataError: the file of an earlier stage is missing or broken.
    """
    if settings.kind == "clip":
        tower = load_image_encoder(path)
        return ClipFeatures(tower).eval(), tower.input_config
    if settings.kind == "attributes":
        from auxreid.attributes.model import load_model

        model, taken = load_model(path)
        return model.backbone.eval(), taken
    fields = {name: getattr(settings, name) for name in InputConfig.model_fields}
    return _timm(settings.name, settings.weights if path is None else str(path)).eval(), InputConfig(**fields)


def _timm(name: str, weights: str | None) -> nn.Module:
    """Without weights it is random, and always the same: rows that train a part of it must begin where others do."""
    import timm

    if (fault := timm_fault(name)) is not None:
        raise ConfigError(f"metric.backbone.name = {name!r}: {fault}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        model = timm.create_model(name, num_classes=0)
    if weights is not None:
        state = without_classifier(model, read_weights(weights, "metric.backbone.weights"))
        load_fitting(model, state, f"metric.backbone.weights = {weights!r} for {name}")
    return model


def train_last(backbone: nn.Module, share: float) -> list[nn.Parameter]:
    """Let the last parameters be trained, in the order of definition, up to `share` of all numbers; freeze the others.

    0 freezes the encoder, 1 trains all of it. Batch norms keep the statistics that they have: few individuals have few
    images.

    Returns:
        Those that are trained.
    """
    whole = sum(parameter.numel() for parameter in backbone.parameters())
    left, trained = share * whole, []
    for parameter in reversed(list(backbone.parameters())):
        left -= parameter.numel()
        parameter.requires_grad_(left >= 0)
        if left >= 0:
            trained.append(parameter)
    return trained[::-1]
