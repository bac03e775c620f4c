"""The search that a study's stages have made: rows, fusion and the networks' files, found in results/ alone."""

from dataclasses import dataclass
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.search.fusion import Fusion
from auxreid.search.networks import Files
from auxreid.search.rows import FOLDER, IndexRows, file_of_model, read_rows

RESULTS = Path("results")


@dataclass(frozen=True)
class Made:
    """What stages `index` and `search` have made of a data set."""

    dataset: str
    rows: IndexRows
    fusion: Fusion
    files: Files


def open_made(dataset: str | None = None, root: Path = Path()) -> Made:
    """Of a data set, by the first seed of its rows.

    Args:
        dataset: None where one alone has a search.
        root: the repository.

    Raises:
        ConfigError: no data set has a search, or several have and none is named.
        DataError: a part of it is missing or broken, or the networks are others than those of the rows.
    """
    dataset = _meant(dataset, root / RESULTS / "search")
    path = root / RESULTS / "search" / dataset / "fusion.json"
    if not path.is_file():
        raise DataError(f"{path}: no such file; make it with: dvc repro search@{dataset}")
    fusion = Fusion.from_json(path.read_text(encoding="utf-8"))
    rows = read_rows(file_of_model(root / RESULTS / FOLDER / dataset, fusion.model))
    return Made(dataset, rows, fusion, Files.found(rows.header.encoder, root, fusion.model))


def _meant(named: str | None, folder: Path) -> str:
    having = sorted(path.parent.name for path in folder.glob("*/fusion.json"))
    listed = ", ".join(having) or "none"
    if named is not None:
        return named
    if len(having) == 1:
        return having[0]
    if having:
        raise ConfigError(f"these data sets have a search: {listed}; name one by --dataset")
    raise ConfigError(
        "no data set has a search yet: `auxreid pets` makes that of the sample's dogs; of another one, name it under "
        "study.search in params.yaml, then `auxreid plan` and `dvc repro`"
    )
