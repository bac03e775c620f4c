"""What a frozen backbone makes of the training frames: computed once per augmented view, used in many epochs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from auxreid.attributes.dataset import AttributeDataset, EpochSampler, batch_size, train_transform
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
        self.batch = batch_size(len(frames), settings)
        self.sampler = EpochSampler(len(frames), settings.seed, self.batch, slice(0, self.batch))
        self.views, self.epochs = settings.views or settings.epochs, settings.epochs
        self.codes = {name: torch.from_numpy(codes).to(device) for name, codes in self.images.codes.items()}
        self.embed, self.share = embed, share
        self.kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.sampler) // self.batch

    def __iter__(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        features = self._view(1 + (self.sampler.epoch - 1) % self.views)
        places = torch.tensor([index for _, index in self.sampler], device=features.device)
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
        loader = DataLoader(self.images, self.batch, sampler=places, num_workers=processes, generator=torch.Generator())
        described = track(loader, f"features of view {view}") if self.share.rank == 0 else loader
        with torch.no_grad():
            features = self.share.gather(torch.cat([self.embed(images) for images, _ in described]), count)
        if self.views < self.epochs:
            self.kept[view] = features
        return features
