"""What a frozen backbone makes of the training frames: computed once per augmented view, used in many epochs."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from auxreid.attributes.dataset import AttributeDataset, EpochSampler, batch_size, draw_chances, train_transform
from auxreid.data.frames import Frames
from auxreid.plumbing.base.progress import track
from auxreid.training.decoding import decoding_processes
from auxreid.training.share import Share


class FeatureBatches:
    """Batches of features and codes where a training loader has images; set `sampler.epoch` before each epoch.

    Epoch e reads view 1 + (e - 1) % views of each frame: the image that a training loader would show in the epoch of
    that number. With `settings.views` null, every epoch has a view of its own. Of several processes, each embeds its
    share of the frames, and each gets whole batches.

    Args:
        embed: images [b, 3, h, w] -> features [b, d] on `device`, without a gradient
    """

    def __init__(
        self,
        frames: Frames,
        vocabulary: Mapping[str, Sequence[str]],
        settings: Any,
        embed: Callable[[Tensor], Tensor],
        device: torch.device,
        share: Share,
    ):
        self.images = AttributeDataset(frames, vocabulary, train_transform(settings), settings.seed)
        self.vocabulary, self.settings = vocabulary, settings
        self.views, self.epochs = settings.views or settings.epochs, settings.epochs
        self.codes = {name: torch.from_numpy(codes).to(device) for name, codes in self.images.codes.items()}
        self.embed, self.share = embed, share
        self.kept: dict[int, Tensor] = {}
        self._draw_from(np.arange(len(frames)))

    def of_rows(self, rows: np.ndarray) -> "FeatureBatches":
        """Batches of some of the frames alone, whose features are kept together with these."""
        part = copy.copy(self)
        part._draw_from(rows)
        return part

    def _draw_from(self, rows: np.ndarray) -> None:
        self.rows, self.batch = rows, batch_size(len(rows), self.settings)
        codes = {name: one[rows] for name, one in self.images.codes.items()}
        chances = draw_chances(codes, self.vocabulary, self.settings)
        self.sampler = EpochSampler(len(rows), self.settings.seed, self.batch, slice(0, self.batch), chances)

    def __len__(self) -> int:
        return len(self.sampler) // self.batch

    def __iter__(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        features = self._view(1 + (self.sampler.epoch - 1) % self.views)
        places = torch.from_numpy(self.rows[[index for _, index in self.sampler]]).to(features.device)
        for rows in places.split(self.batch):
            yield features[rows], {name: codes[rows] for name, codes in self.codes.items()}

    def _view(self, view: int) -> Tensor:
        """[n, d]"""
        if view in self.kept:
            return self.kept[view]
        count = len(self.images)
        rows = self.share.rows(count)
        places = [(view, index) for index in range(rows.start, rows.stop)]
        processes = decoding_processes(self.images, places)
        # A generator of its own: whether a view is there already may not change what else is drawn.
        size = batch_size(count, self.settings)
        loader = DataLoader(self.images, size, sampler=places, num_workers=processes, generator=torch.Generator())
        described = track(loader, f"features of view {view}") if self.share.rank == 0 else loader
        with torch.no_grad():
            features = self.share.gather(torch.cat([self.embed(images) for images, _ in described]), count)
        if self.views < self.epochs or self.settings.folds is not None:
            self.kept[view] = features
        return features
