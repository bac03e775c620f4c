"""The networks that look at photographs for a search: one that embeds, and one that predicts attributes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.attributes.dataset import eval_transform
from auxreid.attributes.model import load_model
from auxreid.attributes.predict import classify_views, embed_images
from auxreid.clip.checkpoints import AuxiliaryHeader, Beside, load_ranked_encoder
from auxreid.clip.images import PlainImages, normalise
from auxreid.metric.backbone import ClipFeatures
from auxreid.metric.checkpoint import ENCODER, MetricHeader, load_metric_model
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.files import file_hash
from auxreid.plumbing.base.progress import track
from auxreid.plumbing.base.tensor_file import read_about
from auxreid.search.described import Described
from auxreid.search.looks import Looks
from auxreid.training.precision import FULL, lengthened, tower_precision

BATCH = 64
PATHS = ("embedding", "backbone", "attributes", "text", "descriptors", "hrnet")  # of Files


@dataclass(frozen=True)
class Files:
    """Of a pair of networks.

    Args:
        embedding: a metric row's model, or where `is_metric` is false an image encoder of the chain.
        backbone: of a metric row the file of its pretrained encoder; None: a timm model without weights.
        attributes: an attribute classifier's model.
        precision, attribute_precision: of the two.
        text: the text tower that lies in one space with the image encoder; None: there is none.
        descriptors: what a row of the chain with `rank` ranks by; None: the encoder's features.
        hrnet: what finds the joints of a photograph, where descriptors lie at joints.
    """

    embedding: Path
    is_metric: bool
    attributes: Path
    backbone: Path | None = None
    precision: str = FULL
    attribute_precision: str = FULL
    text: Path | None = None
    descriptors: Path | None = None
    hrnet: Path | None = None

    def paths(self) -> dict[str, Path]:
        """Those that there are, by name."""
        named = {name: getattr(self, name) for name in PATHS}
        return {name: path for name, path in named.items() if path is not None}

    def described(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self) | {name: path.as_posix() for name, path in self.paths().items()}

    @classmethod
    def read(cls, described: Mapping[str, Any], root: Path = Path()) -> "Files":
        """What :meth:`described` gave, below a folder."""
        there = {name: path and root / path for name in PATHS if (path := described.get(name)) is not None}
        return cls(**dict(described) | there)

    @classmethod
    def found(cls, described: Mapping[str, Any], root: Path, model: str) -> "Files":
        """As :meth:`read`, once they are known to be there and to have this hash.

        Raises:
            DataError: one is not there, or they are others.
        """
        files = cls.read(described, root)
        for name, path in files.paths().items():
            if not path.is_file():
                raise DataError(f"{path}: no such file, the {name} of a search; bring it by `dvc checkout`")
        if files.hash() != model:
            raise DataError(f"{files.embedding}: the networks are others than those of the search; run `dvc repro`")
        return files

    def hash(self) -> str:
        """SHA-256 (hex) over the files' contents and how they are used: embeddings of equal ones can be compared.

        Raises:
            OSError: a file is not there.
        """
        hashes = {name: file_hash(path) for name, path in self.paths().items()}
        used = {"is_metric": self.is_metric, "precision": self.precision, "attributes": self.attribute_precision}
        return hashlib.sha256(json.dumps([hashes, used], sort_keys=True).encode()).hexdigest()


class Networks:
    """Both networks, read once. Several threads may look at the same time.

    Where a metric row stands on the attribute classifier's own backbone, that backbone is held once, and looks at a
    photograph's images for both in one pass.

    Raises:
        ConfigError: the encoder needs more than the photograph: a pose, a camera's number, or the row's idea.
        ConfigError, DataError: as load_metric_model, load_ranked_encoder and attributes.model.load_model.
    """

    def __init__(self, files: Files):
        self.files = files
        self.attributes, self.attribute_input = load_model(files.attributes)
        self.embedding, self.input, self.described = _open_embedding(files)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.shares_backbone = _is_attributes_own(files)
        if self.shares_backbone:
            self.embedding.backbone = self.attributes.backbone
        for network in (self.attributes, self.embedding):
            network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)

    @property
    def vocabulary(self) -> Mapping[str, Sequence[str]]:
        """The words of each attribute, in the order of its probabilities."""
        return self.attributes.vocabulary

    def look(self, frames: Any) -> Looks:
        """Of frames, or what is read like them: `len(frames)`, and `frames.image(i)`, uint8 RGB [h, w, 3]."""
        parts = [self._looked_at(frames, rows) for rows in _batches(len(frames))]
        logits = {name: np.concatenate([one[name] for _, one in parts]) for name in self.vocabulary}
        return Looks(np.concatenate([one for one, _ in parts]), self.attributes.calibration.probabilities(logits))

    def embed(self, frames: Any) -> np.ndarray:
        """Embeddings of unit length float32 [n, d] alone."""
        batches = track(_batches(len(frames)), "embedding batches")
        return np.concatenate([self._embedded(frames, rows) for rows in batches])

    @torch.inference_mode()
    def _looked_at(self, frames: Any, rows: range) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Embeddings [b, d], and of each attribute logits [b, k]."""
        model, precision = self.attributes, self.files.attribute_precision
        transform = eval_transform(self.attribute_input)
        images = torch.stack([transform(image=frames.image(row))["image"] for row in rows]).to(self.device)
        views = [images, images.flip(-1)] if model.mirrored else [images]
        if self.shares_backbone:
            seen = torch.cat([self._plain(frames, rows), *views])
            made = embed_images(model, seen, precision).unflatten(0, (1 + len(views), -1))
            embedded, features = self._projected(made[0]), made[1:]
        else:
            embedded = self._embedded(frames, rows)
            features = torch.stack([embed_images(model, one, precision) for one in views])
        return embedded, {name: one.cpu().numpy() for name, one in classify_views(model, features).items()}

    def _plain(self, frames: Any, rows: range) -> Tensor:
        """[b, 3, h, w], as embeddings are made of them."""
        images = PlainImages(frames, self.input.height, self.input.width)
        return normalise(torch.stack([images[row] for row in rows]).to(self.device), self.input)

    @torch.inference_mode()
    def _embedded(self, frames: Any, rows: range) -> np.ndarray:
        if self.described is not None:
            return self.described.embed(frames, rows)
        with tower_precision(self.files.precision, self.device):
            features = self.embedding.backbone(self._plain(frames, rows))
        return self._projected(lengthened(features))

    def _projected(self, features: Tensor) -> np.ndarray:
        return F.normalize(self.embedding.projection(F.normalize(features))).cpu().numpy()


class Unprojected(nn.Module):
    """An image encoder of the chain, as a metric model is: what it ranks is what its backbone makes."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.backbone, self.projection = ClipFeatures(tower), nn.Identity()


def _open_embedding(files: Files) -> tuple[nn.Module, Any, Described | None]:
    """The model, with a `backbone` and a `projection`, what it takes in, and what describes images with it, if any."""
    if files.is_metric:
        return *load_metric_model(files.embedding, files.backbone), None
    tower, beside = load_ranked_encoder(files.embedding)
    _check_beside(files.embedding, None if beside is None else beside[0])
    if getattr(tower, "cameras", ()):
        raise ConfigError(f"{files.embedding}: the row needs the camera's number, and a photograph brings none")
    described = None
    if files.descriptors is not None:
        described = Described(tower, beside, files.descriptors, files.hrnet, files.precision)
    return Unprojected(tower), tower.input_config, described


def _check_beside(path: Path, header: Beside | None) -> None:
    """Raises ConfigError where what was trained beside an encoder takes part in ranking: a search has images alone."""
    if isinstance(header, AuxiliaryHeader) and not header.config.ranks_pose:
        kind = header.config.kind
        raise ConfigError(f"{path}: the row's auxiliary {kind} ranks with the encoder, and a search has no form of it")
    if header is not None and (isinstance(header, AuxiliaryHeader) or header.pose.rank == "fused"):
        raise ConfigError(f"{path}: the row ranks images with a pose, and a photograph brings none")


def _is_attributes_own(files: Files) -> bool:
    """Whether a metric row stands on the backbone of these very attributes, with no part of it trained further."""
    if not files.is_metric or files.backbone is None or files.precision != files.attribute_precision:
        return False
    about, names = read_about(files.embedding, "metric model")
    header, trained = MetricHeader.model_validate_json(about), any(name.startswith(ENCODER) for name in names)
    return header.backbone.kind == "attributes" and not trained and same_content(files.backbone, files.attributes)


def same_content(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes."""
    return one.samefile(other) or file_hash(one) == file_hash(other)


def _batches(count: int) -> list[range]:
    return [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
