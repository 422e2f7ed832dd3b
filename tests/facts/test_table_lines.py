"""Line numbers: whatever stands in a file, a row is found on the line that is named."""

from __future__ import annotations

import csv
import io
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.ingest import ingest
from facts.ingest.table.text_blocks import BLOCK_BYTES, Counted, Layout, Numbering, read_blocks
from facts.lake import Lake
from tests.facts.deliveries import rows_in
from tests.facts.table_shop import DELIVERED_AT, ORDERS, deliver, told

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


MANY = int(os.environ.get("REGULARS_TEST_ROWS", "300_000"))  # CONTRIBUTING.md: ten million, now and then


@pytest.mark.parametrize(("count", "note"), [(MANY, ""), (20_000, '"two\nlines"')])
def test_one_broken_row_in_many_is_found(tmp_path, count, note):
    broken = random.Random(7).randrange(count)  # noqa: S311 - any row will do
    file = tmp_path / "o.csv"
    with file.open("w", encoding="utf-8") as text:
        text.write("Order,Customer,Date,Total,Note\n")
        for i in range(count):
            year = "20x24" if i == broken else "2024"
            text.write(f"{i},c{i % 977},{year}-01-{i % 28 + 1:02},{i % 50}.25,{note}\n")
    assert note or file.stat().st_size > 2 * BLOCK_BYTES  # it is read in several blocks
    lake = Lake(tmp_path / "lake")
    delivery = deliver(tmp_path, file, told(ORDERS, columns={"order_id": "Order"}))
    done = ingest(delivery, lake, at=DELIVERED_AT, limit=0.01)
    place = broken + 2 + (broken if note else 0)
    assert {row["source_line"] for row in rows_in(lake, "quarantine")} == {f"o.csv:{place}"}
    assert done.kept == {"customers": 977, "products": 0, "orders": count - 1, "order_lines": count - 1, "events": 0}
