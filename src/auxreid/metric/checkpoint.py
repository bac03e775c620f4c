"""A metric model on disk: the linear layer, and the encoder where the row has trained a part of it; the header says
which encoder it is."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from auxreid.metric.backbone import open_backbone
from auxreid.metric.train import MetricModel
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.tensor_file import read_tensors, write_tensors
from auxreid.plumbing.settings.metric import Backbone
from auxreid.plumbing.settings.recipes import InputConfig
from auxreid.plumbing.settings.section import Section

ENCODER = "backbone."


class MetricHeader(Section):
    """What a model's header says."""

    backbone: Backbone


def save_metric_model(path: Path, model: MetricModel, backbone: Backbone) -> None:
    """Write a model; a frozen encoder is not written again. The file appears by rename."""
    write_tensors(path, model.state_dict(), MetricHeader(backbone=backbone).model_dump_json())


def save_backbone(settings: Mapping[str, Any], source: Path | None, path: Path) -> None:
    """Write the pretrained encoder of a model as one file for :func:`load_metric_model`, which appears by rename.

    What an earlier stage left is copied; a timm model's weights, in whatever form, become safetensors.

    Args:
        settings: the backbone, as the model's header has it.
        source: the encoder's file; None: a timm model as its settings say.

    Raises:
        ConfigError: the weights are missing, or of another structure.
    """
    backbone = MetricHeader(backbone=settings).backbone
    with finished_file(path) as unfinished:
        if backbone.kind == "timm":
            save_file(_tensors(open_backbone(backbone, source)[0]), unfinished)
        else:
            shutil.copyfile(source, unfinished)


def load_metric_model(path: Path, encoder: Path | None = None) -> tuple[MetricModel, InputConfig]:
    """The model from images to embeddings, in eval mode, and what it takes in.

    Args:
        encoder: the file of the pretrained encoder, as :func:`save_backbone` writes it or an earlier stage did; a timm
            model may go without, if its weights are where the header says.

    Raises:
        ConfigError: the encoder's weights are not where the header says, or of another structure.
        DataError: the file is missing or no metric model.
    """
    about, state = read_tensors(path, "metric model")
    try:
        header = MetricHeader.model_validate_json(about)
    except ValueError as error:
        raise DataError(f"{path}: not a metric model ({error})") from error
    backbone, taken = open_backbone(header.backbone, encoder)
    model = MetricModel(state["projection.weight"], backbone)
    kept = {f"{ENCODER}{name}": tensor for name, tensor in backbone.state_dict().items()}
    model.load_state_dict(kept | state)
    return model.eval(), taken


def _tensors(module: nn.Module) -> dict[str, Any]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
