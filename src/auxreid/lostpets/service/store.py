"""The service's own tables, in SQLite: one connection, one writer, on the disk when a change returns."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

FILE = "service.db"
TABLES = """
create table if not exists photos (
    name text primary key, created real not null, fingerprint blob not null, thumbnail blob not null);
create table if not exists reports (
    id text primary key, state text not null, kind text not null, date text, place text not null, latitude real,
    longitude real, text text not null, name text not null, token text not null, created text not null,
    reason text, merged_into text);
create table if not exists contacts (report text primary key, contact text not null);
create table if not exists report_photos (
    report text not null, position integer not null, photo text not null, frame text not null unique, crop text,
    model text not null, looks blob not null, primary key (report, position));
create table if not exists searches (
    id text primary key, created real not null, query text not null, answer text not null);
create table if not exists saved (
    id text primary key, name text not null, token text not null, created text not null, opened text,
    query text not null, searched integer not null, model text not null, looks blob, webhook text);
create table if not exists saved_photos (saved text not null, photo text not null, primary key (saved, photo));
create table if not exists candidates (
    saved text not null, report text not null, created text not null, found text not null, decision text not null,
    opened integer not null default 0, primary key (saved, report));
create table if not exists to_run (report text primary key);
create table if not exists deliveries (
    id text primary key, saved text not null, report text not null, tries integer not null, next real not null);
create index if not exists photo_reports on report_photos (photo);
"""


class Store:
    """The tables. Whoever changes them holds :meth:`change`, and has it on the disk when the block ends."""

    def __init__(self, path: Path):
        self._lock = RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=wal", "synchronous=full", "secure_delete=on", "busy_timeout=10000"):
            self._connection.execute(f"pragma {pragma}")
        self._connection.executescript(TABLES)
        path.chmod(0o600)

    @contextmanager
    def change(self) -> Iterator[None]:
        """All changes of the block, or none."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """The number of rows that were changed."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        found = self.rows(statement, values)
        return found[0] if found else None

    def put(self, table: str, **values: Any) -> None:
        """One row, new or in the place of that with the same key."""
        marks = ", ".join("?" for _ in values)
        self.run(f"insert or replace into {table} ({', '.join(values)}) values ({marks})", list(values.values()))

    def forget_deleted(self) -> None:
        """Deleted rows leave the log of writes as well."""
        with self._lock:
            self._connection.execute("pragma wal_checkpoint(truncate)")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
