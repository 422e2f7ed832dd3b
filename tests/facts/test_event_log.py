"""What every event log keeps: one suite over SQLite and a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.event_log.in_redis import RedisLog
from facts.event_log.in_sqlite import SqliteLog
from facts.event_log.records import (
    ANOTHERS,
    TAKEN,
    Appended,
    Event,
    EventLog,
    HeldOrder,
    Message,
    Rejection,
    content_of,
    content_of_event,
    json_text,
)
from tests.builders import at
from tests.redis_server import RedisServer

NOON = at(40, 12)
MICROSECOND = timedelta(microseconds=1)
LONG_AGO, EVER = at(0), at(400)


def message(
    message_id: str,
    customer_id: str = "ann",
    *,
    event: str = "Product Viewed",
    occurred_at: datetime = NOON,
    index: int = 0,
    **properties: object,
) -> Message:
    text = json_text(properties)
    return Message(
        index=index,
        message_id=message_id,
        customer_id=customer_id,
        event=event,
        occurred_at=occurred_at,
        properties=text,
        content=content_of(customer_id, event, occurred_at, text),
    )


def event(message_id: str, customer_id: str = "ann", *, received_at: datetime = NOON, **properties: object) -> Event:
    return Event(
        message_id=message_id,
        customer_id=customer_id,
        event="Product Viewed",
        occurred_at=received_at,
        received_at=received_at,
        properties=properties,
    )


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


Opener = Callable[[], EventLog]


@pytest.fixture(params=["sqlite", "redis"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Return what opens an empty log."""
    if request.param == "sqlite":
        numbers = iter(range(10_000))
        return lambda: SqliteLog.open(tmp_path / f"{next(numbers)}" / "events.db")
    server: RedisServer = request.getfixturevalue("redis_server")

    def _open() -> RedisLog:
        server.client().flushall()
        return RedisLog.open(server.address)

    return _open


@pytest.fixture
def log(fresh: Opener) -> Iterator[EventLog]:
    opened = fresh()
    yield opened
    opened.close()


def ids_of(
    log: EventLog, customer_id: str = "ann", *, since: datetime = LONG_AGO, before: datetime = EVER
) -> list[str]:
    return [e.message_id for e in log.recent([customer_id], since=since, known_before=before)[customer_id]]


def waiting_ids(log: EventLog, limit: int = 100) -> list[str]:
    return [waiting.event.message_id for waiting in log.undrained(limit)]


class TestAppend:
    def test_what_comes_in_is_what_is_read(self, log: EventLog) -> None:
        told = message(
            "m1",
            "Zoë \U0001f600 '\"\\",
            occurred_at=NOON - 3 * MICROSECOND,
            price=1.1,
            many=10**30,
            of=[None, {"": "é"}],
        )
        assert log.append([told], received_at=NOON) == Appended(accepted=1, duplicates=0)
        assert log.recent([told.customer_id], since=LONG_AGO, known_before=EVER) == {
            told.customer_id: [
                Event(
                    message_id="m1",
                    customer_id=told.customer_id,
                    event="Product Viewed",
                    occurred_at=NOON - 3 * MICROSECOND,
                    received_at=NOON,
                    properties={"price": 1.1, "many": 10**30, "of": [None, {"": "é"}]},
                )
            ]
        }

    def test_the_same_message_again_is_a_duplicate(self, log: EventLog) -> None:
        told = message("m1", price=2)
        assert log.append([told, told], received_at=NOON) == Appended(accepted=1, duplicates=1)
        assert log.append([replace(told, index=5)], received_at=NOON + MICROSECOND).duplicates == 1
        assert ids_of(log) == ["m1"]
        assert log.recent(["ann"], since=LONG_AGO, known_before=EVER)["ann"][0].received_at == NOON

    @pytest.mark.parametrize(
        "other",
        [
            message("m1", "bob", index=3),
            message("m1", event="Product Added", index=3),
            message("m1", occurred_at=NOON - MICROSECOND, index=3),
            message("m1", price=3, index=3),
        ],
        ids=["customer", "name", "time", "properties"],
    )
    @pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two"])
    def test_another_message_of_a_known_id_is_rejected(
        self,
        log: EventLog,
        other: Message,
        together: bool,  # noqa: FBT001
    ) -> None:
        told = message("m1")
        if together:
            appended = log.append([told, other], received_at=NOON)
        else:
            log.append([told], received_at=NOON)
            appended = log.append([other], received_at=NOON)
        assert appended.rejected == (Rejection(index=3, message_id="m1", field="messageId", reason=TAKEN),)
        assert appended.accepted == int(together)
        assert ids_of(log) == ["m1"]
        assert ids_of(log, "bob") == []

    def test_one_that_is_rejected_does_not_hold_up_the_others(self, log: EventLog) -> None:
        log.append([message("m1")], received_at=NOON)
        batch = [message("m0"), message("m1", "bob", index=1), message("m2", index=2), message("m1", index=3)]
        appended = log.append(batch, received_at=NOON)
        assert (appended.accepted, appended.duplicates) == (2, 1)
        assert [rejection.index for rejection in appended.rejected] == [1]
        assert ids_of(log) == ["m0", "m1", "m2"]

    def test_nothing_is_nothing(self, log: EventLog) -> None:
        assert log.append([], received_at=NOON) == Appended(accepted=0, duplicates=0)
        assert log.recent([], since=LONG_AGO, known_before=EVER) == {}
        assert log.undrained(10) == []
        assert log.seed([]) == 0
        assert log.prune(EVER) == 0
        log.mark_drained("0")

    def test_a_thousand_at_once(self, log: EventLog) -> None:
        batch = [message(f"m{n:04d}", f"customer-{n % 7}", index=n) for n in range(1000)]
        assert log.append(batch, received_at=NOON).accepted == 1000
        found = log.recent([f"customer-{n}" for n in range(7)], since=LONG_AGO, known_before=EVER)
        assert sorted(e.message_id for events in found.values() for e in events) == [m.message_id for m in batch]


class TestRecent:
    def test_known_before_is_open_and_since_is_closed(self, log: EventLog) -> None:
        log.append([message("early", occurred_at=NOON)], received_at=NOON)
        log.append([message("late", occurred_at=NOON)], received_at=NOON + MICROSECOND)
        assert ids_of(log, before=NOON) == []
        assert ids_of(log, before=NOON + MICROSECOND) == ["early"]
        assert ids_of(log, before=NOON + 2 * MICROSECOND) == ["early", "late"]
        assert ids_of(log, since=NOON) == ["early", "late"]
        assert ids_of(log, since=NOON + MICROSECOND) == []

    def test_ordered_by_when_it_happened_then_by_id(self, log: EventLog) -> None:
        log.append([message("z"), message("b", occurred_at=NOON - MICROSECOND)], received_at=NOON)
        log.append([message("a"), message("Z"), message("é")], received_at=NOON + MICROSECOND)
        assert ids_of(log) == ["b", "Z", "a", "z", "é"]

    def test_each_customer_has_its_own(self, log: EventLog) -> None:
        log.append([message("a"), message("b", "bob"), message("c", "cat")], received_at=NOON)
        found = log.recent(["bob", "nobody", "ann", "\x00", "bob"], since=LONG_AGO, known_before=EVER)
        assert {who: [e.message_id for e in events] for who, events in found.items()} == {
            "bob": ["b"], "nobody": [], "ann": ["a"], "\x00": [],
        }  # fmt: skip


class TestDraining:
    def test_in_the_order_of_arrival_and_not_twice(self, log: EventLog) -> None:
        for n in range(5):
            log.append([message(f"m{4 - n}", occurred_at=NOON - n * MICROSECOND)], received_at=NOON)
        assert waiting_ids(log) == ["m4", "m3", "m2", "m1", "m0"]
        first = log.undrained(2)
        assert [waiting.event.message_id for waiting in first] == ["m4", "m3"]
        assert waiting_ids(log, 2) == ["m4", "m3"], "they wait until they are marked"
        log.mark_drained(first[-1].position)
        log.mark_drained(first[-1].position)
        assert waiting_ids(log) == ["m2", "m1", "m0"]
        assert len(ids_of(log)) == 5, "live features see them all the same"

    def test_more_than_one_step_takes(self, log: EventLog) -> None:
        for start in range(0, 12_000, 1000):
            log.append([message(f"m{start + n}") for n in range(1000)], received_at=NOON)
        waiting = log.undrained(11_500)
        log.mark_drained(waiting[-1].position)
        assert len(log.undrained(20_000)) == 500
        assert log.prune(EVER) == 11_500
        assert len(ids_of(log)) == 500

    def test_what_was_pruned_of_may_come_again_and_takes_a_later_position(self, log: EventLog) -> None:
        log.append([message("m1")], received_at=NOON)
        position = log.undrained(1)[0].position
        log.mark_drained(position)
        assert log.prune(EVER) == 1
        assert log.append([message("m1")], received_at=NOON).accepted == 1
        log.mark_drained(position)
        assert waiting_ids(log) == ["m1"]


class TestPrune:
    def test_only_what_is_drained_and_was_received_before(self, log: EventLog) -> None:
        log.append([message("old")], received_at=NOON)
        log.append([message("older")], received_at=NOON - MICROSECOND)
        assert log.prune(EVER) == 0, "they wait for the lake"
        log.mark_drained(log.undrained(2)[-1].position)
        log.append([message("waits")], received_at=NOON - MICROSECOND)
        assert log.prune(NOON) == 1
        assert ids_of(log) == ["old", "waits"]
        assert log.prune(NOON) == 0


class TestSeed:
    def test_seen_by_live_features_and_not_drained_again(self, log: EventLog) -> None:
        assert log.seed([event("s1", price=1.5), event("s2", "bob", received_at=NOON - MICROSECOND)]) == 2
        assert log.recent(["ann"], since=LONG_AGO, known_before=EVER) == {"ann": [event("s1", price=1.5)]}
        assert ids_of(log, "bob") == ["s2"]
        assert log.undrained(10) == []
        assert log.prune(NOON) == 1

    def test_again_changes_nothing(self, log: EventLog) -> None:
        log.append([message("m1")], received_at=NOON)
        assert log.seed([event("m1", received_at=NOON - MICROSECOND), event("s1")]) == 1
        assert log.seed(iter([event("s1"), event("s1", price=2)])) == 0
        assert waiting_ids(log) == ["m1"]
        assert ids_of(log) == ["m1", "s1"]
        assert log.recent(["ann"], since=LONG_AGO, known_before=EVER)["ann"][0].received_at == NOON

    def test_its_message_sent_again_is_a_duplicate_and_another_is_rejected(self, log: EventLog) -> None:
        log.seed([event("s1", price=1)])
        appended = log.append([message("s1", price=1), message("s1", price=2)], received_at=NOON)
        assert (appended.accepted, appended.duplicates, len(appended.rejected)) == (0, 1, 1)

    def test_more_than_one_step_takes(self, log: EventLog) -> None:
        assert log.seed(event(f"s{n}") for n in range(5_500)) == 5_500
        assert len(ids_of(log)) == 5_500


def about(message_id: str, customer_id: str, event: str = "Order Completed", **more: object) -> Message:
    return message(message_id, customer_id, event=event, **({"order_id": "o1"} | more))


def held_from(log: EventLog, customer_id: str = "ann") -> dict[str, datetime | None]:
    events = log.recent([customer_id], since=LONG_AGO, known_before=EVER)[customer_id]
    return {e.message_id: e.order_held_from for e in events}


class TestOrders:
    def test_an_event_says_since_when_the_lake_has_its_order(self, log: EventLog) -> None:
        log.append([about("m1", "ann"), about("m2", "ann", order_id=2), message("m3", order_id="o1")], received_at=NOON)
        log.append([about("m4", "ann", "Order Refunded", refund_id="r")], received_at=NOON)
        assert held_from(log) == dict.fromkeys(["m1", "m2", "m3", "m4"])
        log.hold(
            HeldOrder(order_id=order_id, customer_id="ann", held_from=since)
            for order_id, since in (("o1", NOON - MICROSECOND), ("2", NOON), ("o1/return/r", LONG_AGO))
        )
        assert held_from(log) == {"m1": NOON - MICROSECOND, "m2": NOON, "m3": None, "m4": LONG_AGO}

    def test_more_than_one_step_takes(self, log: EventLog) -> None:
        log.hold(HeldOrder(order_id=f"o{n}", customer_id="ann", held_from=NOON) for n in range(5_500))
        log.append([about("m1", "ann", order_id="o5499")], received_at=NOON)
        assert held_from(log) == {"m1": NOON}

    @pytest.mark.parametrize("event", ["Order Completed", "Order Refunded", "Order Cancelled"])
    @pytest.mark.parametrize("where", ["lake", "batch", "log"])
    def test_one_has_one_customer(self, log: EventLog, event: str, where: str) -> None:
        first, other = about("m1", "ann"), about("m2", "bob", event, index=1)
        if where == "lake":
            log.hold([HeldOrder(order_id="o1", customer_id="ann", held_from=NOON)])
        if where == "batch":
            appended = log.append([first, other], received_at=NOON)
        else:
            assert log.append([first], received_at=NOON).accepted == 1
            appended = log.append([other], received_at=NOON)
        assert appended.rejected == (Rejection(index=1, message_id="m2", field="properties.order_id", reason=ANOTHERS),)
        assert ids_of(log, "bob") == []
        assert log.append([about("m3", "ann", event)], received_at=NOON).accepted == 1

    def test_who_completes_it_has_it_and_its_refunds(self, log: EventLog) -> None:
        assert log.append([about("m1", "bob", "Order Refunded", total=1)], received_at=NOON).accepted == 1
        assert log.append([about("m2", "bob", "Order Cancelled")], received_at=NOON).accepted == 1
        story = [about("m3", "ann"), about("m4", "ann", "Order Refunded"), about("m5", "bob", "Order Refunded")]
        appended = log.append(story, received_at=NOON)
        assert (appended.accepted, [r.message_id for r in appended.rejected]) == (2, ["m5"])

    def test_the_lake_says_whose_it_is(self, log: EventLog) -> None:
        log.append([about("m1", "bob")], received_at=NOON)
        log.hold([HeldOrder(order_id="o1", customer_id="ann", held_from=NOON)])
        appended = log.append([about("m2", "bob"), about("m3", "ann")], received_at=NOON)
        assert (appended.accepted, [r.message_id for r in appended.rejected]) == (1, ["m2"])


@dataclass
class Plain:
    """An event log that anyone can check by reading it."""

    events: list[tuple[Event, str]] = field(default_factory=list)  # with the content of its message
    drained: set[str] = field(default_factory=set)

    def append(self, messages: list[Message], received_at: datetime) -> tuple[int, int, int]:
        counts = [0, 0, 0]
        for told in messages:
            known = next((content for e, content in self.events if e.message_id == told.message_id), None)
            counts[0 if known is None else 1 if known == told.content else 2] += 1
            if known is None:
                kept = Event(
                    message_id=told.message_id,
                    customer_id=told.customer_id,
                    event=told.event,
                    occurred_at=told.occurred_at,
                    received_at=received_at,
                    properties={},
                )
                self.events.append((kept, told.content))
        return tuple(counts)

    def seed(self, events: list[Event]) -> int:
        fresh = {e.message_id: e for e in reversed(events)}
        for known, _content in self.events:
            fresh.pop(known.message_id, None)
        self.events += [(e, content_of_event(e, json_text(e.properties))) for e in fresh.values()]
        self.drained |= set(fresh)
        return len(fresh)

    def drain(self, count: int) -> list[str]:
        first = [e.message_id for e, _content in self.events if e.message_id not in self.drained][:count]
        self.drained |= set(first)
        return first

    def prune(self, before: datetime) -> int:
        gone = [e.message_id for e, _c in self.events if e.message_id in self.drained and e.received_at < before]
        self.events = [(e, c) for e, c in self.events if e.message_id not in gone]
        self.drained -= set(gone)
        return len(gone)

    def recent(self, customer_id: str, since: datetime, before: datetime) -> list[Event]:
        found = [
            e for e, _c in self.events
            if e.customer_id == customer_id and e.received_at < before and e.occurred_at >= since
        ]  # fmt: skip
        return sorted(found, key=lambda e: (e.occurred_at, e.message_id))


_times = st.integers(0, 4).map(lambda n: NOON + n * MICROSECOND)
_ids, _who = st.sampled_from(["a", "b", "c", "d", "e"]), st.sampled_from(["ann", "bob"])
_messages = st.builds(message, _ids, _who, occurred_at=st.just(NOON))
_steps = st.one_of(
    st.tuples(st.just("append"), st.lists(_messages, max_size=4), _times),
    st.tuples(st.just("seed"), st.lists(st.builds(event, _ids, _who, received_at=_times), max_size=3), _times),
    st.tuples(st.just("drain"), st.integers(1, 3), _times),
    st.tuples(st.just("prune"), st.none(), _times),
)


def test_any_story_ends_as_in_the_plain_log(fresh: Opener) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(_steps, min_size=1, max_size=8))
    def law(steps: list[tuple[str, object, datetime]]) -> None:
        log, plain = fresh(), Plain()
        for step, what, when in steps:
            if step == "append":
                done = log.append(what, received_at=when)
                assert (done.accepted, done.duplicates, len(done.rejected)) == plain.append(what, when)
            elif step == "seed":
                assert log.seed(what) == plain.seed(what)
            elif step == "drain":
                waiting = log.undrained(what)
                assert [w.event.message_id for w in waiting] == plain.drain(what)
                if waiting:
                    log.mark_drained(waiting[-1].position)
            else:
                assert log.prune(when) == plain.prune(when)
            for customer_id in ("ann", "bob"):
                for since, before in ((NOON, NOON + 2 * MICROSECOND), (NOON + MICROSECOND, EVER)):
                    read = log.recent([customer_id], since=since, known_before=before)[customer_id]
                    assert read == plain.recent(customer_id, since, before)
        log.close()

    law()
