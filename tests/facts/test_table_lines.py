"""Line numbers: whatever stands in a file, a row is found on the line that is named."""

from __future__ import annotations

import csv
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.ingest.table.text_blocks import Counted, Layout, Numbering, read_blocks
from tests.facts.table_shop import ORDERS, deliver, rows, store, told, write

FIELDS = st.text(st.sampled_from('ab1 ,"\n'), min_size=1, max_size=6)
RECORDS = st.lists(st.one_of(st.tuples(FIELDS, FIELDS, FIELDS), st.tuples(FIELDS, FIELDS), st.just(())), max_size=40)


def as_text(records, newline):
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=newline)
    for record in [("x", "y", "z"), *records]:
        writer.writerow(record)
    return text.getvalue()


def starts(text):
    """Return the line on which each record of three fields starts, and those of others, as Python's reader tells."""
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    fitting, ragged, line = [], [], reader.line_num + 1
    for record in reader:
        if len(record) == 3:
            fitting.append((line, record[0]))
        elif record:
            ragged.append(line)
        line = reader.line_num + 1
    return fitting, ragged


@settings(max_examples=200, deadline=None)
@given(RECORDS, st.sampled_from(["\n", "\r\n"]), st.integers(64, 400))
def test_rows_are_where_pythons_reader_finds_them(records, newline, block_bytes):
    text = as_text(records, newline)
    layout = Layout(
        field_count=3,
        wanted=(0, 2),
        delimiter=",",
        quote='"',
        encoding="utf-8",
        lines_before=1,
        block_bytes=block_bytes,
    )
    numbering = Numbering(2)
    stream = Counted(io.BytesIO(text.encode()), b'"')
    blocks = list(read_blocks(stream, layout, numbering, counts_newlines=True)) if records else []
    found = [pair for block in blocks for pair in zip(block["line"].to_pylist(), block["c0"].to_pylist(), strict=True)]
    fitting, ragged = starts(text)
    assert [pair for pair in found if pair[1]] == fitting
    assert [row.line for row in numbering.ragged] == ragged


@pytest.mark.parametrize("note", ["", '"two\nlines"'])
def test_one_broken_row_in_many_is_found(tmp_path, note):
    count, broken = 20_000, random.Random(7).randrange(20_000)  # noqa: S311 - any row will do
    lines = [f"{i},c{i % 977},2024-01-{i % 28 + 1:02},{i % 50}.25,{note}" for i in range(count)]
    lines[broken] = lines[broken].replace("2024", "20x24")
    file = write(tmp_path / "o.csv", "Order,Customer,Date,Total,Note\n" + "\n".join(lines) + "\n")
    delivery = deliver(tmp_path, file, told(ORDERS, columns={"order_id": "Order"}))
    done, stored = store(tmp_path, delivery, limit=0.01)
    place = broken + 2 + (broken if note else 0)
    assert {row["source_line"] for row in stored["quarantine"]} == {f"o.csv:{place}"}
    assert done.kept["orders"] == count - 1
    assert len(rows(delivery, "customers", "customer_id")) == 977
