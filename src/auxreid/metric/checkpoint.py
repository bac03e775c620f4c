"""A metric model on disk: the linear layer, and the encoder where the row has trained a part of it; the header says
which encoder it is."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from auxreid.metric.backbone import open_backbone
from auxreid.metric.train import MetricModel
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.settings.metric import Backbone
from auxreid.plumbing.settings.recipes import InputConfig
from auxreid.plumbing.settings.section import Section

ENCODER = "backbone."


class MetricHeader(Section):
    """What a model's header says."""

    backbone: Backbone


def save_metric_model(path: Path, model: MetricModel, backbone: Backbone) -> None:
    """Write a model; a frozen encoder is not written again. The file appears by rename."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with finished_file(path) as unfinished:
        save_file(state, unfinished, metadata={"auxreid": MetricHeader(backbone=backbone).model_dump_json()})


def load_metric_model(path: Path, encoder: Path | None = None) -> tuple[MetricModel, InputConfig]:
    """The model from images to embeddings, in eval mode, and what it takes in.

    Args:
        encoder: the file of the pretrained encoder, where it is of kind clip or attributes.

    Raises:
        ConfigError: the encoder's weights are not where the header says, or of another structure.
        DataError: the file is missing or no metric model.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = MetricHeader.model_validate_json((file.metadata() or {})["auxreid"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a metric model ({error})") from error
    backbone, taken = open_backbone(header.backbone, encoder)
    model = MetricModel(state["projection.weight"], backbone)
    kept = {f"{ENCODER}{name}": tensor for name, tensor in backbone.state_dict().items()}
    model.load_state_dict(kept | state)
    return model.eval(), taken
