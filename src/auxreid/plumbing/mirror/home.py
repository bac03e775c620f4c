"""A repository's store knows where it is: MLflow keeps the places of artifacts as absolute addresses.

In a repository that was moved, copied or unpacked elsewhere those addresses are another one's. They are put right when
the store is opened, all in one transaction, and only in this repository's own database.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from auxreid.plumbing.base.errors import DataError

FOLDER, FILE = "mlruns", "mlflow.db"
PLAIN = FILE  # in the repository's root: the file that MLflow opens if it is told nothing
PLACES = {  # tables and columns with addresses
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
SCHEME = "file://"
WAIT = 20.0  # seconds, for another writer


def own_database(root: Path) -> Path:
    """The SQLite file of the repository at `root`."""
    return root.resolve() / FOLDER / FILE


def settle(root: Path) -> None:
    """Makes the repository's database speak of the folder that it lies in, and MLflow's own commands find it.

    Raises:
        DataError: the database cannot be read or, where addresses have to be changed, not be written.
    """
    database = own_database(root)
    try:
        with closing(sqlite3.connect(database, timeout=WAIT, isolation_level=None)) as connection:
            if former := former_folders(connection, database.parent):
                move(connection, database.parent)
                print(f"{database}: moved from {', '.join(former)}; its artifacts' addresses follow", file=sys.stderr)
    except sqlite3.Error as error:
        if not isinstance(error, sqlite3.OperationalError):
            return  # it is no database, which MLflow says when it is opened
        raise DataError(f"{database}: {error}; this user has to read it, and to write it after a move") from None
    link(root, database)


def former_folders(connection: sqlite3.Connection, present: Path) -> list[str]:
    """The other folders `mlruns` in which experiments of this database lie by the rules of this project or of MLflow.

    An experiment that a user has put into a place of another kind is left there.
    """
    found = set()
    if not columns(connection, "experiments"):
        return []
    for number, name, address in connection.execute("SELECT experiment_id, name, artifact_location FROM experiments"):
        path, tail = Path(plain_path(address or "")), {name, str(number)}
        folders = [path.parent.parent] if path.parent.name == "artifacts" else [path.parent]
        found |= {str(folder) for folder in folders if folder.name == FOLDER and path.name in tail}
    return sorted(found - {str(present)})


def move(connection: sqlite3.Connection, present: Path) -> None:
    """Rewrites every address below a former folder, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        former = former_folders(connection, present)  # again: another process may have been faster
        for table, names in PLACES.items():
            for name in set(names) & columns(connection, table):
                changes = list(changed(connection, table, name, former, str(present)))
                connection.executemany(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", changes)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Empty for a table that is not there."""
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def changed(
    connection: sqlite3.Connection, table: str, name: str, former: list[str], present: str
) -> Iterator[tuple[str, int]]:
    """New address and row of each address below a former folder."""
    for row, address in connection.execute(f"SELECT rowid, {name} FROM {table} WHERE {name} IS NOT NULL"):
        path = plain_path(address)
        folder = next((one for one in former if path == one or path.startswith(f"{one}/")), None)
        if folder is not None:
            moved = present + path[len(folder) :]
            yield (SCHEME + quote(moved) if address.startswith(SCHEME) else moved), row


def plain_path(address: str) -> str:
    """The path of an address on this machine; empty for any other."""
    if address.startswith(SCHEME + "/"):
        return unquote(address.removeprefix(SCHEME))
    return address if address.startswith("/") else ""


def link(root: Path, database: Path) -> None:
    """The file that `mlflow ui` and `mlflow.search_runs` open in the root is the repository's database."""
    plain = root / PLAIN
    if plain.is_symlink():
        return
    if plain.exists():
        print(
            f"{plain.resolve()}: MLflow's own commands read this file and not {database}; move it away", file=sys.stderr
        )
        return
    with suppress(OSError):  # a root that cannot be written to, or another process was faster
        plain.symlink_to(Path(FOLDER) / FILE)
