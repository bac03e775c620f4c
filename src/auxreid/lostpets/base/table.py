"""The LanceDB table of a base: made, opened and read."""

import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from auxreid.lostpets.base.row import Header, read_header, table_schema
from auxreid.plumbing.base.errors import ConfigError, DataError

TABLE = "rows"
IN_ONE_QUERY = 500  # names that one condition lists


def create_table(path: Path, header: Header) -> None:
    """An empty table.

    Raises:
        ConfigError: there is one already.
    """
    import lancedb

    if (path / f"{TABLE}.lance").exists():
        raise ConfigError(f"{path}: there is a base already; it is made anew by: auxreid index --rebuild")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    lancedb.connect(path).create_table(TABLE, schema=table_schema(header, uuid.uuid4().hex))


def open_table(path: Path):
    """The table at its latest version, at which the handle stays until it is told to look again.

    Raises:
        DataError: there is none.
    """
    import lancedb

    if not (path / f"{TABLE}.lance").is_dir():
        raise DataError(f"{path}: there is no base of photographs here; auxreid index makes one")
    return lancedb.connect(path).open_table(TABLE)


def header_of(table, path: Path, model: str | None) -> tuple[Header, str]:
    """The header and the identity.

    Raises:
        ConfigError: the base is of another model than the one named.
    """
    header, identity = read_header(table.schema, path)
    if model is not None and header.model != model:
        raise ConfigError(
            f"{path}: its embeddings are of the model {header.model} ({header.model_name}), those to be compared with "
            f"them of {model}: two models' embeddings have nothing in common. auxreid index --rebuild makes the base "
            "anew with the present model"
        )
    return header, identity


def read(table, columns: Sequence[str], where: str | None = None) -> pa.Table:
    """These columns of all rows, or of those that meet a condition."""
    query = table.search().select(list(columns))
    return (query if where is None else query.where(where)).to_arrow()


def conditions(column: str, names: Iterable[str]) -> list[str]:
    """SQL conditions that together hold for the rows with one of these names."""
    listed = list(names)
    parts = [listed[start : start + IN_ONE_QUERY] for start in range(0, len(listed), IN_ONE_QUERY)]
    return [f"{column} IN ({', '.join(map(quoted, part))})" for part in parts]


def quoted(text: str) -> str:
    """As a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
