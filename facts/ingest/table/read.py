"""A shop's files, read as a mapping says, into the tables of a delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import ibis
from ibis import _

from facts.errors import GateFailed, counted
from facts.ingest.delivery import Delivery
from facts.ingest.table.doubt import refuse_misfit
from facts.ingest.table.files import stage
from facts.ingest.table.mapping import Mapping
from facts.ingest.table.order_lines import build_lines
from facts.ingest.table.orders import build_heads, build_orders
from facts.ingest.table.parsing import parse
from facts.ingest.table.people_and_goods import build_customers, build_events, build_products
from facts.ingest.table.rows import CUSTOMER_RULE, read_rows, with_order_ids
from facts.ingest.table.staging import Staged
from facts.ingest.table.times import wall_at
from facts.lake import Shop

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

ROWS, HEADS = "rows.parquet", "heads.parquet"
ROW_GROUP = 20_480  # small groups: an engine that reads them in blocks holds several
MEMORY_LIMIT = "800MB"
MICROSECOND = timedelta(microseconds=1)


def read(paths: Sequence[Path], mapping: Mapping, *, staging: Path, at: datetime) -> Delivery:
    """Read a shop's order files.

    Parameters
    ----------
    paths
        CSV or TSV (also gzip), Parquet, Excel; all of them as the mapping says.
    staging
        A folder for what is read, on the disk; it must stay until the delivery is ingested.
    at
        When the files were delivered: an order later than that cannot be.

    Raises
    ------
    MissingColumns, BadFile
        A file is not what the mapping says.
    GateFailed
        No row has a time that can be read.
    """
    staging.mkdir(parents=True, exist_ok=True)
    staged = stage(paths, mapping, staging)
    with _engine(staging) as connection:
        parts = [parse(file, mapping, connection, at=at) for file in staged]
        for part in parts:
            refuse_misfit(part, connection)
        rows = ibis.union(*[read_rows(part, file_number=i) for i, part in enumerate(parts)])
        _write(with_order_ids(rows, mapping), staging / ROWS)
        rows = connection.read_parquet(staging / ROWS)
        _write(build_heads(rows, mapping), staging / HEADS)
        found = _look(rows, connection.read_parquet(staging / HEADS), mapping, connection)
    return _deliver(_open(staging / ROWS), _open(staging / HEADS), mapping, found, staged)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was seen over all rows."""

    first_at: datetime
    last_at: datetime
    has_hours: bool
    measured_count: int
    back_count: int
    without_customer_count: int


@contextmanager
def _engine(staging: Path) -> Iterator[Backend]:
    connection = ibis.duckdb.connect(memory_limit=MEMORY_LIMIT, temp_directory=str(staging / ".spill"))
    connection.raw_sql("SET TimeZone = 'UTC'")
    try:
        yield connection
    finally:
        connection.disconnect()


def _write(table: Table, path: Path) -> None:
    table.to_parquet(path, compression="zstd", row_group_size=ROW_GROUP)


def _open(path: Path) -> Table:
    """Open a Parquet file so that any engine can read it, in blocks."""
    from pyarrow.dataset import dataset

    return ibis.memtable(dataset(path))


def _look(rows: Table, heads: Table, mapping: Mapping, connection: Backend) -> _Found:
    wall = wall_at(rows.ordered_at, mapping.time.zone)
    is_timed = rows.has_hours & (wall.hour() + wall.minute() + wall.second() > 0)
    asked = rows.agg(
        first_at=_.ordered_at.min(), last_at=_.ordered_at.max(), has_hours=is_timed.any(),
        measured=_.is_measured.sum(), back=_.is_negative.sum(),
    )  # fmt: skip
    found: dict[str, Any] = connection.to_pyarrow(asked).to_pylist()[0]
    if found["first_at"] is None:
        raise GateFailed("orders with a time", needed="at least 1", found="0", advice="see columns.ordered_at")
    return _Found(
        first_at=found["first_at"],
        last_at=found["last_at"],
        has_hours=bool(found["has_hours"]),
        measured_count=int(found["measured"]),
        back_count=int(found["back"]),
        without_customer_count=_count_without_customer(rows, heads, mapping),
    )


def _count_without_customer(rows: Table, heads: Table, mapping: Mapping) -> int:
    """Count the rows of orders without a customer: another row of the order may name the one of them all."""
    counts = [heads.filter(_.customer_id.isnull()).agg(n=(_.forward_count + _.backward_count).sum())]
    if mapping.file.row == "line":  # a row of no order has no head
        counts.append(rows.filter(_.order_id.isnull() & _.customer_id.isnull()).agg(n=_.count()))
    return sum(int(count.to_pyarrow()["n"][0].as_py() or 0) for count in counts)


def _deliver(rows: Table, heads: Table, mapping: Mapping, found: _Found, staged: Sequence[Staged]) -> Delivery:
    return Delivery(
        shop=_shop(mapping, found),
        tables={
            "customers": build_customers(rows, mapping),
            "products": build_products(rows, mapping),
            "orders": build_orders(heads, mapping, has_hours=found.has_hours),
            "order_lines": build_lines(rows, heads, mapping),
            "events": build_events(),
        },
        notes=tuple(_notes(mapping, found, staged)),
        tolerated=(CUSTOMER_RULE,) if mapping.customers.missing == "set_aside" else (),
        ids_made_of=None
        if "order_id" in mapping.columns.told
        else f"customer and {'time' if found.has_hours else 'day'}",
    )


def _shop(mapping: Mapping, found: _Found) -> Shop:
    told, clock = mapping.shop, ZoneInfo(mapping.time.zone)
    first, last = found.first_at.astimezone(clock).date(), found.last_at.astimezone(clock).date()
    until = found.last_at + MICROSECOND if found.has_hours else _midnight(last + timedelta(days=1), clock)
    return Shop(
        name=told.name,
        source="table",
        currency=told.currency,
        timezone=mapping.time.zone,
        observed_from=_midnight(told.observed_from or first, clock),
        observed_until=until if told.observed_until is None else _midnight(told.observed_until, clock),
        clock=told.clock,
    )


def _midnight(day: date, clock: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), clock).astimezone(UTC)


def _notes(mapping: Mapping, found: _Found, staged: Sequence[Staged]) -> Iterator[str]:
    for file in staged:
        empty = f", {file.empty_count:,} empty left out" if file.empty_count else ""
        yield f"{file.label}: {counted(file.row_count, 'row')}{empty}"
    if not found.has_hours:
        yield "times have no hours: an order counts from midnight, the start of its day"
    if found.measured_count:
        yield f"{_rows_have(found.measured_count)} a fraction as quantity (measured, not counted): one piece each"
    if found.back_count and mapping.kinds.negative == "return":
        yield f"{_rows_have(found.back_count)} a negative quantity or amount: {_are_returns(found.back_count)}"
    if mapping.kinds.refund_after_days is not None:
        yield f"refunds have no date of their own: {mapping.kinds.refund_after_days} days after the order are assumed"
    if found.without_customer_count and mapping.customers.missing == "set_aside":
        yield f"{_rows_have(found.without_customer_count)} no customer: orders without one are set aside"


def _rows_have(count: int) -> str:
    return f"{counted(count, 'row')} {'has' if count == 1 else 'have'}"


def _are_returns(count: int) -> str:
    return "it is a return" if count == 1 else "they are returns"
