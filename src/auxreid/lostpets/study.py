"""The search that a study's stages have made: rows, fusion and the networks' files, found in results/ alone."""

from dataclasses import dataclass
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.search.fusion import Fusion
from auxreid.search.networks import Files
from auxreid.search.rows import FOLDER, IndexRows, read_rows

RESULTS = Path("results")


@dataclass(frozen=True)
class Made:
    """What stages `index` and `search` have made of a data set."""

    dataset: str
    rows: IndexRows
    rows_path: Path
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
    rows, rows_path = _rows_of(root / RESULTS / FOLDER / dataset, fusion)
    files = Files.read(rows.header.encoder, root)
    for name, file in files.paths().items():
        if not file.is_file():
            raise DataError(f"{file}: not here, the {name} of the search of {dataset}; `dvc checkout` or `dvc repro`")
    if files.hash() != fusion.model:
        raise DataError(
            f"the networks of {dataset} are others than those of its search; run: dvc repro search@{dataset}"
        )
    return Made(dataset, rows, rows_path, fusion, files)


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


def _rows_of(folder: Path, fusion: Fusion) -> tuple[IndexRows, Path]:
    """The rows that the fusion is of: those of the first seed."""
    files = sorted(folder.glob("*.parquet"), key=lambda path: int(path.stem))
    if not files:
        raise DataError(f"{folder}: no rows of an index there; make them with: dvc repro search@{folder.name}")
    for path in files:
        rows = read_rows(path)
        if rows.header.model == fusion.model:
            return rows, path
    raise DataError(f"{folder}: rows of other networks than those of the search; run: dvc repro search@{folder.name}")
