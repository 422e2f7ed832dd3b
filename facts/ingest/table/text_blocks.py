"""A text file as blocks of rows: each row with the line on which it starts, the rows that do not fit set apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from facts.ingest.table.mapping import WHITESPACE
from facts.ingest.table.staging import LINE

BLOCK_BYTES = 4 << 20
MOST_RAGGED = 100_000
NO_DELIMITER = "\x1f"  # a sign between units, which no text holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the rows are written: their fields, of which some are wanted, and how many lines stand before the first."""

    field_count: int
    wanted: tuple[int, ...]
    delimiter: str
    quote: str
    encoding: str
    lines_before: int
    block_bytes: int = BLOCK_BYTES

    @property
    def picked(self) -> list[str]:
        """Return the names that the wanted fields have in blocks."""
        return [f"c{i}" for i in self.wanted]


@dataclass(slots=True)
class Ragged:
    """A row with another number of fields than the header."""

    record: int
    field_count: int
    newline_count: int
    line: int


@dataclass(slots=True)
class Counted:
    """A stream that counts the lines and the quotes passing through it."""

    stream: IO[bytes]
    quote: bytes
    newline_count: int = 0
    quote_count: int = 0
    last: bytes = b"\n"
    closed: bool = False

    def read(self, size: int = -1) -> bytes:
        """Read as from a file."""
        content = self.stream.read(size)
        self.newline_count += content.count(b"\n")
        self.quote_count += content.count(self.quote)
        self.last = content[-1:] or self.last
        return content

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()
        self.closed = True

    @property
    def line_count(self) -> int:
        """Return how many lines have passed."""
        return self.newline_count + (self.last != b"\n")


@dataclass(slots=True)
class Numbering:
    """On which line each row starts: quoted fields may hold newlines, and rows may be set apart."""

    next_record: int
    ragged: list[Ragged] = field(default_factory=list)
    settled: int = 0  # newlines within the records before the next

    def reject(self, row: Any) -> str:  # noqa: ANN401 - pyarrow.csv.InvalidRow
        """Set a row apart that has another number of fields."""
        told = Ragged(row.number, row.actual_columns, row.text.count("\n"), line=row.number)
        self.ragged.append(told)
        return "skip" if len(self.ragged) <= MOST_RAGGED else "error"

    def lines_of(self, newlines: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the first line of each row of the next block, given how many newlines stand within each."""
        first, count = self.next_record, len(newlines)
        pending = [ragged.record for ragged in self.ragged if ragged.record >= first]
        records = np.setdiff1d(np.arange(first, first + count + len(pending)), pending)[:count]
        self.next_record = int(records[-1]) + 1 if count else first
        inside = [ragged for ragged in self.ragged if first <= ragged.record < self.next_record]
        return self._settle(records, newlines, inside)

    def finish(self) -> None:
        """Give their lines to the rows that were set apart after the last block."""
        inside = [ragged for ragged in self.ragged if ragged.record >= self.next_record]
        self._settle(np.array([], dtype=np.int64), np.array([], dtype=np.int64), inside)

    def _settle(
        self, records: np.ndarray[Any, Any], newlines: np.ndarray[Any, Any], inside: list[Ragged]
    ) -> np.ndarray[Any, Any]:
        starts = np.concatenate([records, [ragged.record for ragged in inside]]).astype(np.int64)
        within = np.concatenate([newlines, [ragged.newline_count for ragged in inside]]).astype(np.int64)
        order = np.argsort(starts)
        lines = np.empty_like(starts)
        lines[order] = starts[order] + self.settled + np.cumsum(within[order]) - within[order]
        for ragged, line in zip(inside, lines[len(records) :], strict=True):
            ragged.line = int(line)
        self.settled += int(within.sum())
        return lines[: len(records)]


def read_blocks(
    stream: Counted, layout: Layout, numbering: Numbering, *, counts_newlines: bool
) -> Iterator[pa.RecordBatch]:
    """Yield blocks of the wanted fields as text, and `line`.

    `counts_newlines` looks for newlines in every field; without it each row is taken to be one line.
    """
    is_blanks = layout.delimiter == WHITESPACE
    names = ["whole"] if is_blanks else [f"c{i}" for i in range(layout.field_count)]
    blocks = pacsv.open_csv(
        stream,
        read_options=pacsv.ReadOptions(
            use_threads=False,
            block_size=layout.block_bytes,
            column_names=names,
            skip_rows=layout.lines_before,
            encoding=layout.encoding,
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=NO_DELIMITER if is_blanks else layout.delimiter,
            quote_char=False if is_blanks else layout.quote,
            newlines_in_values=not is_blanks,
            ignore_empty_lines=False,
            invalid_row_handler=numbering.reject,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            include_columns=names if is_blanks or counts_newlines else layout.picked,
        ),
    )
    for block in blocks:
        newlines = _count_newlines(block) if counts_newlines else np.zeros(block.num_rows, dtype=np.int64)
        lines = pa.array(numbering.lines_of(newlines))
        yield _split_at_blanks(block, lines, layout, numbering) if is_blanks else _with_lines(block, lines, layout)
    numbering.finish()


def _with_lines(block: pa.RecordBatch, lines: pa.Array, layout: Layout) -> pa.RecordBatch:
    columns = [block.column(name) for name in layout.picked]
    return pa.RecordBatch.from_arrays([*columns, lines], names=[*layout.picked, LINE])


def _split_at_blanks(block: pa.RecordBatch, lines: pa.Array, layout: Layout, numbering: Numbering) -> pa.RecordBatch:
    text = pc.utf8_trim_whitespace(block.column("whole"))
    fields = pc.split_pattern_regex(text, r"\s+")
    counts = pc.list_value_length(fields)
    fits = pc.equal(counts, layout.field_count)
    odd = pc.and_(pc.invert(fits), pc.not_equal(text, ""))
    numbering.ragged += [
        Ragged(line, count, 0, line=line)
        for line, count in zip(lines.filter(odd).to_pylist(), counts.filter(odd).to_pylist(), strict=True)
    ]
    fields = fields.filter(fits)
    columns = [pc.list_element(fields, i) for i in layout.wanted]
    return pa.RecordBatch.from_arrays([*columns, lines.filter(fits)], names=[*layout.picked, LINE])


def _count_newlines(block: pa.RecordBatch) -> np.ndarray[Any, Any]:
    counts = [pc.count_substring(column, "\n").to_numpy(zero_copy_only=False) for column in block.columns]
    return np.asarray(np.sum(counts, axis=0), dtype=np.int64)
