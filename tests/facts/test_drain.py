"""From the log into a real lake: nothing lost, nothing doubled, wherever a drain is stopped."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from facts.drain import Drained, drain
from facts.errors import NotYet
from facts.event_log.in_sqlite import SqliteLog
from facts.event_log.records import EventLog, Message, content_of, json_text
from facts.home import PROJECT
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import DAY, Order, at, delivery, rows_of

NOON = at(40, 12)
MINUTE = timedelta(minutes=1)
LATER = at(50)
TWO = {
    "products": [
        {"product_id": "milk", "price": 1.5, "quantity": 2},
        {"product_id": "new", "price": 7, "category": "tea"},
    ]
}
_numbers = iter(range(1_000_000))


def message(event: str, customer_id: str = "ann", *, minutes: int = 0, **properties: Any) -> Message:
    text, when = json_text(properties), NOON + minutes * MINUTE
    return Message(
        index=0,
        message_id=f"message-{next(_numbers)}",
        customer_id=customer_id,
        event=event,
        occurred_at=when,
        properties=text,
        content=content_of(customer_id, event, when, text),
    )


def completed(order_id: str = "e1", customer_id: str = "ann", *, minutes: int = 0, **more: Any) -> Message:
    return message("Order Completed", customer_id, minutes=minutes, order_id=order_id, **(TWO | more))


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Ann bought once, on day 3: order o0."""
    lake = Lake(tmp_path_factory.mktemp("stock") / "lake")
    rows = rows_of([Order(customer="ann", at=at(3))])
    rows["customers"][0]["traits"] = '{"city": "Ulm", "plan": "basic"}'
    ingest(delivery(rows), lake)
    return lake


@pytest.fixture
def lake(stock: Lake, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(stock.folder, tmp_path / "lake"))


@pytest.fixture(scope="module")
def told_at_once(stock: Lake, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Return what a lake holds after one drain of STORY that nobody stopped."""
    folder = tmp_path_factory.mktemp("once")
    lake, log = Lake(shutil.copytree(stock.folder, folder / "lake")), SqliteLog.open(folder / "events.db")
    take(log, *STORY)
    assert drain(log, lake, LATER).events == len(STORY)
    return content(lake)


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    return SqliteLog.open(tmp_path / "events.db")


def take(log: EventLog, *messages: Message) -> None:
    for told in messages:
        log.append([told], received_at=told.occurred_at + MINUTE / 60)


def table(lake: Lake, name: str) -> list[dict[str, Any]]:
    with lake.connect() as connection:
        return lake.table(connection, name).to_pyarrow().to_pylist()


def versions(lake: Lake, order_id: str) -> list[tuple[object, ...]]:
    rows = sorted((row for row in table(lake, "orders") if row["order_id"] == order_id), key=lambda row: row["version"])
    return [(row["version"], row["kind"], row["received_at"], row["superseded_at"]) for row in rows]


def net_amounts(lake: Lake, order_id: str, version: int = 0) -> list[float]:
    rows = [row for row in table(lake, "order_lines") if (row["order_id"], row["version"]) == (order_id, version)]
    return [float(row["net_amount"]) for row in sorted(rows, key=lambda row: row["line_number"])]


class TestEvents:
    def test_every_event_is_a_row(self, log: SqliteLog, lake: Lake) -> None:
        seen = message("Product Viewed", "zoe", product_id="milk", price=1.5)
        take(log, seen)
        assert drain(log, lake, LATER) == Drained(events=1, new_orders=0, corrected_orders=0)
        assert table(lake, "events") == [
            {
                "message_id": seen.message_id,
                "customer_id": "zoe",
                "event": "Product Viewed",
                "occurred_at": NOON,
                "received_at": NOON + MINUTE / 60,
                "properties": '{"price":1.5,"product_id":"milk"}',
            }
        ]
        assert [row["customer_id"] for row in table(lake, "customers")] == ["ann", "zoe"]
        assert log.undrained(10) == []
        assert drain(log, lake, LATER) == Drained(events=0, new_orders=0, corrected_orders=0)

    def test_traits_over_those_that_are_known(self, log: SqliteLog, lake: Lake) -> None:
        take(
            log,
            message("Identify", minutes=2, plan="gold"),
            message("Identify", minutes=1, plan="silver", age=3),
            message("Identify", "zoe", name="Zoë"),
            message("Product Viewed", product_id="milk"),
        )
        drain(log, lake, LATER)
        assert {row["customer_id"]: json.loads(row["traits"]) for row in table(lake, "customers")} == {
            "ann": {"city": "Ulm", "plan": "gold", "age": 3},
            "zoe": {"name": "Zoë"},
        }
        assert sum(row["event"] == "Identify" for row in table(lake, "events")) == 3

    def test_more_than_a_batch(self, log: SqliteLog, lake: Lake) -> None:
        take(log, *[message("Product Viewed", n=n) for n in range(7)])
        assert drain(log, lake, LATER, batch_events=3).events == 7
        assert len(table(lake, "events")) == 7

    def test_no_lake_yet(self, log: SqliteLog, tmp_path: Path) -> None:
        take(log, completed())
        with pytest.raises(NotYet, match="there is no lake yet"):
            drain(log, Lake(tmp_path / "none"), LATER)
        assert len(log.undrained(10)) == 1


class TestOrders:
    def test_a_completed_order_is_known_from_when_the_log_received_it(self, log: SqliteLog, lake: Lake) -> None:
        take(log, completed(discount=1))
        assert drain(log, lake, LATER) == Drained(events=1, new_orders=1, corrected_orders=0)
        assert versions(lake, "e1") == [(0, "sale", NOON + MINUTE / 60, None)]
        assert net_amounts(lake, "e1") == [2.7, 6.3]
        assert {row["product_id"]: row["category"] for row in table(lake, "products")} == {
            "milk": "dairy", "cheese": "dairy", "bread": "bakery", "soap": "care", "misc": None, "new": "tea",
        }  # fmt: skip

    def test_a_whole_story_in_one_drain_keeps_every_version(self, log: SqliteLog, lake: Lake) -> None:
        take(
            log,
            completed(),
            message("Order Refunded", minutes=1, order_id="e1", total=2),
            message("Order Refunded", minutes=2, order_id="e1", total=3),
            message("Order Cancelled", minutes=3, order_id="e1"),
        )
        assert drain(log, lake, LATER) == Drained(events=4, new_orders=2, corrected_orders=3)
        times = [NOON + n * MINUTE + MINUTE / 60 for n in range(4)]
        assert versions(lake, "e1") == [(0, "sale", times[0], times[3]), (1, "cancelled", times[3], None)]
        assert versions(lake, "e1/return") == [
            (0, "return", times[1], times[2]), (1, "return", times[2], times[3]), (2, "cancelled", times[3], None),
        ]  # fmt: skip
        assert [net_amounts(lake, "e1/return", n) for n in range(3)] == [[-2], [-3], [3]]

    def test_orders_that_came_by_file_are_refunded_and_cancelled(self, log: SqliteLog, lake: Lake) -> None:
        take(log, message("Order Refunded", order_id="o0"))
        drain(log, lake, LATER)
        assert net_amounts(lake, "o0/return") == [-1]
        take(log, message("Order Cancelled", minutes=1, order_id="o0"))
        drain(log, lake, LATER)
        assert [(n, kind) for n, kind, *_ in versions(lake, "o0")] == [(0, "sale"), (1, "cancelled")]
        assert [(n, kind) for n, kind, *_ in versions(lake, "o0/return")] == [(0, "return"), (1, "cancelled")]

    def test_a_refund_before_its_order_waits_in_the_lake(self, log: SqliteLog, lake: Lake) -> None:
        take(log, message("Order Refunded", order_id=17))
        assert drain(log, lake, LATER).new_orders == 0
        take(log, completed("17", minutes=5))
        assert drain(log, lake, LATER).new_orders == 2
        assert net_amounts(lake, "17/return") == [-3, -7]
        assert versions(lake, "17/return")[0][2] == NOON + 5 * MINUTE + MINUTE / 60

    def test_a_cancellation_before_its_order(self, log: SqliteLog, lake: Lake) -> None:
        take(log, message("Order Cancelled", order_id="e1"), message("Order Viewed", order_id='"'))
        drain(log, lake, LATER)
        take(log, completed(minutes=5))
        drain(log, lake, LATER)
        assert [kind for _n, kind, *_ in versions(lake, "e1")] == ["cancelled"]

    def test_the_same_order_told_twice_changes_nothing(self, log: SqliteLog, lake: Lake) -> None:
        take(log, completed(), completed())
        assert drain(log, lake, LATER) == Drained(events=2, new_orders=1, corrected_orders=0)
        assert len(versions(lake, "e1")) == 1

    def test_one_told_otherwise_is_corrected(self, log: SqliteLog, lake: Lake) -> None:
        take(log, completed(), completed(minutes=1, discount=10))
        assert drain(log, lake, LATER).corrected_orders == 1
        assert [net_amounts(lake, "e1", n) for n in range(2)] == [[3, 7], [0, 0]]

    @pytest.mark.parametrize("event", ["Order Completed", "Order Refunded", "Order Cancelled"])
    @pytest.mark.parametrize("order_id", ["o0", "e1"], ids=["by file", "by event"])
    def test_an_event_never_changes_another_customers_order(
        self, log: SqliteLog, lake: Lake, event: str, order_id: str
    ) -> None:
        take(log, completed("e1"), message("Order Refunded", minutes=1, order_id="e1", total=2))
        drain(log, lake, LATER)
        before = {name: rows for name, rows in content(lake).items() if name in {"orders", "order_lines"}}
        taken = SqliteLog.open(log.path.with_name("other.db"))  # one that knows nothing of the lake's orders yet
        take(taken, message(event, "zoe", minutes=5, order_id=order_id, total=5))
        assert drain(taken, lake, LATER) == Drained(events=1, new_orders=0, corrected_orders=0, set_aside=1)
        assert {name: rows for name, rows in content(lake).items() if name in before} == before
        assert [row["customer_id"] for row in table(lake, "events")].count("zoe") == 1, "it is kept as an event"
        (aside,) = table(lake, "quarantine")
        assert (aside["table_name"], aside["rule"]) == ("orders", "an order has one customer")
        assert f"{event} of zoe about order {order_id}" in aside["row"]

    def test_what_others_said_of_an_order_before_it_came_is_not_said_of_it(self, log: SqliteLog, lake: Lake) -> None:
        take(log, message("Order Cancelled", "zoe", order_id="e1"), message("Order Refunded", "zoe", order_id="e1"))
        take(log, completed("e1", minutes=5))
        assert drain(log, lake, LATER).new_orders == 1
        assert [kind for _n, kind, *_ in versions(lake, "e1")] == ["sale"]

    def test_events_of_the_lake_that_are_no_json_hold_up_nothing(self, log: SqliteLog, lake: Lake) -> None:
        rows = rows_of()
        rows["customers"] = [{"customer_id": "ann", "traits": "no json"}]
        said = {"customer_id": "ann", "event": "Order Cancelled", "occurred_at": at(4), "received_at": at(4)}
        rows["events"] = [
            said | {"message_id": f"f{n}", "properties": p} for n, p in enumerate(["no json", "[1]", "3"])
        ]
        ingest(delivery(rows), lake, at=at(5))
        take(log, completed(), message("Identify", plan="gold"))
        drain(log, lake, LATER)
        assert [kind for _n, kind, *_ in versions(lake, "e1")] == ["sale"]
        assert table(lake, "customers")[0]["traits"] == '{"plan":"gold"}'


@dataclass
class Stops(Exception):  # noqa: N818
    """What a power cut looks like from inside."""


@dataclass
class StoppedBeforeMark:
    """A log that dies before it notes what was drained."""

    log: EventLog

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self.log, name)

    def mark_drained(self, _position: str) -> None:
        raise Stops


# Drains two events at a time until it is killed or has drained all.
DRAINER = """
import sys
from datetime import datetime
from pathlib import Path
from facts.drain import drain
from facts.event_log.in_sqlite import SqliteLog
from facts.lake import Lake
print("ready", flush=True)
drain(SqliteLog.open(Path(sys.argv[1])), Lake(Path(sys.argv[2])), datetime.fromisoformat(sys.argv[3]), batch_events=2)
"""

STORY = (
    message("Product Viewed", "zoe", product_id="milk"),
    message("Identify", plan="gold"),
    completed("e1", minutes=1),
    message("Order Refunded", minutes=2, order_id="e1"),
    completed("e1", minutes=3, discount=2),
    completed("e2", "zoe", minutes=4),
    message("Order Refunded", "zoe", minutes=5, order_id="e2", total=1),
    message("Order Cancelled", "zoe", minutes=6, order_id="e2"),
    message("Identify", minutes=7, plan="none"),
    message("Order Refunded", minutes=8, order_id="o0", refund_id="r"),
)


def content(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    def text(row: dict[str, Any]) -> str:
        return json.dumps(row, default=str, sort_keys=True)

    return {
        name: sorted(table(lake, name), key=text)
        for name in ("customers", "products", "orders", "order_lines", "events")
    }


class TestStopped:
    def test_between_the_lake_and_the_mark(self, log: SqliteLog, lake: Lake) -> None:
        take(log, *STORY)
        with pytest.raises(Stops):
            drain(StoppedBeforeMark(log), lake, LATER)
        before = content(lake)
        assert len(before["events"]) == len(STORY)
        assert len(log.undrained(100)) == len(STORY)
        assert drain(log, lake, LATER + DAY) == Drained(events=0, new_orders=0, corrected_orders=0)
        assert content(lake) == before
        assert log.undrained(100) == []

    @pytest.mark.parametrize(("batch_events", "stopped"), [(3, 4), (2, 7)])
    def test_however_it_is_cut_the_lake_is_the_same(
        self, log: SqliteLog, lake: Lake, told_at_once: dict[str, Any], batch_events: int, stopped: int
    ) -> None:
        take(log, *STORY[:stopped])
        with pytest.raises(Stops):
            drain(StoppedBeforeMark(log), lake, LATER, batch_events=batch_events)
        take(log, *STORY[stopped:])
        drain(log, lake, LATER, batch_events=batch_events)
        assert content(lake) == told_at_once

    def test_killed_again_and_again(self, log: SqliteLog, lake: Lake, told_at_once: dict[str, Any]) -> None:
        take(log, *STORY)
        command = [sys.executable, "-c", DRAINER, str(log.path), str(lake.folder), LATER.isoformat()]
        for seconds in (0.3, 1.2):
            drainer = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
            assert drainer.stdout.readline() == "ready\n"
            time.sleep(seconds)
            drainer.send_signal(signal.SIGKILL)
            drainer.communicate()
        drain(log, lake, LATER)
        assert content(lake) == told_at_once
