"""What deliveries add up to, as laws: nothing twice, nothing forgotten, what was known stays known of its instant."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import pyarrow as pa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from facts.ingest import ingest
from facts.lake import Lake
from facts.merge import Mode, Moment, begin, merge
from tests.builders import PRODUCTS, Event, Product, at, tables_of
from tests.facts.deliveries import Told, bytes_in, rows_told, told
from tests.facts.remembered import MICROSECOND, Memory

NAMES = [f"o{number}" for number in range(9)]
RESTYLED = (*PRODUCTS[1:], replace(PRODUCTS[0], category="drinks"), Product(id="unlisted", category="new"))
LAW = settings(deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # to shrink would take minutes
UNSAID = st.none()
SAID = st.sampled_from([None, timedelta(0), timedelta(hours=6), timedelta(days=12), timedelta(days=60)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A delivery, when it reaches the lake, and up to when its source had looked."""

    orders: tuple[Told, ...]
    events: dict[str, Event] = field(default_factory=dict)
    products: tuple[Product, ...] = PRODUCTS
    mode: Mode = "append"
    at: datetime
    until: datetime


@dataclass(slots=True)
class Merging:
    """Deliveries merged one after the other, without a lake between them."""

    until: datetime | None = None
    tables: dict[str, pa.Table] = field(default_factory=dict)
    touched: dict[str, datetime] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, sent: Sent) -> None:
        engine = ibis.duckdb.connect()
        engine.raw_sql("SET TimeZone = 'UTC'")
        now = tables_of(rows_told(sent.orders, sent.events, sent.products))
        if self.until is None:
            merged = begin(now)
        else:
            known = {name: ibis.memtable(table) for name, table in self.tables.items()}
            moment = Moment(at=sent.at, former_until=self.until)
            merged = merge(known, now, moment, mode=sent.mode, connection=engine)
        changed = {name: engine.to_pyarrow(table) for name, table in merged.tables.items()}
        assert all(changed[name] != self.tables.get(name) for name in changed if name != "order_lines")
        self.tables = self.tables | changed
        rows = engine.to_pyarrow(merged.touched).to_pylist()
        engine.disconnect()
        self.touched, self.counts = {row["customer_id"]: row["known_from"] for row in rows}, dict(merged.orders)
        assert len(self.touched) == len(rows)
        self.until = max(sent.until, self.until or sent.until)

    def rows(self, name: str) -> list[dict[str, Any]]:
        return self.tables[name].to_pylist()

    def versions(self) -> set[tuple[object, ...]]:
        names = ("order_id", "version", "received_at", "superseded_at")
        return {tuple(row[name] for name in names) for row in self.rows("orders")}

    def current(self) -> dict[str, Told]:
        """Return the orders that stand, as they were told, but for when they were received."""
        lines: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for row in self.rows("order_lines"):
            lines.setdefault((row["order_id"], row["version"]), []).append(row)
        return {
            row["order_id"]: _as_told(row, lines.get((row["order_id"], row["version"]), []))
            for row in self.rows("orders")
            if row["superseded_at"] is None
        }

    def products(self) -> set[tuple[object, ...]]:
        names = ("product_id", "version", "category", "received_at")
        return {tuple(row[name] for name in names) for row in self.rows("products")}

    def of_lines(self) -> dict[tuple[str, int], int | None]:
        """Return the version of the product that an order's lines carry, by the order and its version."""
        told = {(r["order_id"], r["version"], r["product_version"]) for r in self.rows("order_lines")}
        assert len({each[:2] for each in told}) == len(told)
        return {(order_id, version): product_version for order_id, version, product_version in told}

    def known(self, instant: datetime) -> set[tuple[object, ...]]:
        """Return what was known at an instant, as far as it could be told then: orders, their lines, and products."""
        orders = [
            {name: value for name, value in row.items() if name != "superseded_at"}
            for row in self.rows("orders")
            if row["received_at"] < instant and (row["superseded_at"] is None or instant <= row["superseded_at"])
        ]
        versions = {(row["order_id"], row["version"]) for row in orders}
        lines = [row for row in self.rows("order_lines") if (row["order_id"], row["version"]) in versions]
        products = [row for row in self.rows("products") if row["received_at"] < instant]
        return {tuple(row.values()) for row in (*orders, *lines, *products)}


def _as_told(head: dict[str, Any], lines: list[dict[str, Any]]) -> Told:
    assert [line["line_number"] for line in lines] == list(range(1, len(lines) + 1))
    return Told(
        id=head["order_id"],
        customer=head["customer_id"],
        at=head["ordered_at"],
        kind=head["kind"],
        nets=tuple(sorted(f"{line['net_amount']:.2f}" for line in lines)),
        product=lines[0]["product_id"] if lines else None,
    )


# Few names, days and amounts, so that deliveries meet: the same order unchanged, changed, gone, back, and back again.
@st.composite
def _order(draw: st.DrawFn, days: range, delays: st.SearchStrategy[timedelta | None]) -> Told:
    happened_at, delay = at(draw(st.sampled_from(days)), draw(st.sampled_from([0, 12]))), draw(delays)
    kind = draw(st.sampled_from(["sale", "sale", "return", "cancelled"]))
    amounts = ["-1.00", "-2.00"] if kind == "return" else ["1.00", "2.00"]
    return Told(
        id=draw(st.sampled_from(NAMES)),
        customer=draw(st.sampled_from(["ann", "bob", "cem"])),
        at=happened_at,
        received_at=None if delay is None else happened_at + delay,
        kind=kind,
        nets=tuple(draw(st.lists(st.sampled_from(amounts), max_size=2))),
        product=draw(st.sampled_from(["milk", "soap", "unlisted", None])),
    )


def _orders(days: range, delays: st.SearchStrategy[timedelta | None]) -> st.SearchStrategy[tuple[Told, ...]]:
    return st.lists(_order(days, delays), min_size=1, max_size=8, unique_by=lambda order: order.id).map(tuple)


@st.composite
def _sent(draw: st.DrawFn, number: int, *, delays: st.SearchStrategy[timedelta | None]) -> Sent:
    until = at(10 * (number + 1))
    event = st.builds(
        Event,
        customer=st.sampled_from(["ann", "dee"]),
        at=st.sampled_from([at(1), until - MICROSECOND]),
        received_at=st.sampled_from([None, until]),
    )
    return Sent(
        orders=draw(_orders(range(10 * (number + 1)), delays)),
        events=draw(st.dictionaries(st.sampled_from(["m0", "m1", "m2"]), event)),
        products=draw(st.sampled_from([PRODUCTS, PRODUCTS, RESTYLED])),
        mode=draw(st.sampled_from(["append", "replace"])),
        at=draw(st.sampled_from([until - MICROSECOND, until, until + timedelta(hours=1)])),
        until=until,
    )


def _stories(delays: st.SearchStrategy[timedelta | None], *, length: int = 4) -> st.SearchStrategy[tuple[Sent, ...]]:
    return st.tuples(*[_sent(number, delays=delays) for number in range(length)])


@settings(LAW, max_examples=8)
@given(story=_stories(SAID))
def test_what_is_merged_is_what_a_careful_reader_would_remember(story: tuple[Sent, ...]):
    lake, memory = Merging(), Memory()
    for sent in story:
        lake.take(sent)
        memory.take(
            sent.orders, sent.events, sent.products, at=sent.at, until=sent.until, is_whole=sent.mode == "replace"
        )
        assert lake.versions() == memory.versions()
        assert lake.current() == memory.current()
        received = {row["message_id"]: row["received_at"] for row in lake.rows("events")}
        assert received == {message_id: received_at for message_id, (_event, received_at) in memory.events.items()}
        assert lake.touched == memory.touched
        assert sum(lake.counts[kind] for kind in ("new", "corrected", "unchanged")) == len(sent.orders)
        assert lake.products() == memory.products_told()
        assert lake.of_lines() == memory.of_lines()


@settings(LAW, max_examples=6)
@given(story=_stories(UNSAID))
def test_what_was_known_at_an_instant_stays_known_of_it(story: tuple[Sent, ...]):
    lake = Merging()
    lake.take(story[0])
    for former, sent in itertools.pairwise(story):
        before = replace(lake)
        lake.take(sent)
        latest = min(sent.at, former.until)
        times = {time for state in (before, lake) for _n, _v, *both in state.versions() for time in both if time}
        for instant in {latest} | {time for near in times for time in (near, near + MICROSECOND) if time <= latest}:
            assert lake.known(instant) == before.known(instant)


@settings(LAW, max_examples=6)
@given(
    orders=_orders(range(9), UNSAID),
    places=st.lists(st.sampled_from([(0,), (1,), (2,), (0, 2), (0, 1, 2)]), min_size=8, max_size=8),
    turn=st.permutations(range(3)),
)
def test_deliveries_that_agree_come_in_any_order_and_lose_no_order(
    orders: tuple[Told, ...], places: list[tuple[int, ...]], turn: list[int]
):
    ends = []
    for numbers in (range(3), turn):
        lake = Merging()
        for day, number in enumerate(numbers, 11):
            before = lake.current() if lake.tables else {}
            some = tuple(order for order, where in zip(orders, places, strict=False) if number in where)
            lake.take(Sent(orders=some, at=at(day), until=at(10)))
            assert before.items() <= lake.current().items()
        ends.append(lake.current())
    assert ends[0] == ends[1] == {order.id: order.content for order in orders}


@settings(LAW, max_examples=4)
@given(story=_stories(SAID, length=2), again_in=st.integers(1, 90), delay=st.integers(0, 90))
def test_the_last_delivery_again_changes_no_byte(story: tuple[Sent, ...], again_in: int, delay: int):
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        for sent in story:
            ingest(told(sent.orders, sent.events, sent.products, until=sent.until), lake, mode=sent.mode, at=sent.at)
        before, commits, last = bytes_in(lake), lake.commit_count(), story[-1]
        orders = [replace(order, received_at=order.at + timedelta(days=delay)) for order in last.orders[::-1]]
        again = told(orders, last.events, last.products[::-1], until=last.until)
        done = ingest(again, lake, mode=last.mode, at=last.at + timedelta(days=again_in))
        assert done.orders == {"new": 0, "corrected": 0, "unchanged": len(orders), "ended": 0}
        assert (bytes_in(lake), lake.commit_count()) == (before, commits)
