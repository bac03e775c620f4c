"""The multi-task attribute classifier: one timm backbone and a linear head per attribute (THESIS section 2)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import timm
from timm.models import group_parameters
from torch import Tensor, nn

from auxreid.attributes.calibration import Calibration
from auxreid.clip.model_names import timm_fault
from auxreid.clip.weights import load_fitting, read_weights, without_classifier
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.tensor_file import read_tensors, write_tensors
from auxreid.plumbing.settings.recipes import InputConfig

TIMM_DOWNLOAD = "timm"  # value of `weights` that asks for timm's own pretrained weights


class AttributeModel(nn.Module):
    """Pooled features of a backbone, dropout, and a linear layer per attribute.

    Its outputs are logits, of which `calibration` makes probabilities.

    What is frozen of the backbone stays in eval mode, for its batch statistics are part of it.

    Args:
        backbone: maps [b, 3, h, w] to [b, d]; `backbone.head_hidden_size` is d, as in timm's models without classes
        vocabulary: attribute -> its words, in the order of the head's outputs
        dropout: probability of dropping a feature before the heads
        frozen: all of the backbone is
        trained_stages: of a backbone that is not, the last so many of timm's stages are trained, None for all
        mirrored: predictions are from the mean of the logits of an image and of its mirror image

    Raises:
        ConfigError: the backbone has not so many stages.
    """

    def __init__(
        self,
        backbone: nn.Module,
        vocabulary: Mapping[str, Sequence[str]],
        dropout: float = 0.0,
        frozen: bool = False,
        trained_stages: int | None = None,
        mirrored: bool = False,
    ):
        super().__init__()
        self.frozen, self.mirrored = frozen, mirrored
        backbone.requires_grad_(not frozen)
        if trained_stages is not None and not frozen:
            _freeze_all_but(backbone, trained_stages)
        self.backbone = backbone
        self.vocabulary = {name: tuple(words) for name, words in vocabulary.items()}
        self.calibration = Calibration()
        self.dropout = nn.Dropout(dropout)
        width = backbone.head_hidden_size
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(words)) for name, words in self.vocabulary.items()})
        if frozen:  # the heads' loss has one minimum, and a random start would only be noise in what few steps find
            for parameter in self.heads.parameters():
                nn.init.zeros_(parameter)

    def train(self, mode: bool = True) -> "AttributeModel":
        super().train(mode)
        for module in self.backbone.modules():
            own = list(module.parameters(recurse=False))
            if self.frozen or (own and not any(parameter.requires_grad for parameter in own)):
                module.training = False  # alone: a transformer's own are its embeddings, and its blocks may learn
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """[b, 3, h, w] -> per attribute logits [b, k]"""
        return self.classify(self.backbone(images))

    def classify(self, features: Tensor) -> dict[str, Tensor]:
        """The backbone's features [b, d] -> per attribute logits [b, k]"""
        features = self.dropout(features)
        return {name: head(features) for name, head in self.heads.items()}


def _freeze_all_but(backbone: nn.Module, stages: int) -> None:
    """Leave only the parameters of the last so many stages, as timm groups them, to be trained."""
    grouped = group_parameters(backbone, backbone.group_matcher(coarse=True))  # stage -> names, the input's first
    if stages > len(grouped):
        raise ConfigError(
            f"attributes.trained_stages = {stages}: the backbone has {len(grouped)} stages; null trains all of them"
        )
    trained = {name for stage in sorted(grouped)[-stages:] for name in grouped[stage]}
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name in trained)


def build_backbone(name: str, weights: str | None) -> nn.Module:
    """A timm model without its classifier.

    Args:
        name: as in timm.list_models()
        weights: None for random ones, "timm" for timm's own download, else a local file of the whole model, whose
            classifier is left out

    Raises:
        ConfigError: a name that timm does not know, a download that failed, a file that is missing, or weights of
            another structure.
    """
    if (fault := timm_fault(name)) is not None:
        raise ConfigError(f"attributes.backbone = {name!r}: {fault}")
    if weights == TIMM_DOWNLOAD:
        return _downloaded(name)
    backbone = timm.create_model(name, num_classes=0)
    if weights is not None:
        state = without_classifier(backbone, read_weights(weights, "attributes.weights"))
        load_fitting(backbone, state, f"attributes.weights = {weights!r} for {name}")
    return backbone


def _downloaded(name: str) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as error:  # no network or no such file: OSError; no weights published: RuntimeError
        raise ConfigError(
            f"weights of {name!r} could not be had from timm's hub ({type(error).__name__}); "
            "name a local safetensors file, or null for random weights"
        ) from error


def save_model(path: str | Path, model: AttributeModel, backbone: str, spec: Any) -> None:
    """Write weights and, as JSON in the file's header, all that is needed to use them. The file appears by rename.

    Args:
        backbone: the backbone's name in timm
        spec: object with height, width (pixels), mean and std
    """
    fields = {key: getattr(spec, key) for key in InputConfig.model_fields}
    header = {"backbone": backbone, "vocabulary": model.vocabulary, "input": fields}
    header |= asdict(model.calibration) | {"mirrored": model.mirrored}
    write_tensors(Path(path), model.state_dict(), json.dumps(header))


def load_model(path: str | Path) -> tuple[AttributeModel, InputConfig]:
    """The model of :func:`save_model` in eval mode, and its input.

    Raises:
        DataError: the file is missing, or not an attribute model of this project.
    """
    about, tensors = read_tensors(Path(path), "model of attributes")
    header = json.loads(about)
    if not {"backbone", "vocabulary", "input"} <= header.keys():
        raise DataError(f"{path}: its header does not describe an attribute model")
    model = AttributeModel(timm.create_model(header["backbone"], num_classes=0), header["vocabulary"])
    model.load_state_dict(tensors)
    model.calibration = Calibration(**{name: header.get(name, {}) for name in asdict(Calibration())})  # older: fewer
    model.mirrored = header.get("mirrored", False)
    return model.eval(), InputConfig(**header["input"])
