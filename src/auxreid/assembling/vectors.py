"""What a network says of photographs, computed once for each content and network, and kept part by part."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from auxreid.assembling.items import Item
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.progress import track

AT_ONCE = 256  # photographs, after which what is known is written; whole batches


def vectors(
    items: Sequence[Item], folder: Path, compute: Callable[[Sequence[Item]], np.ndarray], what: str
) -> np.ndarray:
    """float32 [n, d], of which only what is not in `folder` is computed.

    A run that was stopped goes on with the same parts as one that was not, so that the batches are the same.
    """
    known: dict[str, np.ndarray] = {}
    files = sorted(folder.glob("[0-9]*.npz"))
    for file in files:
        with np.load(file, allow_pickle=False) as part:
            known |= dict(zip(part["photos"].tolist(), part["values"], strict=True))
    new = [item for item in items if item.photo not in known]
    parts = [new[start : start + AT_ONCE] for start in range(0, len(new), AT_ONCE)]
    for number, part in enumerate(track(parts, f"{what} of {len(new)} photographs") if parts else (), len(files)):
        values = np.asarray(compute(part), np.float32)
        with finished_file(folder / f"{number:06d}.npz") as unfinished:
            np.savez(unfinished, photos=np.array([item.photo for item in part]), values=values)
        known |= {item.photo: row for item, row in zip(part, values, strict=True)}
    return np.stack([known[item.photo] for item in items])
