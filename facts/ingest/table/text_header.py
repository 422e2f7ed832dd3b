"""The first lines of a text file: how it is encoded, which columns it names, and where the rows begin."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from facts.ingest.table.errors import BadFile
from facts.ingest.table.mapping import WHITESPACE, FilePart

GZIP = b"\x1f\x8b"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The columns of a text file, and how many lines stand before its first row."""

    names: tuple[str, ...]
    line_count: int


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed if it is gzip."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_gzip else path.open("rb")


def encoding_of(part: FilePart) -> str:
    """Return the encoding under which a byte order mark is no content."""
    return "utf-8-sig" if part.encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else part.encoding


def delimiter_of(path: Path, part: FilePart) -> str:
    """Return what stands between two fields: what the mapping says, else a tab in .tsv files and a comma in others."""
    return part.delimiter or ("\t" if ".tsv" in path.suffixes or ".tab" in path.suffixes else ",")


def read_header(path: Path, label: str, part: FilePart) -> Header:
    """Read the names of the columns; raise BadFile where there are none or they cannot be read."""
    _refuse_other_encoding(path, label, part)
    delimiter = delimiter_of(path, part)
    try:
        with io.TextIOWrapper(open_bytes(path), encoding=encoding_of(part), newline="") as text:
            for _ in range(part.skip_lines):
                text.readline()
            if part.columns is not None:
                return Header(names=part.columns, line_count=part.skip_lines)
            if delimiter == WHITESPACE:
                return Header(names=tuple(text.readline().split()), line_count=part.skip_lines + 1)
            reader = csv.reader(text, delimiter=delimiter, quotechar=part.quote, strict=True)
            names = next(reader, [])
    except UnicodeDecodeError:
        raise badly_encoded(path, label, part) from None
    except csv.Error as error:
        raise BadFile(label, f"its header cannot be split ({error})", advice="look at quote under [file]") from None
    except (EOFError, gzip.BadGzipFile) as error:
        raise BadFile(label, f"it cannot be decompressed ({error})", advice="copy or download it again") from None
    refuse_nul(names, label)
    return Header(names=tuple(name.strip() for name in names), line_count=part.skip_lines + reader.line_num)


def refuse_nul(names: Sequence[str], label: str) -> None:
    """Raise BadFile where the first row holds NUL characters: text has none."""
    if any("\0" in name for name in names):
        advice = 'save it as UTF-8 text; if it is UTF-16 without its mark, set encoding = "utf-16-le" under [file]'
        raise BadFile(label, "its first row has NUL characters, so it is no text as it is read here", advice=advice)


def refuse_open_quote(path: Path, label: str, part: FilePart, *, delimiter: str, lines_before: int) -> None:
    """Raise BadFile where a quoted field never ends; a lone quote within a field is no such case."""
    with io.TextIOWrapper(open_bytes(path), encoding=encoding_of(part), newline="") as text:
        for _ in range(lines_before):
            text.readline()
        csv.field_size_limit(1 << 30)
        reader = csv.reader(text, delimiter=delimiter, quotechar=part.quote, strict=True)
        line = lines_before + 1
        try:
            for _row in reader:
                line = lines_before + reader.line_num + 1
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                advice = "close the quote, or set quote under [file] to the sign that is used"
                raise BadFile(label, f"a quoted field opens on line {line} and never ends", advice=advice) from None


def other_delimiter(path: Path, part: FilePart, wanted: Sequence[str]) -> str:
    """Return the advice to split the file at another sign where that gives the wanted columns; else nothing."""
    for delimiter in (*DELIMITERS, WHITESPACE):
        names = read_header(path, path.name, part.model_copy(update={"delimiter": delimiter})).names
        if set(wanted) <= set(names):
            shown = delimiter_of(path, part)
            return (
                f'split at {delimiter!r} instead of {shown!r} it has: set delimiter = "{_toml(delimiter)}" under [file]'
            )
    return ""


def badly_encoded(path: Path, label: str, part: FilePart) -> BadFile:
    """Return the error that names the first line which is not in the encoding."""
    with open_bytes(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode(part.encoding)
            except UnicodeDecodeError as error:
                byte = line[error.start]
                advice = 'set encoding = "cp1252" (or "latin-1") under [file], or save the file as UTF-8'
                return BadFile(label, f"line {number} is not {part.encoding} (byte 0x{byte:02x})", advice=advice)
    return BadFile(label, f"it is not {part.encoding}", advice="set encoding under [file]")


def _refuse_other_encoding(path: Path, label: str, part: FilePart) -> None:
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD_BYTES)
    except (EOFError, OSError) as error:
        raise BadFile(label, f"it cannot be decompressed ({error})", advice="copy or download it again") from None
    if not head.strip():
        raise BadFile(label, "it is empty", advice="export it again")
    if head.startswith(UTF16) and "16" not in part.encoding:
        raise BadFile(label, "it is UTF-16 text", advice='set encoding = "utf-16" under [file]')
    if encoding_of(part) != "utf-8-sig" and "16" not in part.encoding and _is_utf8(head):
        advice = "leave out encoding under [file]"
        raise BadFile(label, f"it is UTF-8 text, and the mapping says {part.encoding}", advice=advice)


def _is_utf8(head: bytes) -> bool:
    """Return whether bytes beyond ASCII are UTF-8; the last character may be cut."""
    try:
        head[: len(head) - 4 if len(head) == HEAD_BYTES else None].decode("utf-8")
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start > HEAD_BYTES - 8 and not head[: error.start].isascii()
    return not head.isascii()


def _toml(delimiter: str) -> str:
    return "\\t" if delimiter == "\t" else delimiter
