"""Where DVC's cache is, and whether it has an object."""

from pathlib import Path


def cache_folder(root: Path) -> Path:
    """The folder of objects named by their MD5: below .dvc/cache, or below what DVC's settings say."""
    from dvc.config import Config

    found = Config(str(root / ".dvc"), validate=False).get("cache", {}).get("dir")
    return Path(found or root / ".dvc" / "cache") / "files" / "md5"


def is_cached(folder: Path, md5: str) -> bool:
    return (folder / md5[:2] / md5[2:]).exists()
