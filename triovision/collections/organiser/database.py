"""Database of a collection: the files that were seen, and each answer once, by content and model.

Everything that belongs together is written in one transaction, so that a process that is killed loses at most what it
has not handed over yet. DuckDB locks the file: one process at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from triovision.collections.answer_rows import ANSWER_SCHEMA
from triovision.errors import CollectionError
from triovision.files import atomic_path

#: Name of the database in the folder of a collection.
DATABASE: Final = "triovision.duckdb"
SCHEMA_VERSION: Final = 1
#: Bounded memory; one thread, because the cores are busy with photos, and so that rows come in the order of the table.
_SETTINGS: Final[dict[str, str | int | float | list[str]]] = {"memory_limit": "256MB", "threads": 1}
_QUIET: Final = "SET enable_progress_bar = false"  # of each connection; a bar would be printed among the results
_ROWS: Final = 2048

_FILES: Final = pa.schema(
    [
        ("path", pa.string()),
        ("member", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("content", pa.string()),
        ("fault", pa.string()),
        ("archive", pa.bool_()),
        ("vanished", pa.bool_()),
    ]
)
_REFUSALS: Final = pa.schema([("content", pa.string()), ("reason", pa.string())])
_PLACE_SETS: Final = pa.schema([("place_set", pa.string()), ("places", pa.binary())])
_POSTERIORS: Final = pa.schema(
    [("content", pa.string()), ("model_sha256", pa.string()), ("place_set", pa.string()), ("weights", pa.binary())]
)
#: Files that were sorted: where each came from and where it is now.
_PLACED: Final = pa.schema([(name, pa.string()) for name in ("path", "member", "content", "how", "target")])
_TABLES: Final = {
    "files": _FILES,
    "answers": ANSWER_SCHEMA,
    "fused": ANSWER_SCHEMA,
    "refusals": _REFUSALS,
    "place_sets": _PLACE_SETS,
    "posteriors": _POSTERIORS,
    "placed": _PLACED,
}
_TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.binary(): "BLOB",
}
_AGAIN: Final = "Give it another name and run the same command again, which answers the photos anew"


@dataclass(slots=True)
class Batch:
    """Rows that are written in one transaction.

    Attributes:
        forgotten: Paths whose rows, and those of their members, are deleted first.
        rows: Rows by table.
    """

    forgotten: list[str] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Add a row; columns that it lacks have no value."""
        self.rows.setdefault(table, []).append(row)


class CollectionDatabase:
    """Open database of a collection; a context manager. Threads may share it.

    Args:
        folder: Folder of the collection.
        read_only: Whether to open it for reading alone; it must exist then.

    Raises:
        CollectionError: If it is in use, damaged, of a newer version, or cannot be read or written.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.path = folder / DATABASE
        self._lock = threading.Lock()
        if not read_only and not self.path.exists():
            self._create()
        with self._worded():
            self._connection = duckdb.connect(str(self.path), read_only, dict(_SETTINGS))
            self._connection.execute(_QUIET)
        try:
            self._check_version()
        except BaseException:
            self.close()
            raise

    def _create(self) -> None:
        """Make an empty database under another name first: a kill leaves none or a whole one."""
        with self._worded(), atomic_path(self.path) as part:
            part.unlink(missing_ok=True)
            with duckdb.connect(str(part)) as connection:
                for table, schema in _TABLES.items():
                    columns = ", ".join(f"{column.name} {_TYPES[column.type]}" for column in schema)
                    connection.execute(f"CREATE TABLE {table} ({columns})")
                connection.execute("CREATE TABLE about (schema_version INTEGER)")
                connection.execute("INSERT INTO about VALUES (?)", [SCHEMA_VERSION])

    def _check_version(self) -> None:
        try:
            (version,) = self.first("SELECT max(schema_version) FROM about")
        except CollectionError as exc:
            if isinstance(exc.__cause__, duckdb.CatalogException):
                raise CollectionError(str(self.path), "is no database of TrioVision", _AGAIN) from exc
            raise
        if version != SCHEMA_VERSION:
            reason = f"has version {version} of the tables, and this TrioVision knows version {SCHEMA_VERSION}"
            raise CollectionError(str(self.path), reason, "Update TrioVision, or name another folder")

    def close(self) -> None:
        """Write what is left and unlock the file."""
        with self._lock, self._worded():
            self._connection.close()

    def __enter__(self) -> Self:
        """Return the database."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def write(self, batch: Batch) -> None:
        """Write rows in one transaction.

        Raises:
            CollectionError: If they cannot be written; none of them is then.
        """
        with self._transaction():
            if batch.forgotten:
                self._connection.execute("DELETE FROM files WHERE path IN (SELECT unnest(?))", [batch.forgotten])
            for table, rows in batch.rows.items():
                self._insert(table, pa.Table.from_pylist(rows, schema=_TABLES[table]))

    def execute(self, *statements: str, **parameters: object) -> None:
        """Run statements in one transaction; each has those of the parameters that it names."""
        with self._transaction():
            for statement in statements:
                self._connection.execute(statement, _named(statement, parameters))

    def first(self, query: str, **parameters: object) -> tuple[Any, ...]:
        """Return the first row of a query that has one."""
        with self._lock, self._worded():
            row: tuple[Any, ...] = self._connection.execute(query, _named(query, parameters)).fetchall()[0]
            return row

    def rows(self, query: str, **parameters: object) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query; see `batches`."""
        for batch in self.batches(query, **parameters):
            yield from batch.to_pylist()

    def batches(self, query: str, **parameters: object) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query as Arrow batches, on a connection of its own: few are in memory at a time.

        It sees what was written before its start, and none of the temporary tables.

        Args:
            query: The query, with parameters such as `$model`.
            parameters: Values of the parameters that it names.
        """
        with self._lock, self._worded():
            connection = self._connection.cursor()
            connection.execute(_QUIET)
            reader = connection.sql(query, params=_named(query, parameters)).to_arrow_reader(_ROWS)
        try:
            while True:
                with self._worded():
                    try:
                        batch = reader.read_next_batch()
                    except StopIteration:
                        return
                yield batch
        finally:
            connection.close()

    def fill(self, table: str, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> None:
        """Make a temporary table of rows that need not fit into memory."""
        columns = ", ".join(f"{column.name} {_TYPES[column.type]}" for column in schema)
        self.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns})")
        part: list[dict[str, Any]] = []
        for row in rows:
            part.append(row)
            if len(part) >= _ROWS:
                self._fill_part(table, schema, part)
        self._fill_part(table, schema, part)

    def page(self, query: str, **parameters: object) -> Sequence[dict[str, Any]]:
        """Return the rows of a query that fit into memory; it sees temporary tables."""
        with self._lock, self._worded():
            table = self._connection.sql(query, params=_named(query, parameters)).to_arrow_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def _fill_part(self, table: str, schema: pa.Schema, part: list[dict[str, Any]]) -> None:
        with self._transaction():
            self._insert(table, pa.Table.from_pylist(part, schema=schema))
        part.clear()

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._connection.register("rows_to_insert", rows)
        try:
            self._connection.execute(f"INSERT INTO {table} SELECT * FROM rows_to_insert")  # noqa: S608 - our own names
        finally:
            self._connection.unregister("rows_to_insert")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._worded():
            self._connection.execute("BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error:  # the failed statement has ended the transaction, or the database is lost
            return

    @contextmanager
    def _worded(self) -> Iterator[None]:
        """Turn errors of the database into words."""
        try:
            yield
        except duckdb.InterruptException as exc:  # Ctrl-C during a query
            raise KeyboardInterrupt from exc
        except (duckdb.Error, OSError) as exc:
            if isinstance(exc, duckdb.ProgrammingError) and not isinstance(exc, duckdb.CatalogException):
                raise  # a fault of this program
            raise _fault(self.path, exc) from exc


def _named(statement: str, parameters: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in parameters.items() if f"${name}" in statement}


def _fault(path: Path, exc: duckdb.Error | OSError) -> CollectionError:
    text = str(exc)
    if isinstance(exc, OSError):
        reason, remedy = f"cannot be opened ({exc.strerror or text})", "Check the folder, its permissions and its disk"
    elif "lock on file" in text:
        reason, remedy = "is in use by another process", "Wait until it has ended, or end it"
    elif "No space left" in text:
        reason = "cannot be written (no space left on the disk)"
        remedy = "Free some space, and run the same command again"
    elif "Permission denied" in text or "Read-only file system" in text:
        reason, remedy = "cannot be opened (permission denied)", "Check the folder and its permissions"
    elif isinstance(exc, duckdb.OutOfMemoryException):
        reason, remedy = "needs more memory than there is", "Close other programs, then try again"
    elif not path.exists():
        reason = "does not exist: the folder holds no collection"
        remedy = "Run `triovision organise` with this folder first"
    elif "version number" in text:
        reason, remedy = "was written by a newer version of DuckDB", "Update the package duckdb"
    else:
        first = text.splitlines()[0][:200] if text else type(exc).__name__
        reason, remedy = f"is damaged, or no database ({first})", _AGAIN
    return CollectionError(str(path), reason, remedy)
