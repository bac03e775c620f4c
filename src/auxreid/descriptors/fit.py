"""Descriptors fitted to an encoder on the training images of a data set, and images embedded by them.

An image becomes its global feature beside what the encoder's maps show in pools of cells, at its joints or a control of
them. Each part is measured from a mean where the row says so, whitened within identities and brought to length 1.
Predicted attributes may be a further part.
Squared distances of a part are divided by their standard deviation over pairs of training images, so that no part rules
by its scale; all local parts together then weigh as much as the global one, and attributes what the row says. A
weighted sum of squared distances is the squared distance of the scaled vectors side by side, which therefore are the
embedding: re-ranking, tracks and indices take it as any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from auxreid.clipreid.fused_embedding import embed_and_observe
from auxreid.descriptors.centring import cameras_of, centred
from auxreid.descriptors.header import DescriptorsHeader, weights_hash
from auxreid.descriptors.held_out import held_out_score
from auxreid.descriptors.pools import observing, pools_at, pools_of
from auxreid.descriptors.predicted import PART, embed_part, fit_part, of_another
from auxreid.descriptors.whitening import choose_shrinkage, whitening, within_spread
from auxreid.evaluation.ranking import squared_distances
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.training.precision import FULL

GLOBAL = "global"
SPREAD_IMAGES = 1500  # whose pairs tell how far distances spread
MEAN_PLACES = "mean_places"


@dataclass(frozen=True)
class Descriptors:
    """What ranks images by an encoder that stays as it is.

    Tensors, for each part (`global`, the maps by name, `evidence`): `<part>.mean` [d], where the row has a centre,
    `<part>.whitening` [d, d], where the part is whitened, and `<part>.scale` []; around joints, `mean_places` [J, 3];
    of evidence, `evidence.<attribute>` [words].
    """

    header: DescriptorsHeader
    tensors: Mapping[str, Tensor]

    def embed(
        self,
        encoder,
        beside,
        frames,
        pose_file: str | Path | None,
        precision: str = FULL,
        attributes: Path | None = None,
    ) -> np.ndarray:
        """Images as vectors float32 [n, d] whose squared Euclidean distance is the weighted sum of all distances.

        Args:
            encoder, beside: as `load_ranked_encoder` gives them.
            pose_file: the keypoint table of the frames, where the pools or what is beside the encoder take joints.
            attributes: the attribute model, where there is evidence.

        Raises:
            DataError: the encoder, the joints or the attributes are others than the descriptors were fitted to, or are
                missing; as :func:`cameras_of`.
        """
        self.header.check_encoder(encoder)
        config = self.header.rank
        usual = self.tensors.get(MEAN_PLACES)
        if config.pools == "mean_joints":  # and no image is asked for its own
            pools = pools_at(config, encoder, usual, self.header.joints, len(frames))
        else:
            pools = pools_of(config, encoder, frames, pose_file, self.header.facts["seed"], usual)
        if config.ranks_joints:
            self.header.check_joints(pools.places.joints, pose_file)
        parts = _parts(config, encoder, beside, frames, pose_file, precision, pools)
        parts = _from_means(config, parts, self.tensors, frames, self.header.facts["seed"])
        if config.evidence is not None:
            found = embed_part(self.tensors, self.header.facts[PART], attributes, frames, precision)
            parts[PART] = of_another(found, self.header.facts["seed"]) if config.evidence.shuffled else found
        scaled = [
            _unit(values, self.tensors.get(f"{name}.whitening")) * self.tensors[f"{name}.scale"]
            for name, values in parts.items()
        ]
        return torch.cat(scaled, dim=1).numpy()


def fit_descriptors(
    config: RankConfig,
    encoder,
    beside,
    frames_train,
    classes: np.ndarray,
    pose_file: Path | None,
    precision: str,
    seed: int,
    attributes: Path | None = None,
) -> Descriptors:
    """Fit what a row's `rank` asks for on training images.

    Args:
        encoder, beside: as `load_ranked_encoder` gives them.
        frames_train: the n training frames.
        classes: their identities in 0..k-1 [n].
        pose_file: the data set's keypoint table, where the pools or what is beside the encoder take joints.
        seed: parts the identities in two, on which the shrinkages are chosen, and draws the pairs of the scales.
        attributes: the attribute model, where there is evidence; the control `shuffled` is fitted as what it controls.

    Raises:
        DataError: no identity has two images; frames lack joints; as :func:`fit_part` and :func:`cameras_of`.
    """
    pools = pools_of(config, encoder, frames_train, pose_file, seed)
    score = held_out_score(frames_train, classes)
    parts = _parts(config, encoder, beside, frames_train, pose_file, precision, pools)
    tensors: dict[str, Tensor] = {}
    if config.centre is not None:
        tensors |= {f"{name}.mean": values.double().mean(dim=0).float() for name, values in parts.items()}
    parts = _from_means(config, parts, tensors, frames_train, seed)
    shrinkages: dict[str, float] = {}
    facts: dict[str, Any] = {"seed": seed, "shrinkage": shrinkages}
    if config.evidence is not None:
        parts[PART], known, facts[PART] = fit_part(attributes, frames_train, classes, precision)
        tensors |= known
    for name, values in parts.items():
        if name in config.maps or (name == GLOBAL and config.whiten_global):
            shrinkages[name], _ = choose_shrinkage(values, classes, score, seed)
            tensors[f"{name}.whitening"] = whitening(within_spread(values, classes), shrinkages[name])
        vectors = _unit(values, tensors.get(f"{name}.whitening"))
        tensors[f"{name}.scale"] = torch.tensor(
            (_share(config, name) / _spread(vectors, seed)) ** 0.5, dtype=torch.float32
        )
    if config.fits_joints:
        tensors[MEAN_PLACES] = torch.from_numpy(pools.places.usual.copy())
    joints = pools.places.joints if config.fits_joints else ()
    return Descriptors(
        DescriptorsHeader(rank=config, encoder=weights_hash(encoder), joints=joints, facts=facts), tensors
    )


def _parts(config, encoder, beside, frames, pose_file, precision, pools) -> dict[str, Tensor]:
    """The global embedding [n, d], and what each map shows in the pools [n, P * d]."""
    embedding, observed = embed_and_observe(
        encoder, beside, frames, pose_file, precision, observing(pools, config.maps), config.maps, config.mirror
    )
    return {GLOBAL: embedding} | dict(zip(config.maps, observed, strict=True))


def _from_means(config: RankConfig, parts: dict[str, Tensor], tensors, frames, seed: int) -> dict[str, Tensor]:
    """The same parts, measured from where the row says."""
    if config.centre is None:
        return parts
    cameras = cameras_of(frames, config.centre, seed)
    return {name: centred(values, tensors[f"{name}.mean"], cameras) for name, values in parts.items()}


def _share(config: RankConfig, part: str) -> float:
    """The weight of a part's distances."""
    if part == PART:
        return config.evidence.share
    return 1.0 if part == GLOBAL else 1 / len(config.maps)


def _unit(values: Tensor, matrix: Tensor | None) -> Tensor:
    """Whitened where there is a matrix, and brought to length 1."""
    return F.normalize(values if matrix is None else values @ matrix, dim=1)


def _spread(vectors: Tensor, seed: int) -> float:
    """Standard deviation of the squared distances between different images."""
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:SPREAD_IMAGES]
    some = vectors[chosen].numpy()
    between = squared_distances(some, some)[~np.eye(len(some), dtype=bool)]
    return max(float(between.std(dtype=np.float64)), np.finfo(np.float32).eps)
