"""The networks that look at photographs: an encoder of the project, a backbone of timm, an attribute classifier."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from auxreid.assembling.items import Item
from auxreid.data.vocabulary import DOG_ATTRIBUTES
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.files import file_hash

BATCH = 64


@dataclass(frozen=True)
class Network:
    """What gives a vector for each photograph; `key` tells two networks apart, `words` are an attribute model's."""

    name: str
    key: str
    compute: Callable[[Sequence[Item]], np.ndarray] = field(repr=False)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)


def encoder_network(path: Path, precision: str, name: str, camera: int | None) -> Network:
    """An encoder.safetensors of the project. Raises DataError if it is none, or needs more than images."""
    from auxreid.serving.embedding import Encoder
    from auxreid.serving.features import check_needs, embedded

    encoder = Encoder(path, precision)
    check_needs(encoder, camera)
    key = key_of(file_hash(path), [precision, camera])
    return Network(name, key, lambda items: embedded(encoder, photos_of(items), camera))


def backbone_network(recipe: str, attributes: Any) -> Network:
    """The backbone that a recipe's attribute classifier starts from, without a classifier.

    Raises:
        ConfigError: the file is not there, or of another structure.
    """

    weights = Path(attributes.weights or "")
    if not weights.is_file():
        raise ConfigError(
            f"recipes.{recipe}.attributes.weights = {attributes.weights}: no such file; save it as docs/own_data.md "
            "says under Encoders, or name another encoder by --encoder FILE or --row NAME"
        )
    shape = [attributes.backbone, attributes.height, attributes.width, list(attributes.mean), list(attributes.std)]
    key = key_of(file_hash(weights), shape)
    return Network(f"{weights} ({attributes.backbone})", key, _Backbone(attributes))


class _Backbone:
    """Features of photographs; the weights are read when they are first needed."""

    def __init__(self, attributes: Any):
        self._attributes = attributes

    @cached_property
    def _model(self) -> Any:
        from auxreid.attributes.model import build_backbone

        return build_backbone(self._attributes.backbone, self._attributes.weights).eval()

    def __call__(self, items: Sequence[Item]) -> np.ndarray:
        import torch

        from auxreid.attributes.dataset import eval_loader
        from auxreid.serving.photos import Photos

        loader = eval_loader(Photos(photos_of(items)), {}, self._attributes, BATCH)
        with torch.inference_mode():
            return np.concatenate([self._model(images).numpy() for images, _ in loader])


def attribute_network(path: Path) -> Network:
    """A model.safetensors of stage `attributes`: probabilities of all words of all attributes, one after the other.

    Raises:
        DataError: it is none, or its words are not those of dogs.
    """
    from auxreid.attributes.model import load_model
    from auxreid.attributes.predict import predict
    from auxreid.serving.photos import Photos

    model, spec = load_model(path)
    for name, words in model.vocabulary.items():
        unknown = sorted(set(words) - set(DOG_ATTRIBUTES.get(name, ())))
        if unknown:
            allowed = f"allowed: {', '.join(DOG_ATTRIBUTES.get(name, ())) or 'no such attribute of dogs'}"
            raise DataError(f"--attributes {path}: attribute {name} has the words {', '.join(unknown)}; {allowed}")

    def compute(items: Sequence[Item]) -> np.ndarray:
        return np.concatenate(list(predict(model, Photos(photos_of(items)), spec).values()), axis=1)

    return Network(str(path), key_of(file_hash(path), []), compute, model.vocabulary)


def photos_of(items: Sequence[Item]) -> list:
    """As the networks of the project read them."""
    from auxreid.serving.photos import Photo

    return [Photo(item.name, item.path, item.look.width, item.look.height) for item in items]


def key_of(content: str, rest: list) -> str:
    """Of a network: by its file's hash, and what else changes its numbers."""
    return hashlib.sha256(json.dumps([content, rest]).encode()).hexdigest()
