"""The plain training loop that benchmarks/gpu.py compares with, in the reference's way: files, PIL, NCHW, autocast."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from auxreid.clip.build import build_towers
from auxreid.clip.images import PADDING
from auxreid.data.frames import Frames
from auxreid.evaluation.on_device import gpu

BATCH = 64
DEVICE = gpu() or torch.device("cpu")
ON_GPU = DEVICE.type == "cuda"
PROCESSES = 8 if ON_GPU else 0  # that decode, as the reference's configuration has it


@dataclass
class Bench:
    """The data and models that all stages share."""

    frames: Frames
    files: list[Path]
    identities: np.ndarray
    recipe: object  # of params.yaml
    epochs: int

    def towers(self) -> tuple[nn.Module, nn.Module]:
        torch.manual_seed(0)
        size = self.recipe.input
        image, text = build_towers(self.recipe.encoder, (size.height, size.width), weights=False)
        image.input_config = size
        return image, text


class Files(Dataset):
    """(image float32 [3, h, w], identity) of each file, as the reference's transforms make them."""

    def __init__(self, bench: Bench, augmented: bool):
        size, self.bench = bench.recipe.input, bench
        steps = [transforms.Resize((size.height, size.width), transforms.InterpolationMode.BICUBIC)]
        if augmented:
            crop = transforms.RandomCrop((size.height, size.width))
            steps += [transforms.RandomHorizontalFlip(), transforms.Pad(PADDING), crop]
        self.transform = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(size.mean, size.std)])

    def __len__(self) -> int:
        return len(self.bench.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.open(self.bench.files[index]).convert("RGB")
        return self.transform(picture), int(self.bench.identities[index])


def now() -> float:
    """Once all that was asked of the device is done."""
    if ON_GPU:
        torch.cuda.synchronize()
    return time.perf_counter()


def plain_rate(bench: Bench, modules: nn.Module, loss_of: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Images a second of the plain loop over some epochs but the first, whose steps warm up."""
    modules.to(DEVICE).train()
    loader = DataLoader(Files(bench, True), BATCH, shuffle=True, drop_last=True, num_workers=PROCESSES)
    optimizer = torch.optim.Adam([p for p in modules.parameters() if p.requires_grad], lr=1e-5)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=ON_GPU)
    seen, began = 0, 0.0
    for epoch in range(bench.epochs):
        if epoch == 1:
            began = now()
        for images, identities in loader:
            images, identities = images.to(DEVICE), identities.to(DEVICE)
            optimizer.zero_grad()
            with reference_autocast():
                loss = loss_of(images, identities)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            loss.item()
            seen += len(images) if epoch else 0
    return seen / (now() - began)


def reference_autocast() -> AbstractContextManager:
    """float16 on a GPU, around the losses too."""
    return torch.autocast("cuda", torch.float16) if ON_GPU else nullcontext()
