"""The LanceDB tables of a base: made, opened, read and written.

The photographs of data sets and of reports lie in two tables of one form. LanceDB only marks what is deleted, until a
tenth of a file is; what a report had must be gone at once, and the table of reports is small enough to be written anew.
"""

import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from auxreid.lostpets.base.row import Header, read_header, table_schema
from auxreid.plumbing.base.errors import ConfigError, DataError

ROWS, REPORTS = "rows", "reports"
IN_ONE_QUERY = 500  # names that one condition lists
MOST_FRAGMENTS = 32  # of one addition each, before they are joined
OLD = timedelta(hours=1)  # versions of a table, which another process may still read
TIMES = 5  # that a version is looked for, while another process writes the reports anew


def create_tables(path: Path, header: Header) -> None:
    """Empty ones.

    Raises:
        ConfigError: there are some already.
    """
    import lancedb

    if (path / f"{ROWS}.lance").exists():
        raise ConfigError(f"{path}: there is a base already; it is made anew by: auxreid index --rebuild")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    schema = table_schema(header, uuid.uuid4().hex)
    for name in (REPORTS, ROWS):  # the one by which a base is known last
        lancedb.connect(path).create_table(name, schema=schema, mode="overwrite")


class Tables:
    """Both, at a version at which they stay until they are told to look again.

    Raises:
        DataError: there are none.
    """

    def __init__(self, path: Path) -> None:
        import lancedb

        if not (path / f"{ROWS}.lance").is_dir():
            raise DataError(f"{path}: there is no base of photographs here; auxreid index makes one")
        self.rows, self.reports = (lancedb.connect(path).open_table(name) for name in (ROWS, REPORTS))
        self.schema = self.rows.schema

    def look_again(self) -> tuple[int, int]:
        """The latest versions."""
        for table in (self.rows, self.reports):
            table.checkout_latest()
        return self.rows.version, self.reports.version

    def count(self) -> int:
        return self.rows.count_rows() + self.reports.count_rows()

    def read(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """These columns of all rows, or of those that meet a condition."""
        return pa.concat_tables(self._of_both(lambda table: _asked(table, columns, where).to_arrow()))

    def batches(self, columns: Sequence[str], where: str, size: int) -> Iterator[pa.RecordBatch]:
        for table in (self.rows, self.reports):
            yield from _asked(table, columns, where).to_batches(size)

    def _of_both(self, read) -> list:
        """What another process removes is not read: its table is looked at again."""
        for time in range(TIMES):
            try:
                return [read(self.rows), read(self.reports)]
            except RuntimeError:
                if time == TIMES - 1:
                    raise
                self.look_again()

    def add(self, rows: pa.Table) -> None:
        """By the holder of the write lock alone, as all that follows."""
        reported = pc.is_valid(rows["report"])
        for table, part in ((self.rows, rows.filter(pc.invert(reported))), (self.reports, rows.filter(reported))):
            if len(part):
                table.add(part)

    def remove(self, where: str) -> None:
        """Rows that meet a condition; those of reports leave nothing on the disk."""
        if self.rows.count_rows(where):
            self.rows.delete(where)
        if self.reports.count_rows(where):
            self.reports.add(
                _asked(self.reports, self.schema.names, f"({where}) IS NOT TRUE").to_arrow(), mode="overwrite"
            )
            with warnings.catch_warnings(action="ignore"):  # that older versions are gone: this is what is wanted
                self.reports.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)

    def join_files(self, old: timedelta = OLD) -> bool:
        """Make few files of many small ones, and delete those of old versions. Returns whether there was any."""
        due = [table for table in (self.rows, self.reports) if _small_files(table) > MOST_FRAGMENTS or _has(table, old)]
        for table in due:
            with warnings.catch_warnings(action="ignore"):  # of versions that are gone, where that is what is wanted
                table.optimize(cleanup_older_than=old)
        return bool(due)

    def index_names(self) -> None:
        """So that a photograph is found by its name without reading all names."""
        from lancedb.index import BTree

        self.rows.create_index("frame", config=BTree(), replace=True)


def _asked(table, columns: Sequence[str], where: str | None):
    query = table.search().select(list(columns))
    return query if where is None else query.where(where)


def _has(table, old: timedelta) -> bool:
    """Whether there are versions that are as old, and not the latest."""
    *former, _ = table.list_versions()
    return any(datetime.now() - version["timestamp"] > old for version in former)


def _small_files(table) -> int:
    return table.stats()["fragment_stats"]["num_small_fragments"]


def header_of(tables: Tables, path: Path, model: str | None) -> tuple[Header, str]:
    """The header and the identity.

    Raises:
        ConfigError: the base is of another model than the one named.
    """
    header, identity = read_header(tables.schema, path)
    if model is not None and header.model != model:
        raise ConfigError(
            f"{path}: its embeddings are of the model {header.model} ({header.model_name}), those to be compared with "
            f"them of {model}: two models' embeddings have nothing in common. auxreid index --rebuild makes the base "
            "anew with the present model"
        )
    return header, identity


def conditions(column: str, names: Iterable[str]) -> list[str]:
    """SQL conditions that together hold for the rows with one of these names."""
    listed = list(names)
    parts = [listed[start : start + IN_ONE_QUERY] for start in range(0, len(listed), IN_ONE_QUERY)]
    return [f"{column} IN ({', '.join(map(quoted, part))})" for part in parts]


def quoted(text: str) -> str:
    """As a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
