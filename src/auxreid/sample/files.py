"""Writing a folder whole or not at all, and images with equal bytes on every machine."""

import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from auxreid.plumbing.base.errors import DataError


@contextmanager
def new_folder(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """A folder to fill beside `target`, which takes its name only when it is complete.

    DataError if `target` is there and not empty, unless `overwrite`.
    """
    if target.exists() and not target.is_dir():
        raise DataError(f"{target}: is a file; the sample is written into a folder")
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        raise DataError(f"{target}: is not empty; the sample is only written into a new or an empty folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        filled = work / "new"
        filled.mkdir()
        yield filled
        if target.exists():
            target.rename(work / "old")
        filled.rename(target)
    finally:
        shutil.rmtree(work)


def save_png(image: Image.Image, path: Path) -> None:
    """Huffman codes only: zlib-ng searches matches with code that differs between CPUs, and so would the bytes."""
    image.save(path, format="PNG", compress_level=6, compress_type=zlib.Z_HUFFMAN_ONLY)


def save_jpeg(image: Image.Image, path: Path) -> None:
    """Quality 92 without colour subsampling; libjpeg-turbo's integer transform gives the same bits with any SIMD."""
    image.save(path, format="JPEG", quality=92, subsampling="4:4:4")
