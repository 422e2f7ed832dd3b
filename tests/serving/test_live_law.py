"""A training row built later is what the endpoint answered then, events of the last minutes and late ones included.

Messages reach a real event log in the order of their receipt; between them the online features are asked as the
endpoint asks them. Later the log is drained into the lake, and the same instants are asked again offline.
"""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import corner_shop as shop
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts.drain import drain
from facts.event_log import EventLog, open_event_log
from facts.home import Home
from facts.lake import Lake
from facts.segment import read_batch
from features.build import build_snapshots
from features.frame import features_as_of
from features.live import LIVE_NAMES
from features.snapshots import read_snapshots
from features.store import apply_definitions
from scoring.batch import known_rows
from serving.online import OnlineFeatures

WHO = (shop.REGULAR_IDS[0], shop.REGULAR_IDS[20], shop.LAPSED_IDS[0], "stranger")
CUTOFF = shop.UNTIL
LATER = CUTOFF + timedelta(days=5)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

_EVENTS: dict[str, dict[str, Any]] = {
    "Product Viewed": {"product_id": "product-1", "category": "kind-1", "price": 3.5},
    "Product Added": {"product_id": "product-2", "price": 9.99, "quantity": 2},
    "Product Removed": {"product_id": "product-2", "price": 9.99, "quantity": 1},
    "Products Searched": {"query": "milk"},
    "Order Viewed": {"order_id": "order-0001"},
    "Delivery Options Viewed": {},
    "Support Contacted": {"channel": "mail"},
    "Order Completed": {"order_id": "live-1", "revenue": 19.9},
    "Order Refunded": {"order_id": "live-1", "total": 19.9},
    "Order Cancelled": {"order_id": "live-1"},
    "Campaign Received": {"campaign_id": "c1"},
    "Something Else": {"a": 1},
}
_TIMES = st.one_of(
    st.integers(-2 * 24 * 60, 3 * 24 * 60).map(lambda minutes: CUTOFF + minutes * MINUTE),
    st.sampled_from([CUTOFF, CUTOFF + HOUR, CUTOFF + HOUR - timedelta(microseconds=1), CUTOFF + 30 * MINUTE]),
)
_DELAYS = st.sampled_from([timedelta(0), timedelta(microseconds=1), MINUTE, 3 * HOUR, 26 * HOUR])


@st.composite
def _messages(draw: st.DrawFn) -> tuple[datetime, dict[str, Any]]:
    """Draw when a message is received, after the snapshot, and what it says."""
    name, occurred_at = draw(st.sampled_from(list(_EVENTS))), draw(_TIMES)
    order = {"order_id": f"live-{draw(st.integers(1, 3))}"}
    properties = _EVENTS[name] | (order if "order_id" in _EVENTS[name] else {})
    told = {
        "type": "track",
        "messageId": f"m{draw(st.integers(0, 40))}",
        "userId": draw(st.sampled_from(WHO)),
        "event": name,
        "properties": properties,
        "timestamp": occurred_at.isoformat(),
    }
    return max(occurred_at + draw(_DELAYS), CUTOFF), told


_INSTANTS = st.one_of(
    st.integers(1, 4 * 24 * 60).map(lambda minutes: CUTOFF + minutes * MINUTE),
    st.sampled_from([CUTOFF + HOUR, CUTOFF + 30 * MINUTE, CUTOFF + 27 * HOUR]),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


def _copy(stock: Home, place: Path) -> Home:
    return Home(shutil.copytree(stock.folder, place / uuid4().hex))


def _answer_as_they_come(
    online: OnlineFeatures, log: EventLog, sent: list[tuple[datetime, dict[str, Any]]], instants: list[datetime]
) -> dict[datetime, np.ndarray]:
    waiting, answers = sorted(sent, key=lambda pair: pair[0]), {}
    for at in instants:
        while waiting and waiting[0][0] < at:
            received_at, told = waiting.pop(0)
            read = read_batch([told], received_at=received_at, currency="EUR")
            log.append(read.messages, received_at=received_at)
        answers[at] = online.read(WHO, at=at).matrix
    for received_at, told in waiting:  # what comes after the last question changes no answer
        log.append(read_batch([told], received_at=received_at, currency="EUR").messages, received_at=received_at)
    return answers


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(_messages(), max_size=40), instants=st.lists(_INSTANTS, min_size=1, max_size=4, unique=True))
def test_a_training_row_is_what_the_endpoint_answered(
    stock: Home, place: Path, sent: list[tuple[datetime, dict[str, Any]]], instants: list[datetime]
) -> None:
    home = _copy(stock, place)
    log = open_event_log(home)
    answers = _answer_as_they_come(OnlineFeatures.open(home, log), log, sent, sorted(instants))
    names = OnlineFeatures.open(home, log).inputs.names
    lake = Lake(home.lake)
    drain(log, lake, LATER)
    log.close()
    for at, answered in answers.items():
        rows = known_rows(lake, as_of=at)
        columns = [rows.features.index(name) for name in names]
        for customer, online in zip(WHO, answered, strict=True):
            if customer in rows.customer_ids:
                offline = rows.matrix[rows.customer_ids.index(customer), columns]
                np.testing.assert_array_equal(online, offline, err_msg=f"{customer} at {at}")
    shutil.rmtree(home.folder)


def test_so_it_is_through_feast_and_the_next_snapshot_holds_the_orders_once(stock: Home, place: Path) -> None:
    home = _copy(stock, place)
    log, lake = open_event_log(home), Lake(home.lake)
    who, at = WHO[1], CUTOFF + 20 * HOUR
    order = {
        "order_id": "live-1",
        "revenue": 50.0,
        "products": [{"product_id": "product-1", "price": 25, "quantity": 2}],
    }
    sent = [
        (CUTOFF + 1 * HOUR, _told("a", who, "Product Viewed", CUTOFF + HOUR - 5 * MINUTE, _EVENTS["Product Viewed"])),
        (CUTOFF + 9 * HOUR, _told("b", who, "Order Completed", CUTOFF + 2 * HOUR, order)),  # seven hours late
        (CUTOFF + 21 * HOUR, _told("c", who, "Products Searched", CUTOFF + 19 * HOUR, {"query": "soap"})),
    ]
    online = OnlineFeatures.open(home, log)
    before, after = CUTOFF + 9 * HOUR, at
    answers = _answer_as_they_come(online, log, sent, [before, after])
    names = online.inputs.names
    told = {instant: dict(zip(names, answers[instant][1].tolist(), strict=True)) for instant in answers}
    assert told[before]["order_count_since_snapshot"] == 0  # it was not received before that instant
    assert told[after]["order_count_since_snapshot"] == 1
    assert told[after]["spend_amount_since_snapshot"] == 50
    assert told[after]["order_recency_live_days"] == np.float32(18 / 24)
    drain(log, lake, LATER)
    store = apply_definitions(home)
    entities = pd.DataFrame({"customer_id": [who, who], "cutoff": [before, after]})
    offline = features_as_of(store, lake, entities).set_index("cutoff")
    for instant, answered in told.items():
        row = offline.loc[instant, list(names)].to_numpy(dtype=np.float32)
        np.testing.assert_array_equal(row, np.array(list(answered.values()), dtype=np.float32))
    night = CUTOFF + timedelta(days=1)
    build_snapshots(lake, [night])
    build_snapshots(lake, [night])
    with lake.connect() as connection:
        found = read_snapshots(lake, connection, [CUTOFF, night]).filter(lambda t: t.customer_id == who).execute()
    counts = found.set_index("cutoff")["order_count_7d"]
    spent = found.set_index("cutoff")["spend_amount_7d"]
    bought = _orders_in_week(who)
    assert counts[pd.Timestamp(night)] == bought(night) + 1
    assert counts[pd.Timestamp(CUTOFF)] == bought(CUTOFF)
    assert spent[pd.Timestamp(night)] == pytest.approx(_spent_in_week(who, night) + 50)
    assert set(LIVE_NAMES) >= set(names) - set(online.inputs.kept)


def test_an_order_that_the_snapshot_has_by_file_is_not_new_when_its_event_comes(stock: Home, place: Path) -> None:
    home = _copy(stock, place)
    log = open_event_log(home)
    held = shop.orders()[0]
    order = {"order_id": held.order_id, "revenue": held.amount}
    fresh = {"order_id": "live-1", "revenue": 50.0}
    sent = [
        (CUTOFF + 1 * HOUR, _told("a", held.customer_id, "Order Completed", CUTOFF, order)),
        (CUTOFF + 2 * HOUR, _told("b", held.customer_id, "Order Completed", CUTOFF, fresh)),
    ]
    online = OnlineFeatures.open(home, log)
    answers = _answer_as_they_come(online, log, sent, [CUTOFF + HOUR + MINUTE, CUTOFF + 3 * HOUR])
    column = online.inputs.names.index("order_count_since_snapshot")
    assert [answer[WHO.index(held.customer_id), column] for answer in answers.values()] == [0, 1]


def _told(message_id: str, who: str, event: str, at: datetime, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": message_id,
        "userId": who,
        "event": event,
        "properties": properties,
        "timestamp": at.isoformat(),
    }


def _orders_in_week(who: str):
    def count(cutoff: datetime) -> int:
        week = cutoff - timedelta(days=7)
        return sum(o.customer_id == who and week <= o.at < cutoff for o in shop.orders())

    return count


def _spent_in_week(who: str, cutoff: datetime) -> int:
    week = cutoff - timedelta(days=7)
    return sum(o.amount for o in shop.orders() if o.customer_id == who and week <= o.at < cutoff)
