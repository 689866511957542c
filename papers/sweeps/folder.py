"""The folder of a sweep: Parquet parts that are there whole or not at all, one driver at a time.

::

    NAME.sweep/
        lock                         held by the driver, freed by the system when it ends, however it ends
        KEY/                         one folder for each spec, code version and kind of device; old ones stay
            sweep.json               what was run: spec, code, seeds, device, claims
            part-HASH.parquet        rows, named by the SHA-256 of the file's bytes

A row is a configuration; ``configuration`` is its number. What is finished is read off the parts themselves, so that
there is no second record of it which could differ.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..store import write_atomically

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HASH_DIGITS = 16
NEEDS = "needs pyarrow, duckdb and filelock: pip install 'tightframe[sweep]'"


class Busy(ValueError):
    """Another driver runs this sweep."""


class Unwritable(ValueError):
    """A part cannot be written; the message says why, in one line."""


def require_extra() -> None:
    """ValueError, naming the extra, where a library for sweeps is missing."""
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("pyarrow", "duckdb", "filelock")):
        raise ValueError(f"a sweep {NEEDS}")


@dataclass
class Folder:
    """The parts of one key in the folder of a sweep."""

    root: Path
    key: str
    _lock: Any = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        return self.root / self.key

    @property
    def parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))

    def acquire(self) -> None:
        """Take the lock, make the folders, and remove what a killed driver was writing.

        Raises:
            Busy: if another process has the lock.
            Unwritable: if the folder cannot be written to.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.root / "lock", timeout=0)
            self._lock.acquire()
        except Timeout:
            self._lock = None
            raise Busy(f"another process runs a sweep in {self.root}; wait for it, or choose --out DIR") from None
        except OSError as error:
            self._lock = None
            raise Unwritable(f"cannot write to {self.root} ({error.strerror})") from None
        for left in self.path.glob(".*"):
            left.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def describe(self, told: Mapping[str, Any]) -> None:
        """Write ``sweep.json``."""
        self._write(self.path / "sweep.json", (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())

    def write(self, columns: Mapping[str, list[Any]]) -> Path:
        """Write rows as a part; the same rows are the same file.

        Raises:
            Unwritable: if that fails, with nothing left of the part.
        """
        content = encoded(columns, self.key)
        path = self.path / f"part-{_digest(content)}.parquet"
        self._write(path, content)
        return path

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except OSError as error:
            raise Unwritable(f"cannot write {path} ({error.strerror}); finished parts are kept") from None

    def finished(self, count: int) -> np.ndarray:
        """Which of the configurations (count,) are in a part; parts that are damaged or superfluous are set aside."""
        import numpy as np

        done = np.zeros(count, bool)
        for path in self.parts:
            reason = self._added(path, done)
            if reason:
                aside = path.with_name(path.name + ".aside")
                path.replace(aside)
                print(f"tightframe: set aside {aside} ({reason}); what it had is run again", file=sys.stderr)
        return done

    def _added(self, path: Path, done: np.ndarray) -> str:
        """Marks the rows of a part as done; or why it does not count."""
        import numpy as np

        try:
            table = decoded(path, self.key)
        except ValueError as error:
            return str(error)
        numbers = np.asarray(table.column("configuration").to_numpy(), np.int64)
        if len(numbers) == 0 or numbers.min() < 0 or numbers.max() >= len(done):
            return "its rows are not of this sweep"
        if len(np.unique(numbers)) < len(numbers) or done[numbers].any():
            return "its configurations are in another part"
        done[numbers] = True
        return ""

    def sound(self) -> list[Path]:
        """The parts whose bytes are those that were written; others are named on stderr."""
        found = []
        for path in self.parts:
            try:
                intact(path)
            except ValueError as error:
                print(f"tightframe: left out {path} ({error}); start the sweep again to redo it", file=sys.stderr)
            else:
                found.append(path)
        return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_DIGITS]


def encoded(columns: Mapping[str, list[Any]], key: str) -> bytes:
    """Columns as a Parquet file, the same bytes for the same values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: _array(name, values) for name, values in columns.items()})
    table = table.replace_schema_metadata({"tightframe.sweep": key})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _array(name: str, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    if name == "error":
        return pa.array(values, pa.string())
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
    return pa.array(values)


def intact(path: Path) -> bytes:
    """The bytes of a part.

    Raises:
        ValueError: if they are not those that were written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    if path.name != f"part-{_digest(content)}.parquet":
        raise ValueError("its contents do not fit its name")
    return content


def decoded(path: Path, key: str) -> pa.Table:
    """The rows of a part.

    Raises:
        ValueError: if its bytes are not those that were written, or it is of another sweep.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(intact(path)))
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"not a Parquet file: {str(error)[:80]}") from None
    metadata = table.schema.metadata or {}
    if metadata.get(b"tightframe.sweep", b"").decode() != key or "configuration" not in table.column_names:
        raise ValueError("it is of another sweep")
    return table


def query(parts: Iterable[Path], sql: str) -> pa.Table:
    """What DuckDB answers; the rows of all parts are the table ``results``.

    Raises:
        ValueError: in one line, if the query is wrong.
    """
    import duckdb

    files = [str(path) for path in parts]
    with duckdb.connect() as connection:
        try:
            connection.execute("SET enable_progress_bar = false")
            connection.read_parquet(files, union_by_name=True).create_view("results")
            answer = connection.sql(sql)
            if answer is None:
                raise ValueError("expected a query with a result, such as SELECT")
            return answer.to_arrow_table()
        except duckdb.Error as error:
            raise ValueError(f"the query is wrong: {' '.join(str(error).split())[:300]}") from None
