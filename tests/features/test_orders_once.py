"""An order that comes by file and by event, in any order, counts once: in the snapshot, or live until there is one.

Files reach a real lake and events a real log as time passes; every night the log is drained and told what the lake
has. What is answered then is held against the same question, asked of the lake when all is over.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts.drain import drain
from facts.event_log import Event
from facts.event_log.in_sqlite import SqliteLog
from facts.event_log.records import Message, content_of, json_text
from facts.ingest import ingest
from facts.lake import Lake
from features.lake_events import EventsAt, held_orders
from features.live import LIVE_EVENTS, LIVE_NAMES, REACH, SNAPSHOT_COLUMNS, SnapshotRow, live_features
from tests.builders import Line, Order, at, delivery, rows_of

UTC_ZONE = ZoneInfo("UTC")
NIGHTS = (at(41), at(42))
END = at(44)
IDS = ("o-1", "o-2", "o-3")
COMPLETED, REFUNDED, CANCELLED = "Order Completed", "Order Refunded", "Order Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One order as a file or an event tells of it, and when that arrives."""

    at: datetime
    order_id: str
    how: str = COMPLETED  # an event's name, or "file"
    total: int = 33
    earlier: timedelta = timedelta(0)  # how long before it happened


_told = st.builds(
    Told,
    at=st.integers(0, 72).map(lambda hours: at(40, hours)) | st.sampled_from(NIGHTS),
    order_id=st.sampled_from(IDS),
    how=st.sampled_from(["file", "file", COMPLETED, COMPLETED, COMPLETED, REFUNDED, CANCELLED]),
    total=st.integers(1, 50),
    earlier=st.sampled_from([timedelta(0), timedelta(hours=2), timedelta(days=3)]),
)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("stock") / "lake")
    ingest(delivery(rows_of([Order(at=at(3), id="first")])), lake)
    return lake


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("once")


def message(told: Told, number: int) -> Message:
    properties = json_text({"order_id": told.order_id, "total": told.total})
    when = told.at - told.earlier
    return Message(
        index=0,
        message_id=f"m{number}",
        customer_id="ann",
        event=told.how,
        occurred_at=when,
        properties=properties,
        content=content_of("ann", told.how, when, properties),
    )


def bring(told: Told, number: int, log: SqliteLog, lake: Lake) -> None:
    if told.how != "file":
        log.append([message(told, number)], received_at=told.at)
        return
    line = Line(net=str(told.total))
    order = Order(id=told.order_id, at=told.at - told.earlier, received_at=told.at, lines=(line,))
    ingest(delivery(rows_of([order])), lake, at=told.at)


def answer(events: Iterable[Event], night: datetime, when: datetime) -> dict[str, float]:
    row = SnapshotRow(night, dict.fromkeys(SNAPSHOT_COLUMNS, 7.0))
    vector = live_features(row, events, at=when, zone=UTC_ZONE).vector
    return dict(zip(LIVE_NAMES, vector, strict=True))


def counted_by_hand(story: Iterable[Told], night: datetime, when: datetime) -> int:
    """Return how many orders events told of that nobody had told of before the night, but for the cancelled ones."""
    known = [told for told in story if told.at < when]
    cancelled = {told.order_id for told in known if told.how == CANCELLED}
    held = {told.order_id for told in known if told.how in {"file", COMPLETED} and told.at < night}
    return len({told.order_id for told in known if told.how == COMPLETED} - cancelled - held)


def live_through(
    story: list[Told], questions: list[datetime], log: SqliteLog, lake: Lake
) -> dict[tuple[datetime, datetime], dict[str, float]]:
    """Let a story happen; return what was answered by (night, question)."""
    answers, night = {}, NIGHTS[0]
    steps = [(told.at, 1, told) for told in story] + [(instant, 0, None) for instant in NIGHTS]
    steps += [(instant, 2, None) for instant in questions if instant > NIGHTS[0]]
    for number, (when, kind, told) in enumerate(sorted(steps, key=lambda step: step[:2])):
        if kind == 0:
            drain(log, lake, when)
            log.hold(held_orders(lake))
            night = when
        elif told is not None:
            bring(told, number, log, lake)
        else:
            events = log.recent(["ann"], since=when - REACH, known_before=when)["ann"]
            answers[night, when] = answer(events, night, when)
    return answers


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    story=st.lists(_told, min_size=1, max_size=6),
    questions=st.lists(
        st.integers(25, 80).map(lambda hours: at(40, hours) + timedelta(minutes=30)),
        min_size=1,
        max_size=3,
        unique=True,
    ),
)
def test_once_and_the_same_later(stock: Lake, place: Path, story: list[Told], questions: list[datetime]) -> None:
    folder = place / uuid4().hex
    lake, log = Lake(shutil.copytree(stock.folder, folder / "lake")), SqliteLog.open(folder / "events.db")
    answers = live_through(story, questions, log, lake)
    for (night, when), told in answers.items():
        assert told["order_count_since_snapshot"] == counted_by_hand(story, night, when), f"{night} {when}"
    drain(log, lake, END)
    log.prune(END)
    log.close()
    for (night, when), told in answers.items():
        with lake.connect() as connection:
            known = lake.table(connection, "events")
            told_at = EventsAt(lake, known, cutoff=night, at=when, lasting=(), loud=LIVE_EVENTS)
            events = told_at.of(["ann"]).loud.get(0, [])
        assert answer(events, night, when) == pytest.approx(told, nan_ok=True, rel=0, abs=0), f"{night} {when}"
    shutil.rmtree(folder)


@pytest.mark.parametrize("is_held", [True, False], ids=["in the snapshot", "after the snapshot"])
def test_the_event_of_an_order_that_came_by_file(stock: Lake, tmp_path: Path, *, is_held: bool) -> None:
    lake, log = Lake(shutil.copytree(stock.folder, tmp_path / "lake")), SqliteLog.open(tmp_path / "events.db")
    by_file = NIGHTS[0] + timedelta(hours=-1 if is_held else 1)
    story = [Told(how="file", order_id="o-1", at=by_file), Told(order_id="o-1", at=NIGHTS[0] + timedelta(hours=9))]
    asked = NIGHTS[0] + timedelta(hours=10)
    told = live_through(story, [asked], log, lake)[NIGHTS[0], asked]
    assert told["order_count_since_snapshot"] == (0 if is_held else 1)
    assert told["spend_amount_since_snapshot"] == (0 if is_held else 33)
