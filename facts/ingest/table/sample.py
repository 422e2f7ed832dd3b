"""The first rows of a file of which nothing is known yet, and how it seems to be written."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facts.ingest.table.errors import BadFile
from facts.ingest.table.files import bad_parquet, format_of, open_parquet, refuse_absent
from facts.ingest.table.guess import notations, time_formats
from facts.ingest.table.mapping import WHITESPACE, FilePart
from facts.ingest.table.text_header import DELIMITERS, UTF16, open_bytes, refuse_nul, refuse_open_quote

SAMPLE_BYTES = 1 << 20
SAMPLE_ROWS = 5_000
MOST = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some rows as text, with the settings under [file] that read them.

    `typed` names the columns that the file itself says are times or numbers.
    """

    label: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    settings: dict[str, str]
    has_header: bool = True
    typed: frozenset[str] = frozenset()
    is_whole: bool = True

    def texts(self, name: str) -> list[str]:
        """Return what a column holds, without the empty fields."""
        i = self.names.index(name)
        return [row[i].strip() for row in self.rows if row[i].strip()]


def read_sample(path: Path, *, sheet: str | None = None) -> Sample:
    """Read the first rows of a file, of a workbook those of a sheet; raise BadFile where it holds none."""
    refuse_absent(path)
    match format_of(path):
        case "excel":
            sample = _sample_sheet(path, sheet)
        case kind if sheet is not None:
            advice = "leave out the sheet"
            raise BadFile(path.name, f"it is no workbook but {kind}, and has no sheet {sheet!r}", advice=advice)
        case "parquet":
            sample = _sample_parquet(path)
        case _:
            sample = _sample_text(path)
    if not sample.rows:
        raise BadFile(path.name, "it has no rows to look at", advice="export it again, over a time with orders")
    return sample


def _sample_text(path: Path) -> Sample:
    with open_bytes(path) as file:
        head = file.read(SAMPLE_BYTES)
    if not head.strip():
        raise BadFile(path.name, "it is empty", advice="export it again")
    encoding, text = _decode(head)
    is_whole = len(head) < SAMPLE_BYTES
    lines = text if is_whole else text[: text.rfind("\n") + 1]
    delimiter = _delimiter_of(lines)
    rows = _split(lines, delimiter)[: SAMPLE_ROWS + 1]
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    refuse_nul(rows[0], path.name)
    fitting = tuple(tuple(row) for row in rows if len(row) == width)
    if delimiter != WHITESPACE and (is_whole or len(fitting) == 1):
        part = FilePart(row="line", encoding=encoding)
        refuse_open_quote(path, path.name, part, delimiter=delimiter, lines_before=0)
    settings = {} if encoding == "utf-8" else {"encoding": encoding}
    settings |= {} if delimiter == "," else {"delimiter": delimiter}
    whole = is_whole and len(rows) <= SAMPLE_ROWS
    sample = Sample(label=path.name, names=fitting[0], rows=fitting[1:], settings=settings, is_whole=whole)
    if any(_is_value(name) for name in sample.names):
        names = tuple(f"column_{i}" for i in range(1, width + 1))
        return replace(sample, names=names, rows=fitting, has_header=False)
    return replace(sample, names=tuple(name.strip() for name in sample.names))


def _sample_parquet(path: Path) -> Sample:
    import pyarrow as pa

    file = open_parquet(path, path.name)
    try:
        block = next(file.iter_batches(SAMPLE_ROWS), None)
    except (pa.ArrowInvalid, OSError) as error:
        raise bad_parquet(path.name, error) from None
    schema = file.schema_arrow
    typed = frozenset(field.name for field in schema if pa.types.is_temporal(field.type) or _is_number(field.type))
    rows = [] if block is None else block.to_pylist()
    return Sample(
        label=path.name,
        names=tuple(schema.names),
        rows=tuple(tuple(_shown(row[name]) for name in schema.names) for row in rows),
        settings={},
        typed=typed,
        is_whole=file.metadata.num_rows <= SAMPLE_ROWS,
    )


def _sample_sheet(path: Path, sheet: str | None) -> Sample:
    from facts.ingest.table.sheet import sheet_rows

    cells = sheet_rows(path, path.name, FilePart(row="line", sheet=sheet))
    names = tuple(_shown(cell).strip() for cell in cells[0])
    rows = tuple(tuple(_shown(cell) for cell in row) for row in cells[1 : SAMPLE_ROWS + 1])
    typed = {
        name
        for i, name in enumerate(names)
        if (given := [row[i] for row in cells[1 : SAMPLE_ROWS + 1] if row[i] not in ("", None)])
        and not any(isinstance(cell, str) for cell in given)
    }
    whole = len(cells) <= SAMPLE_ROWS + 1
    settings = {} if sheet is None else {"sheet": sheet}
    return Sample(label=path.name, names=names, rows=rows, settings=settings, typed=frozenset(typed), is_whole=whole)


def _is_number(kind: Any) -> bool:  # noqa: ANN401 - a pyarrow.DataType
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _shown(cell: Any) -> str:  # noqa: ANN401 - whatever a cell holds
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell)


def _decode(head: bytes) -> tuple[str, str]:
    if head.startswith(UTF16):
        return "utf-16", head.decode("utf-16", errors="ignore")
    try:
        return "utf-8", head[: _whole_characters(head)].decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252", head.decode("cp1252", errors="replace")


def _whole_characters(head: bytes) -> int:
    """Return how many bytes there are before a character that the end of the sample may have cut."""
    return len(head) if len(head) < SAMPLE_BYTES else max(head.rfind(b"\n"), 0) or len(head)


def _delimiter_of(text: str) -> str:
    """Return the sign at which the lines fall into the same number of fields, the most of them."""
    lines = "\n".join(text.splitlines()[:200])
    found = {delimiter: _agreement(_split(lines, delimiter)) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: found[delimiter])
    if found[best][0] < MOST and _agreement(_split(lines, WHITESPACE))[0] >= MOST:
        return WHITESPACE
    return best if found[best][1] else ","


def _agreement(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    counts = Counter(len(row) for row in rows)
    width, times = counts.most_common(1)[0] if counts else (0, 0)
    return (times / len(rows), width) if width > 1 else (0, 0)


def _split(text: str, delimiter: str) -> list[list[str]]:
    if delimiter == WHITESPACE:
        return [line.split() for line in text.splitlines() if line.strip()]
    csv.field_size_limit(SAMPLE_BYTES)  # a quote that is not closed makes one field of all that follows
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


def _is_value(text: str) -> bool:
    return bool(notations([text]) or time_formats([text]))
