"""Excel and OpenDocument sheets: numbers and dates are taken as the cells hold them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facts.ingest.table.errors import BadFile
from facts.ingest.table.mapping import FilePart, Mapping
from facts.ingest.table.staging import LINE, RAGGED, Staged, clean, pick_columns


def stage_sheet(path: Path, label: str, mapping: Mapping, target: Path) -> Staged:
    """Copy the wanted columns of a sheet into a Parquet file.

    A column whose cells are all numbers, or all dates, keeps its type; any other becomes text, its numbers written as
    the mapping writes them.

    Raises
    ------
    MissingColumns
        The sheet lacks a wanted column.
    BadFile
        It is no workbook, has several sheets and none is named, or holds no rows.
    """
    part = mapping.file
    rows = sheet_rows(path, label, part)
    before = part.skip_lines + (part.columns is None)
    names = part.columns or tuple(_text(cell).strip() for cell in rows[part.skip_lines])
    places = pick_columns(names, mapping.names, label)
    numbered = [(i, row) for i, row in enumerate(rows[before:], start=before + 1)]
    filled = [(line, row) for line, row in numbered if any(row[i] not in ("", None) for i in places.values())]
    if not filled:
        raise BadFile(label, "it has a header and no rows", advice="export it again, over a time with orders")
    columns = {f"c{i}": _column([row[i] for _line, row in filled], mapping) for i in places.values()}
    lines = pa.array([line for line, _row in filled], pa.int64())
    table = pa.table({**columns, LINE: lines, RAGGED: pa.nulls(len(filled), pa.string())})
    pq.write_table(table, target)
    return Staged(
        label=label,
        path=target,
        columns={name: f"c{i}" for name, i in places.items()},
        row_count=len(filled),
        empty_count=len(numbered) - len(filled),
        has_cells=True,
    )


def sheet_rows(path: Path, label: str, part: FilePart) -> list[list[Any]]:
    """Return the cells of the sheet that the mapping names, or of the only one that holds any."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
        if part.sheet is not None and part.sheet not in book.sheet_names:
            advice = f"it has {', '.join(map(repr, book.sheet_names))}: set sheet under [file]"
            raise BadFile(label, f"there is no sheet {part.sheet!r}", advice=advice)
        names = [part.sheet] if part.sheet is not None else book.sheet_names
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in names}
    except (CalamineError, OSError) as error:
        raise BadFile(label, f"it cannot be read as a workbook ({error})", advice="save it again as .xlsx") from None
    held = {name: rows for name, rows in sheets.items() if len(rows) > part.skip_lines}
    if not held:
        raise BadFile(label, "it is empty", advice="export it again")
    if len(held) > 1:
        first = next(iter(held))
        advice = f'say which: sheet = "{first}" under [file], or --sheet "{first}" to have a mapping suggested'
        raise BadFile(label, f"it has several sheets ({', '.join(map(repr, held))})", advice=advice)
    return next(iter(held.values()))


def _column(cells: Sequence[Any], mapping: Mapping) -> pa.Array:
    given = [cell for cell in cells if cell not in ("", None)]
    kinds = {type(cell) for cell in given}
    values = [None if cell in ("", None) else cell for cell in cells]
    if kinds and kinds <= {int, float}:
        return pa.array([None if cell is None else float(cell) for cell in values], pa.float64())
    if kinds == {date}:
        return pa.array(values, pa.date32())
    if kinds and kinds <= {date, datetime}:
        moments = [_moment(cell) if isinstance(cell, date) else None for cell in values]
        return pa.array(moments, pa.timestamp("us"))
    return clean(pa.array([_text(cell, mapping.numbers.decimal) for cell in cells]), mapping.file.missing)


def _moment(cell: date) -> datetime:
    return cell if isinstance(cell, datetime) else datetime.combine(cell, time())


def _text(cell: object, decimal: str = ".") -> str:
    match cell:
        case bool():
            return "true" if cell else "false"
        case float():
            return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", decimal)
        case datetime():
            return cell.isoformat(sep=" ")
        case date() | time():
            return cell.isoformat()
    return "" if cell is None else str(cell)
