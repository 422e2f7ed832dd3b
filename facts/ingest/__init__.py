"""From a source to validated tables: one file a source, one way in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import ibis

from facts.carries import carries
from facts.checking import Checked, check
from facts.contracts import FACTS, QUARANTINE
from facts.errors import DeliveryRefused, GateFailed, MissingColumns, UnknownName, counted
from facts.ingest import complete_journey
from facts.ingest.delivery import Delivery
from facts.lake import Lake, Shop, Stored
from facts.merge import LAKE_COLUMNS, TOUCHED, TOUCHED_SCHEMA, Merged, Mode, Moment, begin, merge

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

SOURCES: Mapping[str, Callable[[], Delivery]] = {complete_journey.NAME: complete_journey.read}
LARGEST_QUARANTINED_RATE = 0.05
SAME_SHOP = ("name", "currency", "timezone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What came in: the shop, of every table how many rows were received, set aside and flagged, and what is stored.

    `orders` counts the delivered orders: new, corrected, unchanged, and those that ended because a whole record, or a
    whole day of a customer, came without them.
    """

    shop: Shop
    received: Mapping[str, int]
    kept: Mapping[str, int]
    stored: Mapping[str, Stored]
    breaches: Mapping[tuple[str, str, str], int]  # (table, rule, quarantine | flag) -> rows
    orders: Mapping[str, int]
    notes: tuple[str, ...]


def read_source(name: str) -> Delivery:
    """Read a source by its name; raise UnknownName where there is none."""
    if name not in SOURCES:
        raise UnknownName("source", name, known=list(SOURCES))
    return SOURCES[name]()


def ingest(
    delivery: Delivery,
    lake: Lake,
    *,
    mode: Mode = "append",
    at: datetime | None = None,
    limit: float = LARGEST_QUARANTINED_RATE,
) -> Ingested:
    """Check what a source delivered, merge it with what the lake knows, and commit it: all tables or none.

    Parameters
    ----------
    mode
        `append`: orders that are not delivered stay as they are known; `replace`: the delivery is the whole record.
    at
        When the delivery reaches the lake: the time of receipt of late and corrected orders. By default the shop's now.
    limit
        The share of a table's rows above which quarantined rows refuse the delivery.

    Raises
    ------
    MissingColumns
        A table lacks a column of its contract.
    GateFailed
        A first delivery has no order that can be used.
    DeliveryRefused
        Too many rows of a table break a rule, or the lake holds another shop.
    """
    with lake.locked(), lake.connect() as connection:
        former = None if lake.is_empty else lake.shop()
        checked = _check_all(delivery, connection)
        _refuse_bad(delivery, checked, limit=limit)
        if former is None and not int(checked["orders"].rows.count().execute()):
            raise GateFailed("valid orders", needed="at least 1", found="0", advice=_first(checked))
        told = {name: c.rows for name, c in checked.items()}
        shop = delivery.shop if former is None else _same_shop(former, delivery.shop)
        if former is None:
            merged = begin(told)
        else:
            known = {name: lake.table(connection, name) for name in FACTS}
            moment = Moment(at=at or now(shop), former_until=former.observed_until)
            has_made_ids = delivery.ids_made_of is not None
            merged = merge(known, told, moment, mode=mode, connection=connection, has_made_ids=has_made_ids)
        stored = _commit(lake, connection, merged, checked, shop, keep_aside=former is not None and mode == "append")
        return Ingested(
            shop=lake.shop(),
            received={name: c.received_count for name, c in checked.items()},
            kept={name: c.received_count - _set_aside(c) for name, c in checked.items()},
            stored=stored,
            breaches={(name, *key): n for name, c in checked.items() for key, n in c.breaches.items()},
            orders=merged.orders,
            notes=(*delivery.notes, *_replaced(delivery, merged, mode=mode), *_retold(merged)),
        )


def now(shop: Shop) -> datetime:
    """Return when something reaches the shop now; at a recorded shop, just before the instant its clock stands at."""
    return datetime.now(UTC) if shop.clock == "wall" else shop.observed_until - timedelta(microseconds=1)


def _replaced(delivery: Delivery, merged: Merged, *, mode: Mode) -> Iterator[str]:
    count = merged.orders["corrected"] + (merged.orders["ended"] if mode == "append" else 0)
    if delivery.ids_made_of is not None and count:
        yield (
            f"what was known of {counted(count, 'order')} gave way to what is delivered of the same "
            f"{delivery.ids_made_of}: without order ids nothing else tells orders apart, so deliver whole days, or "
            "name columns.order_id"
        )


def _retold(merged: Merged) -> Iterator[str]:
    if count := merged.retold_products:
        yield (
            f"{counted(count, 'product')} {'is' if count == 1 else 'are'} told otherwise than before: orders that are "
            "received from now on have it, those that were known keep what was known of them"
        )


def _check_all(delivery: Delivery, connection: Backend) -> dict[str, Checked]:
    checked: dict[str, Checked] = {}
    for name, contract in FACTS.items():
        table = delivery.tables[name]
        if missing := [column for column in contract.columns if column not in table.columns]:
            raise MissingColumns(f"table {name!r} of {delivery.shop.source}", missing, known=list(table.columns))
        also = {column: kind for column, kind in contract.also.items() if column in table.columns}
        rows = table.cast({**contract.columns, **also})
        checked[name] = check(contract, rows, {n: c.rows for n, c in checked.items()}, connection)
    return checked


def _set_aside(checked: Checked, *, but: tuple[str, ...] = ()) -> int:
    return sum(n for (rule, kind), n in checked.breaches.items() if kind == "quarantine" and rule not in but)


def _refuse_bad(delivery: Delivery, checked: Mapping[str, Checked], *, limit: float) -> None:
    for name, table in checked.items():
        bad = _set_aside(table, but=delivery.tolerated)
        if bad > limit * table.received_count:
            raise DeliveryRefused(
                f"{bad:,} of {table.received_count:,} rows of {name} cannot be used "
                f"({bad / table.received_count:.1%}, at most {limit:.1%} may)",
                advice=f"the first: {table.first_breach(but=delivery.tolerated)}",
            )


def _first(checked: Mapping[str, Checked]) -> str:
    said = [f"the first of {name} set aside: {told}" for name, c in checked.items() if (told := c.first_breach())]
    return "; ".join(said) or "the source delivered none"


def _same_shop(former: Shop, told: Shop) -> Shop:
    for name in SAME_SHOP:
        old, new = getattr(former, name), getattr(told, name)
        if old != new:
            advice = "give another shop a folder of its own with REGULARS_HOME, or mend what the source says"
            raise DeliveryRefused(
                f"the lake holds a shop whose {name} is {old!r}, and here it is {new!r}", advice=advice
            )
    return replace(
        told,
        observed_from=min(former.observed_from, told.observed_from),
        observed_until=max(former.observed_until, told.observed_until),
    )


def _commit(
    lake: Lake, connection: Backend, merged: Merged, checked: Mapping[str, Checked], shop: Shop, *, keep_aside: bool
) -> Mapping[str, Stored]:
    tables = {name: table.cast(dict(LAKE_COLUMNS[name])) for name, table in merged.tables.items()}
    aside = _numbered(ibis.union(*[c.quarantined.select(list(QUARANTINE.columns)) for c in checked.values()]))
    touched = merged.touched.mutate(commit=ibis.literal(lake.commit_count() + 1, "int32")).cast(TOUCHED_SCHEMA)
    touched = touched.select(list(TOUCHED_SCHEMA))
    if keep_aside:
        aside = ibis.union(_numbered(lake.table(connection, QUARANTINE.name)), aside, distinct=True)
    if not lake.is_empty:
        touched = ibis.union(lake.table(connection, TOUCHED), touched)
    tables[QUARANTINE.name] = aside.select(list(QUARANTINE.columns)).order_by(list(QUARANTINE.columns))
    tables[TOUCHED] = touched.order_by(list(TOUCHED_SCHEMA))
    standing = {name: lake.stored(name) for name in FACTS if name not in tables}
    written = {**standing, **lake.write_facts(tables)}
    stored = {name: connection.read_parquet(lake.folder / written[name].file) for name in FACTS}
    observed_days = (shop.observed_until - shop.observed_from).days
    lake.commit_facts(written, replace(shop, has=carries(stored, observed_days=observed_days)))
    return written


def _numbered(aside: Table) -> Table:
    """Give rows that are the same a number, so that a union keeps as many of them as there are on either side."""
    return aside.mutate(nth=ibis.row_number().over(group_by=list(QUARANTINE.columns)))
