"""Where validated tables lie: Parquet files under one folder, and a manifest that says which of them count.

A commit replaces the manifest in one step. A writer that is stopped half-way leaves files that no manifest names; the
next commit sweeps them up. A file that is not as the manifest describes it is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import ibis

from facts.errors import DamagedFile, NotYet

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

MANIFEST = "manifest.json"
MEMORY_LIMIT = "1500MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What holds of the shop as a whole.

    `observed_from` and `observed_until` bound what the lake saw of it: a label window that reaches past the second is
    not complete. `clock` says what "now" is: `wall` for a shop that trades, `standing` for a recorded one, whose now is
    the end of its record.
    """

    name: str
    source: str
    currency: str
    timezone: str
    observed_from: datetime
    observed_until: datetime
    clock: Literal["wall", "standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One table of the manifest: its file, what it must be, and what it was made from."""

    file: str
    rows: int
    sha256: str
    made_from: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lake:
    """The validated tables of one shop."""

    folder: Path

    @contextmanager
    def connect(self) -> Iterator[Backend]:
        """Open an engine over the lake: DuckDB in memory, spilling beside the tables what does not fit."""
        settings = {"memory_limit": MEMORY_LIMIT, "temp_directory": str(self.folder / ".spill")}
        connection = ibis.duckdb.connect(**settings)
        connection.raw_sql("SET TimeZone = 'UTC'")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="fetch_arrow_table")  # ibis 12 over duckdb 2
            try:
                yield connection
            finally:
                connection.disconnect()

    def shop(self) -> Shop:
        """Return what holds of the shop; raise NotYet before the first ingest."""
        stored = self._manifest()["shop"]
        if stored is None:
            raise NotYet("lake", advice="run `regulars ingest complete-journey` first")
        times = {name: datetime.fromisoformat(stored[name]) for name in ("observed_from", "observed_until")}
        return Shop(**(stored | times))

    def stored(self, name: str, *, advice: str = "run `regulars ingest` again") -> Stored:
        """Return what the manifest says of a table; raise NotYet where there is none, DamagedFile where it differs."""
        entry = self._manifest()["tables"].get(name)
        if entry is None:
            raise NotYet(f"table {name!r} in the lake", advice=advice)
        stored = Stored(**entry)
        path = self.folder / stored.file
        if not path.is_file():
            raise DamagedFile(path, "it is missing", advice=advice)
        if _sha256(path) != stored.sha256:
            raise DamagedFile(path, "its content is not what was written", advice=advice)
        return stored

    def verified(self) -> Mapping[str, Stored]:
        """Return every table that the manifest names, each checked."""
        return {name: self.stored(name) for name in self._manifest()["tables"]}

    def table(self, connection: Backend, name: str, *, advice: str = "run `regulars ingest` again") -> Table:
        """Open one table, after checking that it is as it was written."""
        return connection.read_parquet(self.folder / self.stored(name, advice=advice).file, table_name=name)

    def path(self, name: str) -> Path:
        """Return where a table with a fixed place lies (a feature snapshot, which Feast names in its registry)."""
        return self.folder / f"{name}.parquet"

    def digest(self, *names: str) -> str:
        """Return one short hash of the content of some tables."""
        return short_hash([self.stored(name).sha256 for name in sorted(names)])

    def commit_facts(self, tables: Mapping[str, Table], shop: Shop) -> Mapping[str, Stored]:
        """Write tables, all or none, named by their content; the same content again changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        written = {name: self._write_by_content(name, table) for name, table in tables.items()}
        manifest = self._manifest()
        manifest["shop"] = asdict(shop) | {
            "observed_from": shop.observed_from.isoformat(),
            "observed_until": shop.observed_until.isoformat(),
        }
        manifest["tables"] |= {name: asdict(stored) for name, stored in written.items()}
        self._replace_manifest(manifest)
        return written

    def commit_fixed(self, name: str, table: Table, *, made_from: Mapping[str, Any]) -> Stored:
        """Write one table to its fixed place."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._partial(name)
        rows = _write(table, partial)
        stored = Stored(file=self.path(name).name, rows=rows, sha256=_sha256(partial), made_from=made_from)
        partial.replace(self.path(name))
        manifest = self._manifest()
        manifest["tables"][name] = asdict(stored)
        self._replace_manifest(manifest)
        return stored

    def _write_by_content(self, name: str, table: Table) -> Stored:
        partial = self._partial(name)
        rows = _write(table, partial)
        digest = _sha256(partial)
        file = f"{name}-{digest[:12]}.parquet"
        partial.replace(self.folder / file)
        return Stored(file=file, rows=rows, sha256=digest)

    def _partial(self, name: str) -> Path:
        return self.folder / f".{name}.{os.getpid()}.partial"

    def _manifest(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            manifest["tables"], manifest["shop"]
        except FileNotFoundError:
            return {"shop": None, "tables": {}}
        except (ValueError, KeyError, TypeError) as error:
            advice = f"remove {self.folder} and run `regulars ingest` again"
            raise DamagedFile(path, "it is not a manifest", advice=advice) from error
        return manifest

    def _replace_manifest(self, manifest: dict[str, Any]) -> None:
        replace_file(self.folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True, default=str))
        named = {entry["file"] for entry in manifest["tables"].values()}
        for path in [*self.folder.glob("*.parquet"), *self.folder.glob(".*.partial")]:
            if path.name not in named:
                path.unlink(missing_ok=True)


def replace_file(path: Path, text: str) -> None:
    """Write a text file in one step: readers see the old content or the new, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def short_hash(content: object) -> str:
    """Return twelve hexadecimal digits that stand for some JSON content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _write(table: Table, path: Path) -> int:
    import pyarrow.parquet as pq

    table.to_parquet(path, compression="zstd")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return int(pq.read_metadata(path).num_rows)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
