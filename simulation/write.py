"""Where the simulated shop lies: Parquet in parts, written chunk after chunk, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from simulation.settings import CannotSimulate

PART_CUSTOMERS = 50_000
GROUP_CUSTOMERS = 10_000  # of a row group
COMPRESSION = "zstd"


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside a new one; it takes the new one's place at the end, and is gone after a failure.

    Raises
    ------
    CannotSimulate
        The folder holds something.
    """
    require_empty(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        require_empty(folder)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_empty(folder: Path) -> None:
    """Raise CannotSimulate where something stands in the folder's place."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotSimulate(f"{folder} is not empty; choose a new folder, or remove it first")


@dataclass(slots=True)
class TableWriter:
    """One table of several files, or of one where `part_customers` is None; rows come by chunks of customers."""

    path: Path  # of the folder of parts, or of the one file
    part_customers: int | None
    _writer: Any = None
    _waiting: list[pa.Table] = field(default_factory=list)
    _waiting_customers: int = 0
    _customers: int = 0

    def write(self, table: pa.Table, *, customers: int) -> None:
        """Add the rows of so many customers."""
        self._waiting.append(table)
        self._waiting_customers += customers
        if self._waiting_customers >= GROUP_CUSTOMERS:
            self._flush()

    def close(self) -> None:
        """Write what waits, and end the file."""
        if self._waiting:
            self._flush()
        self._end_file()

    def _flush(self) -> None:
        table = pa.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file(), table.schema, compression=COMPRESSION)
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self._customers += self._waiting_customers
        self._waiting, self._waiting_customers = [], 0
        if self.part_customers and self._customers % self.part_customers == 0:
            self._end_file()

    def _file(self) -> Path:
        if self.part_customers is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path
        self.path.mkdir(parents=True, exist_ok=True)
        return self.path / f"part-{self._customers // self.part_customers:05d}.parquet"

    def _end_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class ShopWriter:
    """The files of a shop under one folder: facts in parts, the truth apart, events as JSON lines where asked for."""

    def __init__(self, folder: Path, *, facts: tuple[str, ...], truth: tuple[str, ...], has_json_lines: bool) -> None:
        self._folder = folder
        self._facts = {name: TableWriter(folder / name, PART_CUSTOMERS) for name in facts}
        self._truth = {name: TableWriter(folder / "truth" / f"{name}.parquet", None) for name in truth}
        self._stack = ExitStack()
        self._lines = self._stack.enter_context((folder / "events.jsonl").open("wb")) if has_json_lines else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for writer in [*self._facts.values(), *self._truth.values()]:
            writer.close()
        self._stack.close()

    def write_chunk(
        self, facts: Mapping[str, pa.Table], truth: Mapping[str, pa.Table], lines: bytes, *, customers: int
    ) -> None:
        """Add the tables of a chunk, and its events as lines."""
        for writers, tables in ((self._facts, facts), (self._truth, truth)):
            for name, writer in writers.items():
                writer.write(tables[name], customers=customers)
        if self._lines is not None:
            self._lines.write(lines)

    def write_products(self, table: pa.Table) -> None:
        """Write the products, one file."""
        pq.write_table(table, self._folder / "products.parquet", compression=COMPRESSION)

    def write_json(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a small record."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
