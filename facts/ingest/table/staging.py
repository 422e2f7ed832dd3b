"""A shop's file on its way in: the columns that the mapping names, each row with the line on which it stood."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from facts.errors import MissingColumns
from facts.ingest.table.errors import BadFile

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

LINE, RAGGED = "line", "ragged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One file, ready to be read by the engine.

    Parameters
    ----------
    label
        How messages and quarantine name the file.
    path
        A Parquet file with the columns `columns` names, and (unless `is_source`) `line` and `ragged`.
    columns
        The names that the mapping uses, to the names in `path`.
    empty_count
        Rows in which none of the columns holds anything; they are left out.
    is_source
        Whether `path` is the shop's own Parquet file, whose rows are numbered from 1.
    has_cells
        Whether it comes from a sheet, where dates that are dates stand beside dates that are text.
    """

    label: str
    path: Path
    columns: Dict[str, str]
    row_count: int
    empty_count: int = 0
    is_source: bool = False
    has_cells: bool = False

    def open(self, connection: Backend) -> Table:
        """Return the file's rows: its columns, `line` (from 1), and `ragged` (what is wrong with a row as a whole)."""
        if not self.is_source:
            return connection.read_parquet(self.path)
        table = connection.read_parquet(self.path, file_row_number=True)
        named = {f"c{i}": table[name] for i, name in enumerate(self.columns)}
        return table.select(**named, line=table["file_row_number"] + 1, ragged=ibis.null("string"))

    def names(self) -> Dict[str, str]:
        """Return the names that the mapping uses, to the names in the opened table."""
        return {name: f"c{i}" for i, name in enumerate(self.columns)} if self.is_source else self.columns


def clean(texts: pa.Array, missing: Sequence[str]) -> pa.Array:
    """Return texts without the blanks around them; null where nothing is given."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.is_in(trimmed, pa.array([*missing, ""], pa.string())), None, trimmed)


def pick_columns(names: Sequence[str], wanted: Sequence[str], label: str, *, hint: str = "") -> dict[str, int]:
    """Return where the wanted columns stand in a header.

    Raises
    ------
    MissingColumns
        A wanted column is not there.
    BadFile
        A wanted column is there twice.
    """
    if missing := [name for name in wanted if name not in names]:
        if hint:
            raise BadFile(label, f"there is no column {missing[0]!r}", advice=hint)
        raise MissingColumns(label, missing, known=list(names))
    for name in wanted:
        places = [str(i + 1) for i, other in enumerate(names) if other == name]
        if len(places) > 1:
            advice = "rename one of them, or read another column"
            raise BadFile(label, f"it has the column {name!r} {len(places)} times ({', '.join(places)})", advice=advice)
    return {name: names.index(name) for name in wanted}
