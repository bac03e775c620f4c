"""What of the study's raw folders DVC cannot hash, or does not see: known before anything is trained."""

import os
from collections.abc import Iterator
from pathlib import Path

from auxreid.plumbing.base.few import few
from auxreid.plumbing.graph.borrowed import ingested_datasets
from auxreid.plumbing.graph.study_files import SAMPLE
from auxreid.plumbing.settings.config import Config

NAMES_SHOWN = 3


def folder_remarks(config: Config) -> list[str]:
    """A line for each fault of a data set's folder, with the key of params.yaml, the path and what to do."""
    return [remark for dataset in ingested_datasets(config) for remark in _remarks(config, dataset)]


def _remarks(config: Config, dataset: str) -> Iterator[str]:
    folder = Path(config.datasets[dataset].folder)
    where = f"datasets.{dataset}.folder: {folder}"
    if not folder.is_dir():
        if SAMPLE in folder.parents:
            yield f"{where}: no such folder; `auxreid sample` renders it"
        return
    dangling, folders = _links(folder)
    if dangling:
        yield (
            f"{where}: {few(dangling, NAMES_SHOWN)}: a link to nothing, with which DVC cannot hash the folder; mend or "
            "remove it (`dvc repro -k` runs the other data sets)"
        )
    if folders:
        yield (
            f"{where}: {few(folders, NAMES_SHOWN)}: a link to a folder, which is read but which DVC does not look "
            f"into; after a change there: `dvc repro -f ingest@{dataset}`"
        )


def _links(folder: Path) -> tuple[list[str], list[str]]:
    """Links below a folder, relative to it: those to nothing, and those to folders. As DVC, it follows none."""
    dangling, folders, todo = [], [], [str(folder)]
    while todo:
        for entry in _entries(todo.pop()):
            if not entry.is_symlink():
                todo += [entry.path] if entry.is_dir() else []
            elif not os.path.exists(entry.path):
                dangling.append(os.path.relpath(entry.path, folder))
            elif entry.is_dir():
                folders.append(os.path.relpath(entry.path, folder))
    return sorted(dangling), sorted(folders)


def _entries(folder: str) -> list[os.DirEntry]:
    """None of a folder that may not be read, of which the ingest tells."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        return []
