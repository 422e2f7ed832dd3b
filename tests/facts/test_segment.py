"""Segment's batches: what is taken, and for each thing that is not, the field and the sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from facts.ecommerce import EVENTS
from facts.event_log.records import Message, Rejection
from facts.segment import Batch, read_batch

NOW = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
COMPLETED: dict[str, Any] = {
    "order_id": "o-1",
    "revenue": 25.0,
    "currency": "EUR",
    "products": [{"product_id": "p-1", "price": 19, "quantity": 1}, {"product_id": "p-2", "price": 3, "quantity": 2}],
}

TYPES = "known: identify, page, screen, track"


def track(event: str = "Sneezed", properties: object = None, **more: object) -> dict[str, Any]:
    told = {"type": "track", "messageId": "m-1", "userId": "ann", "event": event, "properties": properties}
    return {name: value for name, value in (told | more).items() if value is not None}


def read(*sent: object) -> Batch:
    return read_batch(sent, received_at=NOW, currency="EUR")


def taken(told: object) -> Message:
    batch = read(told)
    assert batch.rejected == ()
    return batch.messages[0]


def rejected(told: object) -> tuple[str | None, str]:
    batch = read(told)
    assert batch.messages == ()
    return batch.rejected[0].field, batch.rejected[0].reason


class TestTaken:
    def test_a_track_message(self) -> None:
        sent = track(
            "Sneezed", {"b": 1.5, "a": ["é", None]}, timestamp="2024-05-01T11:30:00.500+02:00", context={"ip": "1"}
        )
        assert taken(sent) == Message(
            index=0,
            message_id="m-1",
            customer_id="ann",
            event="Sneezed",
            occurred_at=datetime(2024, 5, 1, 9, 30, 0, 500_000, tzinfo=UTC),
            properties='{"a":["é",null],"b":1.5}',
            content=taken(sent).content,
        )

    def test_identify_is_an_event_with_its_traits(self) -> None:
        sent = {"type": "identify", "messageId": "m-1", "userId": "ann", "traits": {"plan": "gold"}}
        told = taken(sent)
        assert (told.event, told.properties) == ("Identify", '{"plan":"gold"}')

    @pytest.mark.parametrize(("kind", "event"), [("page", "Page"), ("screen", "Screen")])
    def test_pages_and_screens_are_events_of_that_name(self, kind: str, event: str) -> None:
        sent = {"type": kind, "messageId": "m-1", "userId": "ann", "name": "Home", "category": "Shop"}
        told = taken(sent | {"properties": {"name": "Own", "url": "/"}})
        assert (told.event, told.properties) == (event, '{"category":"Shop","name":"Own","url":"/"}')
        assert taken(sent).properties == '{"category":"Shop","name":"Home"}'

    def test_properties_may_be_left_out(self) -> None:
        assert taken(track()).properties == "{}"
        assert taken({"type": "identify", "messageId": "m-1", "userId": "ann", "traits": None}).properties == "{}"

    def test_an_unknown_name_is_kept_with_whatever_it_says(self) -> None:
        odd = {"price": "cheap", "currency": "XXX", "products": 3, "order_id": None}
        assert json.loads(taken(track("order completed", odd)).properties) == odd

    def test_what_is_not_ours_is_not_looked_at(self) -> None:
        sent = track(context={"x": "\0"}, sentAt=7, anonymousId=[], receivedAt="never", integrations=None)
        assert taken(sent).content == taken(track()).content

    @pytest.mark.parametrize("event", sorted(EVENTS))
    def test_every_named_event_takes_a_full_example(self, event: str) -> None:
        told = COMPLETED | {"product_id": "p-1", "query": "milk", "category": "dairy", "extra": [1], "coupon": None}
        assert json.loads(taken(track(event, told)).properties) == told

    def test_numbers_as_ids_become_texts_of_a_named_event(self) -> None:
        told = COMPLETED | {"order_id": 17, "products": [{"product_id": 4, "price": 1, "position": 2}]}
        kept = json.loads(taken(track("Order Completed", told)).properties)
        assert kept["order_id"] == "17"
        assert kept["products"] == [{"product_id": "4", "price": 1, "position": 2}]
        assert told["order_id"] == 17, "what was sent is not touched"


class TestTime:
    def test_one_that_says_no_time_happened_when_it_was_received(self) -> None:
        assert taken(track()).occurred_at == NOW

    @pytest.mark.parametrize("ahead", [MICROSECOND, timedelta(minutes=5)])
    def test_a_clock_that_is_a_little_ahead(self, ahead: timedelta) -> None:
        assert taken(track(timestamp=(NOW + ahead).isoformat())).occurred_at == NOW

    def test_the_future(self) -> None:
        text = (NOW + timedelta(minutes=5) + MICROSECOND).isoformat()
        reason = f"it is {text!r}, more than 5 minutes after the shop's now, 2024-05-01T12:00:00.250000+00:00"
        assert rejected(track(timestamp=text)) == ("timestamp", reason)

    def test_older_than_the_log_keeps(self) -> None:
        oldest = NOW - timedelta(days=30)
        assert taken(track(timestamp=oldest.isoformat())).occurred_at == oldest
        text = (oldest - MICROSECOND).isoformat()
        reason = "more than 30 days ago, longer than the log keeps; bring it in as a file with `regulars ingest`"
        assert rejected(track(timestamp=text)) == ("timestamp", f"it is {text!r}, {reason}")

    @pytest.mark.parametrize(
        "bad",
        ["2024-05-01T12:00:00", "2024-05-01", "yesterday", "", 1714564800, True, [], "0001-01-01T00:00:00+10:00", "\0"],
    )
    def test_no_instant(self, bad: object) -> None:
        told = "true" if bad is True else repr(bad)
        reason = f"it is {told}, not an instant with an offset such as 2024-05-01T09:30:00.000Z"
        assert rejected(track(timestamp=bad)) == ("timestamp", reason)


class TestRejected:
    @pytest.mark.parametrize(
        ("told", "field", "reason"),
        [
            (7, None, "it is 7, not an object"),
            (None, None, "it is null, not an object"),
            ([track()], None, "it is [{'type': 'track', 'messageId': 'm-1', 'userId': 'ann', 'eve..., not an object"),
            ({}, "type", "it is required"),
            (track(type=3), "type", "it is 3, not a text"),
            (track(type="alias"), "type", "messages of type 'alias' are not kept; send track, identify, page, screen"),
            (track(type="group"), "type", "messages of type 'group' are not kept; send track, identify, page, screen"),
            (track(type="Track"), "type", f"no type named 'Track'; did you mean 'track'? {TYPES}"),
            (track(type="zz"), "type", f"no type named 'zz'; {TYPES}"),
            (track(userId=""), "userId", "it is empty"),
            (track(userId=" "), "userId", "it is blank"),
            (track(userId=5), "userId", "it is 5, not a text"),
            (track(userId="x" * 129), "userId", "it has more than 128 characters"),
            (track(userId="a\0"), "userId", "it has a NUL character"),
            (track(messageId="\0"), "messageId", "it has a NUL character"),
            (track(messageId={}), "messageId", "it is {}, not a text"),
            (track("x" * 129), "event", "it has more than 128 characters"),
            (track("a\0b"), "event", "it has a NUL character"),
            (track("Identify"), "event", "'Identify' is the name of messages of type 'identify'; send that type"),
            (track(properties=[]), "properties", "it is [], not an object"),
            (track(properties="x"), "properties", "it is 'x', not an object"),
            (track(properties={"a": [1, {"b": "x\0"}]}), "properties.a.1.b", "it has a NUL character"),
            (track(properties={"a": {"\0": 1}}), "properties.a", "a name in it: it has a NUL character"),
            (track(properties={"a": [0.5, float("nan")]}), "properties.a.1", "it is nan, not a finite number"),
            (track(properties={"a": float("-inf")}), "properties.a", "it is -inf, not a finite number"),
        ],
        ids=lambda value: None if isinstance(value, dict | list) else str(value)[:30],
    )  # fmt: skip
    def test_the_field_and_the_reason(self, told: object, field: str | None, reason: str) -> None:
        assert rejected(told) == (field, reason)

    @pytest.mark.parametrize("field", ["type", "messageId", "event"])
    def test_what_is_required(self, field: str) -> None:
        told = track()
        del told[field]
        assert rejected(told) == (field, "it is required")

    def test_nobody(self) -> None:
        told = track() | {"userId": None, "anonymousId": "x"}
        reason = "it is required; what an anonymous visitor does belongs to no customer"
        assert rejected(told) == ("userId", reason)

    @pytest.mark.parametrize(("kind", "field"), [("track", "properties"), ("identify", "traits")])
    def test_a_property_of_a_megabyte(self, kind: str, field: str) -> None:
        told = {"type": kind, "messageId": "m-1", "userId": "ann", "event": "E", field: {"photo": "x" * 1_000_000}}
        reason = "it is 1,000,012 bytes, one message may have 32,768; send the id of what is large"
        assert rejected(told) == (field, reason)

    def test_the_largest_properties(self) -> None:
        assert taken(track(properties={"a": "é" * 16_380}))
        assert rejected(track(properties={"a": "é" * 16_381}))[0] == "properties"

    def test_a_text_that_only_looks_like_a_nul(self) -> None:
        assert taken(track(properties={"a": "\\u0000"}))

    def test_each_stands_for_itself(self) -> None:
        batch = read(track(), 3, track(messageId="m-2"), track(messageId="m-3", userId=9), track(messageId=4, userId=9))
        assert [told.index for told in batch.messages] == [0, 2]
        assert [(r.index, r.message_id) for r in batch.rejected] == [(1, None), (3, "m-3"), (4, None)]


class TestNamed:
    @pytest.mark.parametrize(
        ("event", "properties", "field", "reason"),
        [
            ("Product Viewed", {}, "product_id", "it is required"),
            ("Product Viewed", {"product_id": ""}, "product_id", "it is empty"),
            ("Product Viewed", {"product_id": 1.5}, "product_id", "it is 1.5, not a text"),
            ("Product Viewed", {"product_id": True}, "product_id", "it is true, not a text"),
            ("Product Viewed", {"product_id": "x" * 129}, "product_id", "it has more than 128 characters"),
            ("Product Viewed", {"product_id": "p", "category": 3}, "category", "it is 3, not a text"),
            ("Product Viewed", {"product_id": "p", "price": "19.99"}, "price", "it is '19.99', not a number"),
            ("Product Viewed", {"product_id": "p", "price": False}, "price", "it is false, not a number"),
            ("Product Viewed", {"product_id": "p", "price": -1}, "price", "it is -1; send amounts as positive numbers"),
            ("Product Viewed", {"product_id": "p", "price": float("inf")}, "price", "it is inf, not a finite number"),
            ("Product Viewed", {"product_id": "p", "price": 10**400}, "price",
             "it is larger than an amount can be (1e+12)"),
            ("Product Viewed", {"product_id": "p", "price": 1e12}, "price",
             "it is larger than an amount can be (1e+12)"),
            ("Product Added", {"product_id": "p", "quantity": 0}, "quantity", "it is 0, not a whole number from 1 on"),
            ("Product Added", {"product_id": "p", "quantity": 1.5}, "quantity",
             "it is 1.5, not a whole number from 1 on"),
            ("Product Added", {"product_id": "p", "currency": "USD"}, "currency",
             "it is 'USD', the shop's is 'EUR'; send amounts in that"),
            ("Products Searched", {}, "query", "it is required"),
            ("Order Completed", {"revenue": 1}, "order_id", "it is required"),
            ("Order Completed", {"order_id": "o", "revenue": "1"}, "revenue", "it is '1', not a number"),
            ("Order Completed", {"order_id": "o", "products": {}}, "products", "it is {}, not a list of products"),
            ("Order Completed", {"order_id": "o", "products": ["p"]}, "products.0", "it is 'p', not an object"),
            ("Order Completed", {"order_id": "o", "products": [{"price": 1}]}, "products.0.product_id",
             "it is required"),
            ("Order Completed", {"order_id": "o", "products": [{"product_id": "p"}]}, "products.0.price",
             "it is required"),
            ("Order Completed", COMPLETED | {"currency": "USD"}, "currency",
             "it is 'USD', the shop's is 'EUR'; send amounts in that"),
            ("Order Completed", COMPLETED | {"coupon": 5}, "coupon", "it is 5, not a text"),
            ("Order Refunded", {"total": 3}, "order_id", "it is required"),
            ("Order Refunded", {"order_id": "o", "total": -3}, "total", "it is -3; send amounts as positive numbers"),
            ("Order Refunded", {"order_id": "o", "products": [{}]}, "products.0.product_id", "it is required"),
            ("Order Cancelled", {}, "order_id", "it is required"),
        ],
        ids=lambda value: str(value)[:40],
    )  # fmt: skip
    def test_the_field_and_the_reason(self, event: str, properties: object, field: str, reason: str) -> None:
        assert rejected(track(event, properties)) == (f"properties.{field}", reason)

    @pytest.mark.parametrize("properties", [{"order_id": "o"}, {"order_id": "o", "products": [], "total": None}])
    def test_an_order_says_what_it_was_worth(self, properties: dict[str, Any]) -> None:
        reason = "one of products, revenue, total is required in Order Completed"
        assert rejected(track("Order Completed", properties)) == ("properties", reason)

    @pytest.mark.parametrize("name", ["revenue", "total"])
    def test_one_amount_is_enough(self, name: str) -> None:
        assert taken(track("Order Completed", {"order_id": "o", name: 0}))

    def test_a_refund_may_say_the_order_alone(self) -> None:
        assert taken(track("Order Refunded", {"order_id": "o"}))


class TestContent:
    def test_the_same_message_sent_again_says_the_same(self) -> None:
        one = track(properties={"a": 1, "b": 2}, context={"library": 1}, sentAt="2024-05-01T12:00:00Z")
        again = track(properties={"b": 2, "a": 1}, sentAt="2024-05-01T12:00:09Z")
        assert taken(one).content == taken(again).content

    def test_one_without_a_time_says_the_same_later(self) -> None:
        later = read_batch([track()], received_at=NOW + SECOND, currency="EUR").messages[0]
        assert later.content == taken(track()).content
        assert later.occurred_at != taken(track()).occurred_at

    def test_one_whose_clock_was_ahead_says_the_same_later(self) -> None:
        ahead = track(timestamp=(NOW + SECOND).isoformat())
        later = read_batch([ahead], received_at=NOW + 2 * SECOND, currency="EUR").messages[0]
        assert later.content == taken(ahead).content

    @pytest.mark.parametrize(
        "other",
        [
            track(userId="bob"),
            track("Laughed"),
            track(properties={"a": 1}),
            track(timestamp=NOW.isoformat()),
            track(type="page"),
        ],
        ids=["customer", "name", "properties", "time", "type"],
    )
    def test_another_message_says_something_else(self, other: dict[str, Any]) -> None:
        assert taken(other).content != taken(track()).content


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_properties = st.dictionaries(
    st.sampled_from(["product_id", "order_id", "price", "quantity", "products", "revenue", "currency", "query", "x"]),
    _anything | st.lists(st.dictionaries(st.sampled_from(["product_id", "price", "quantity"]), _anything, max_size=3)),
)
_near = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "page", "screen", "group"]) | _anything,
        "messageId": st.text(max_size=4) | _anything,
        "userId": st.text(max_size=4) | _anything,
        "event": st.sampled_from(sorted(EVENTS)) | _anything,
        "properties": _properties | _anything,
        "traits": _anything,
        "timestamp": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.text() | _anything,
        "name": _anything,
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_near | _anything, max_size=5))
@example([track(properties={"a": [[[[{"b": float("nan")}]]]]})])
@example([track("Product Viewed", {"product_id": 10**4000, "price": -(10**4000)})])
def test_every_message_is_taken_or_rejected_with_a_reason(sent: list[Any]) -> None:
    batch = read(*sent)
    assert sorted([told.index for told in batch.messages] + [r.index for r in batch.rejected]) == list(range(len(sent)))
    for told in batch.messages:
        assert told.occurred_at <= NOW
        assert "\0" not in told.message_id + told.customer_id + told.event
        kept = from_json(told.properties)
        assert isinstance(kept, dict)
        assert "\0" not in json.dumps(kept, ensure_ascii=False)
    for rejection in batch.rejected:
        assert isinstance(rejection, Rejection)
        assert rejection.reason
        assert len(rejection.reason) < 300


def test_a_deep_message_is_taken() -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    assert taken(track(properties={"a": deep}))
