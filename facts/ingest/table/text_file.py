"""Text files (CSV, TSV, columns set apart by blanks), copied block by block: memory does not grow with the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facts.errors import counted
from facts.ingest.table.errors import BadFile
from facts.ingest.table.mapping import WHITESPACE, FilePart
from facts.ingest.table.staging import LINE, RAGGED, Staged, clean, pick_columns
from facts.ingest.table.text_blocks import MOST_RAGGED, Counted, Layout, Numbering, Ragged, read_blocks
from facts.ingest.table.text_header import (
    badly_encoded,
    delimiter_of,
    encoding_of,
    open_bytes,
    other_delimiter,
    read_header,
    refuse_open_quote,
)


def stage_text(path: Path, label: str, part: FilePart, wanted: Sequence[str], target: Path) -> Staged:
    """Copy the wanted columns of a text file into a Parquet file.

    Raises
    ------
    MissingColumns
        The file lacks a wanted column.
    BadFile
        It is empty, holds no rows, or cannot be decoded or split.
    """
    header = read_header(path, label, part)
    hint = "" if set(wanted) <= set(header.names) else other_delimiter(path, part, wanted)
    places = pick_columns(header.names, wanted, label, hint=hint)
    layout = Layout(
        field_count=len(header.names),
        wanted=tuple(places.values()),
        delimiter=delimiter_of(path, part),
        quote=part.quote,
        encoding=encoding_of(part).removesuffix("-sig"),
        lines_before=header.line_count,
    )
    source = _Source(path=path, label=label, part=part, layout=layout)
    copied = _copy(source, target, counts_newlines=False)
    if copied.has_odd_quotes:
        _refuse_open_quote(source)
    if copied.line_count != copied.record_count:
        copied = _copy(source, target, counts_newlines=True)
    _refuse_unusable(source, copied)
    return Staged(
        label=label,
        path=target,
        columns=dict(zip(places, layout.picked, strict=True)),
        row_count=copied.row_count + len(copied.ragged),
        empty_count=copied.empty_count,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    path: Path
    label: str
    part: FilePart
    layout: Layout


@dataclass(slots=True)
class _Copied:
    """What was found while a file was copied; a record is a row, or one set apart."""

    ragged: list[Ragged]
    row_count: int = 0
    empty_count: int = 0
    record_count: int = 0
    line_count: int = 0
    has_odd_quotes: bool = False


def _copy(source: _Source, target: Path, *, counts_newlines: bool) -> _Copied:
    layout = source.layout
    numbering = Numbering(layout.lines_before + 1)
    copied = _Copied(numbering.ragged)
    schema = pa.schema([*((name, pa.string()) for name in layout.picked), (LINE, pa.int64()), (RAGGED, pa.string())])
    stream = Counted(open_bytes(source.path), layout.quote.encode())
    try:
        with pq.ParquetWriter(target, schema, compression="lz4", use_dictionary=False) as writer:
            for block in read_blocks(stream, layout, numbering, counts_newlines=counts_newlines):
                filled = _filled(block, layout, source.part.missing)
                copied.record_count += block.num_rows
                copied.row_count += filled.num_rows
                copied.empty_count += block.num_rows - filled.num_rows
                writer.write_batch(filled)
            writer.write_batch(_ragged_rows(numbering.ragged, schema, layout))
    except (pa.ArrowInvalid, UnicodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        if "Could not skip initial" not in str(error):  # a header without a newline, and nothing after it
            raise _explained(source, error, numbering) from None
    copied.record_count += layout.lines_before + len(numbering.ragged)
    copied.line_count = stream.line_count if layout.delimiter != WHITESPACE else copied.record_count
    copied.has_odd_quotes = bool(stream.quote_count % 2) and layout.delimiter != WHITESPACE
    return copied


def _filled(block: pa.RecordBatch, layout: Layout, missing: Sequence[str]) -> pa.RecordBatch:
    """Return the rows in which something is given, their texts cleaned."""
    columns = [clean(block.column(name), missing) for name in layout.picked]
    is_filled = reduce(pc.or_, [column.is_valid() for column in columns])
    nothing = pa.nulls(block.num_rows, pa.string())
    cleaned = pa.RecordBatch.from_arrays([*columns, block.column(LINE), nothing], names=[*layout.picked, LINE, RAGGED])
    return cleaned.filter(is_filled)


def _ragged_rows(ragged: Sequence[Ragged], schema: pa.Schema, layout: Layout) -> pa.RecordBatch:
    told = [f"the row has {row.field_count} fields, the header {layout.field_count}" for row in ragged]
    empty = [pa.nulls(len(ragged), pa.string())] * len(layout.picked)
    lines = pa.array([row.line for row in ragged], pa.int64())
    return pa.RecordBatch.from_arrays([*empty, lines, pa.array(told, pa.string())], schema=schema)


def _refuse_unusable(source: _Source, copied: _Copied) -> None:
    ragged = len(copied.ragged)
    if not copied.row_count + ragged:
        raise BadFile(source.label, "it has a header and no rows", advice="export it again, over a time with orders")
    if ragged > copied.row_count:
        raise _ragged_file(source, copied.ragged, f"{ragged:,} of {counted(ragged + copied.row_count, 'row')}")


def _ragged_file(source: _Source, ragged: Sequence[Ragged], count: str) -> BadFile:
    first = ragged[0]
    return BadFile(
        source.label,
        f"{count} without the {counted(source.layout.field_count, 'field')} of the header (line {first.line} has "
        f"{first.field_count})",
        advice="look at delimiter and quote under [file], and at skip_lines where titles stand above the header",
    )


def _explained(source: _Source, error: Exception, numbering: Numbering) -> BadFile:
    if len(numbering.ragged) > MOST_RAGGED:
        return _ragged_file(source, numbering.ragged, f"more than {MOST_RAGGED:,} rows")
    if isinstance(error, UnicodeError) or "UTF8" in str(error):
        return badly_encoded(source.path, source.label, source.part)
    if isinstance(error, pa.ArrowInvalid):
        _refuse_open_quote(source)
        return BadFile(source.label, f"it cannot be split into rows ({error})", advice="look at quote under [file]")
    return BadFile(source.label, f"it cannot be decompressed ({error})", advice="copy or download it again")


def _refuse_open_quote(source: _Source) -> None:
    layout = source.layout
    refuse_open_quote(
        source.path, source.label, source.part, delimiter=layout.delimiter, lines_before=layout.lines_before
    )
