"""Where validated tables lie: Parquet files under one folder, and a manifest that says which of them count.

A commit replaces the manifest in one step. A writer that is stopped half-way leaves files that no manifest names; the
next commit sweeps them up. A file that is not as the manifest describes it is refused by name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import ibis

from facts.errors import DamagedFile, EarlierLake, NotYet

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

MANIFEST = "manifest.json"
FORMAT = 2  # of the facts; a lake of another is refused
MEMORY_LIMIT = "1500MB"
PARTS_ADVICE = "run `regulars features build` again"  # what is in parts is made of the facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What holds of the shop as a whole.

    `observed_from` and `observed_until` bound what the lake saw of it: a label window that reaches past the second is
    not complete. `clock` says what "now" is: `wall` for a shop that trades, `standing` for a recorded one, whose now is
    the end of its record. `has` names what the facts carry (`facts.carries`), measured when they are committed.
    """

    name: str
    source: str
    currency: str
    timezone: str
    observed_from: datetime
    observed_until: datetime
    clock: Literal["wall", "standing"]
    has: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One table of the manifest, or one part of it: its file, what it must be, and what it was made from."""

    file: str
    rows: int
    sha256: str
    made_from: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lake:
    """The validated tables of one shop.

    Facts lie in files named by their content. A table in parts (the snapshots, a part per cutoff) lies in a folder of
    its own with a fixed name, which Feast has in its registry.
    """

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

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out until the block ends: they wait for it. Readers need no lock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, so a writer that dies holds nobody up
            yield

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever ingested."""
        return self._manifest()["shop"] is None

    def shop(self) -> Shop:
        """Return what holds of the shop; raise NotYet before the first ingest."""
        stored = self._manifest()["shop"]
        if stored is None:
            raise NotYet("lake", advice="run `regulars ingest complete-journey` or `regulars ingest table` first")
        times = {name: datetime.fromisoformat(stored[name]) for name in ("observed_from", "observed_until")}
        return Shop(**(stored | times | {"has": tuple(stored["has"])}))

    def commit_count(self) -> int:
        """Return how many times facts were committed that said something new."""
        return int(self._manifest()["commit"])

    def stored(self, name: str, *, advice: str | None = None) -> Stored:
        """Return what the manifest says of a table; raise NotYet where there is none, DamagedFile where it differs."""
        if parts := self.parts(name):
            for part in parts.values():
                self.checked(part, advice=advice or PARTS_ADVICE)
            return _together(name, parts)
        entry = self._manifest()["tables"].get(name)
        if entry is None:
            raise NotYet(f"table {name!r} in the lake", advice=advice or "run `regulars ingest` first")
        return self.checked(Stored(**entry), advice=advice)

    def parts(self, name: str) -> Mapping[str, Stored]:
        """Return the parts of a table by their key, in the keys' order; none where it has none."""
        return {key: Stored(**entry) for key, entry in sorted(self._manifest()["parts"].get(name, {}).items())}

    def is_whole(self, part: Stored) -> bool:
        """Return whether a part is as it was written."""
        path = self.folder / part.file
        return path.is_file() and _sha256(path) == part.sha256

    def checked(self, stored: Stored, *, advice: str | None = None) -> Stored:
        """Return a part after checking that its file is as it was written; raise DamagedFile where it differs."""
        path = self.folder / stored.file
        # Facts that were merged cannot be had from the last delivery alone.
        advice = advice or f"bring back a copy, or remove {self.folder} and `regulars ingest` all that was delivered"
        if not path.is_file():
            raise DamagedFile(path, "it is missing", advice=advice)
        if _sha256(path) != stored.sha256:
            raise DamagedFile(path, "its content is not what was written", advice=advice)
        return stored

    def listed(self) -> Mapping[str, Stored]:
        """Return every table that the manifest names, as it should be: `damages` says what differs."""
        manifest = self._manifest()
        whole = {name: Stored(**entry) for name, entry in manifest["tables"].items()}
        return whole | {name: _together(name, self.parts(name)) for name in manifest["parts"]}

    def damages(self) -> Sequence[DamagedFile]:
        """Return what is wrong with the files that the manifest names, none where all are as they were written."""
        manifest = self._manifest()
        asked: list[tuple[Stored, str | None]] = [(Stored(**entry), None) for entry in manifest["tables"].values()]
        asked += [(part, PARTS_ADVICE) for name in manifest["parts"] for part in self.parts(name).values()]
        found = []
        for stored, advice in asked:
            try:
                self.checked(stored, advice=advice)
            except DamagedFile as damage:
                found.append(damage)
        return found

    def table(self, connection: Backend, name: str, *, advice: str | None = None) -> Table:
        """Open one table, after checking that it is as it was written."""
        stored = self.stored(name, advice=advice)
        files = [self.folder / part.file for part in self.parts(name).values()] or [self.folder / stored.file]
        return connection.read_parquet(files, table_name=name)

    def path(self, name: str) -> Path:
        """Return the folder of a table in parts."""
        return self.folder / name

    def digest(self, *names: str) -> str:
        """Return one short hash of the content of some tables."""
        return short_hash([self.stored(name).sha256 for name in sorted(names)])

    def write_facts(self, tables: Mapping[str, Table]) -> Mapping[str, Stored]:
        """Write tables into files named by their content; they count for nothing until they are committed."""
        return {name: self._write_by_content(name, table) for name, table in tables.items()}

    def commit_facts(self, written: Mapping[str, Stored], shop: Shop) -> None:
        """Let written tables take the place of those before them, all at once; the same content changes nothing."""
        manifest = self._manifest()
        entries = {name: asdict(stored) for name, stored in written.items()}
        manifest["commit"] += any(manifest["tables"].get(name) != entry for name, entry in entries.items())
        manifest["tables"] |= entries
        manifest["shop"] = asdict(shop) | {
            "observed_from": shop.observed_from.isoformat(),
            "observed_until": shop.observed_until.isoformat(),
        }
        self._replace_manifest(manifest)

    def commit_part(self, key: str, tables: Mapping[str, pa.Table], *, made_from: Mapping[str, Any]) -> None:
        """Write one part of some tables, all or none; parts of other keys stay."""
        written = {name: self._write_part(name, key, table, made_from) for name, table in tables.items()}
        manifest = self._manifest()
        for name, stored in written.items():
            manifest["parts"].setdefault(name, {})[key] = asdict(stored)
        self._replace_manifest(manifest)

    def drop_parts(self, name: str, keys: Iterable[str]) -> None:
        """Forget parts of a table."""
        manifest = self._manifest()
        gone = set(keys)
        manifest["parts"][name] = {k: v for k, v in manifest["parts"].get(name, {}).items() if k not in gone}
        self._replace_manifest(manifest)

    def _write_by_content(self, name: str, table: Table) -> Stored:
        partial = self._partial(self.folder, name)
        rows = _write(table, partial)
        digest = _sha256(partial)
        file = f"{name}-{digest[:12]}.parquet"
        partial.replace(self.folder / file)
        return Stored(file=file, rows=rows, sha256=digest)

    def _write_part(self, name: str, key: str, table: pa.Table, made_from: Mapping[str, Any]) -> Stored:
        import pyarrow.parquet as pq

        partial = self._partial(self.path(name), key)
        pq.write_table(table, partial, compression="zstd")
        _to_disk(partial)
        stored = Stored(file=f"{name}/{key}.parquet", rows=len(table), sha256=_sha256(partial), made_from=made_from)
        partial.replace(self.folder / stored.file)
        return stored

    def _partial(self, folder: Path, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f".{name}.{os.getpid()}.partial"

    def _manifest(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            manifest["tables"], manifest["parts"], manifest["shop"], manifest["commit"]
        except FileNotFoundError:
            return {"format": FORMAT, "shop": None, "tables": {}, "parts": {}, "commit": 0}
        except (ValueError, KeyError, TypeError) as error:
            advice = f"remove {self.folder} and run `regulars ingest` again"
            raise DamagedFile(path, "it is not a manifest", advice=advice) from error
        if manifest.get("format") != FORMAT:
            raise EarlierLake(self.folder)
        return manifest

    def _replace_manifest(self, manifest: dict[str, Any]) -> None:
        replace_file(self.folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True, default=str))
        parts = [entry["file"] for parts in manifest["parts"].values() for entry in parts.values()]
        named = {self.folder / file for file in [*parts, *(entry["file"] for entry in manifest["tables"].values())]}
        for folder in (self.folder, *map(self.path, manifest["parts"])):
            for path in [*folder.glob("*.parquet"), *folder.glob(".*.partial")]:
                if path not in named:
                    path.unlink(missing_ok=True)


def _together(name: str, parts: Mapping[str, Stored]) -> Stored:
    return Stored(
        file=f"{name}/",
        rows=sum(part.rows for part in parts.values()),
        sha256=short_hash([part.sha256 for part in parts.values()]),
        made_from={"parts": {key: part.made_from for key, part in parts.items()}},
    )


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

    engine = table.get_backend()
    # DuckDB calls a column required where it can prove that nothing is missing, which depends on the query: without
    # proofs the same rows are the same file, however they were come by.
    engine.raw_sql("SET disabled_optimizers = 'statistics_propagation'")
    try:
        table.to_parquet(path, compression="zstd")
    finally:
        engine.raw_sql("RESET disabled_optimizers")
    _to_disk(path)
    return int(pq.read_metadata(path).num_rows)


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
