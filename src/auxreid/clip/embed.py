"""Features of many frames by a frozen encoder."""

import torch
from torch import nn

from auxreid.clip.images import PlainImages, loader, normalise
from auxreid.progress import track


@torch.no_grad()
def encode_frames(encoder: nn.Module, frames, input_config, batch_size: int = 128) -> tuple[torch.Tensor, ...]:
    """(f1 [n, d1], f2 [n, d2], f3 [n, d3]) of every frame, float32 on the CPU, without augmentation."""
    device = next(encoder.parameters()).device
    encoder.eval().to(memory_format=torch.channels_last)
    images = PlainImages(frames, input_config.height, input_config.width)
    batches = loader(images, batch_size=batch_size, shuffle=False)
    parts = [
        [f.float().cpu() for f in encoder(normalise(batch.to(device), input_config))]
        for batch in track(batches, "encoding batches")
    ]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))
