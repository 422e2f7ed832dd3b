"""From a source to validated tables: one file a source, one way in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from facts.contracts import FACTS, QUARANTINE, Checked, check
from facts.errors import GateFailed, MissingColumns, UnknownName
from facts.ingest import complete_journey
from facts.ingest.delivery import Delivery
from facts.lake import Lake, Shop, Stored

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

SOURCES: Mapping[str, Callable[[], Delivery]] = {complete_journey.NAME: complete_journey.read}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What came in: the shop, and of every table how many rows were received, kept, set aside and flagged."""

    shop: Shop
    received: Mapping[str, int]
    stored: Mapping[str, Stored]
    breaches: Mapping[tuple[str, str, str], int]  # (table, rule, quarantine | flag) -> rows
    notes: tuple[str, ...]


def read_source(name: str) -> Delivery:
    """Read a source by its name; raise UnknownName where there is none."""
    if name not in SOURCES:
        raise UnknownName("source", name, known=list(SOURCES))
    return SOURCES[name]()


def ingest(delivery: Delivery, lake: Lake) -> Ingested:
    """Check what a source delivered and commit it, all tables or none.

    Raises
    ------
    MissingColumns
        A table lacks a column of its contract.
    GateFailed
        No order is left.
    """
    with lake.connect() as connection:
        checked = _check_all(delivery, connection)
        if not int(checked["orders"].rows.count().execute()):
            raise GateFailed("valid orders", needed="at least 1", found="0", advice="see the counts by rule above")
        quarantine = ibis.union(*[c.quarantined for c in checked.values()]).order_by(list(QUARANTINE.columns))
        tables = {name: c.rows for name, c in checked.items()} | {QUARANTINE.name: quarantine}
        stored = lake.commit_facts(tables, delivery.shop)
    return Ingested(
        shop=delivery.shop,
        received={name: c.received_count for name, c in checked.items()},
        stored=stored,
        breaches={(name, *key): n for name, c in checked.items() for key, n in c.breaches.items()},
        notes=delivery.notes,
    )


def _check_all(delivery: Delivery, connection: Backend) -> dict[str, Checked]:
    checked: dict[str, Checked] = {}
    for name, contract in FACTS.items():
        table = delivery.tables[name]
        if missing := [column for column in contract.columns if column not in table.columns]:
            raise MissingColumns(f"table {name!r} of {delivery.shop.source}", missing, known=list(table.columns))
        rows: Table = connection.create_table(f"raw_{name}", table.cast(contract.schema), temp=True)
        checked[name] = check(contract, rows, {n: c.rows for n, c in checked.items()}, connection)
    return checked
