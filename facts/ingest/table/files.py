"""Which kind of file it is, by its content, and how it is staged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facts.ingest.table.errors import BadFile
from facts.ingest.table.mapping import Format, Mapping
from facts.ingest.table.staging import Staged, pick_columns

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

PARQUET = b"PAR1"
EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def stage(paths: Sequence[Path], mapping: Mapping, folder: Path) -> list[Staged]:
    """Stage files in a folder, each with the columns that the mapping names.

    Raises
    ------
    MissingColumns, BadFile
        A file is not there, is not what the mapping says, or was given twice.
    """
    labels = labels_of(paths)
    return [
        stage_one(path, label, mapping, folder / f"file{i}.parquet")
        for i, (path, label) in enumerate(zip(paths, labels, strict=True))
    ]


def stage_one(path: Path, label: str, mapping: Mapping, target: Path) -> Staged:
    """Stage one file in the way of its format."""
    part, wanted = mapping.file, mapping.names
    match part.format or format_of(path):
        case "parquet":
            return _stage_parquet(path, label, wanted)
        case "excel":
            from facts.ingest.table.sheet import stage_sheet

            return stage_sheet(path, label, mapping, target)
        case _:
            from facts.ingest.table.text_file import stage_text

            return stage_text(path, label, part, wanted, target)


def format_of(path: Path) -> Format:
    """Return the format of a file, by its first bytes."""
    refuse_absent(path)
    with path.open("rb") as file:
        head = file.read(4)
    return "parquet" if head == PARQUET else ("excel" if head in EXCEL else "csv")


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Return how messages name files: by the name alone, unless two share it."""
    for path in paths:
        refuse_absent(path)
    if not paths:
        raise BadFile("no file", "there is nothing to read", advice="name one file or several")
    resolved = [path.resolve() for path in paths]
    if twice := [path for path in resolved if resolved.count(path) > 1]:
        raise BadFile(twice[0].name, "it is given twice", advice="name each file once")
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def refuse_absent(path: Path) -> None:
    """Raise BadFile where there is no such file."""
    if path.is_dir():
        raise BadFile(path, "it is a folder", advice="name the files in it")
    if not path.is_file():
        near = [other.name for other in sorted(path.parent.glob(f"*{path.suffix}"))[:5]] if path.parent.is_dir() else []
        advice = f"beside it lie {', '.join(near)}" if near else "look at the path"
        raise BadFile(path, "there is no such file", advice=advice)


def open_parquet(path: Path, label: str) -> ParquetFile:
    """Open a Parquet file; raise BadFile where it is none, or a part of one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_absent(path)
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise bad_parquet(label, error) from None


def bad_parquet(label: str, error: Exception) -> BadFile:
    """Return the error of a Parquet file that cannot be read."""
    return BadFile(label, f"it cannot be read as Parquet ({error})", advice="copy or write it again")


def _stage_parquet(path: Path, label: str, wanted: Sequence[str]) -> Staged:
    file = open_parquet(path, label)
    pick_columns(file.schema_arrow.names, wanted, label)
    rows = file.metadata.num_rows
    if not rows:
        raise BadFile(label, "it has columns and no rows", advice="export it again, over a time with orders")
    return Staged(label=label, path=path, columns={name: name for name in wanted}, row_count=rows, is_source=True)
