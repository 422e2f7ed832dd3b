"""Live features: tables that a person can check, and what holds whatever the customer did."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facts.carries import BROWSING_EVENTS, MARKS
from facts.errors import MissingColumns
from facts.event_log.records import Event as LoggedEvent
from facts.event_orders import Known as LakesOrders
from facts.event_orders import orders_of
from features.catalog import NAMES
from features.live import (
    LIVE,
    LIVE_NAMES,
    REACH,
    SNAPSHOT_COLUMNS,
    LaterSnapshot,
    LiveEvent,
    SnapshotRow,
    live_features,
    live_frame,
)

NOON = datetime(2024, 6, 3, 12, tzinfo=UTC)  # a Monday
MIDNIGHT = NOON - timedelta(hours=12)
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TICK = timedelta(microseconds=1)
HELD = dict.fromkeys(SNAPSHOT_COLUMNS, float("nan")) | {
    "order_recency_days": 9.5,
    "customer_tenure_days": 99.5,
    "visit_gap_mean_90d": 4.0,
    "visit_gap_mean_365d": 5.0,
    "visit_gap_max_365d": 20.0,
}
ROW = SnapshotRow(MIDNIGHT, HELD)
OTHERS = ("Support Contacted", "Campaign Received", "Coupon Applied", "Order Refunded")
EXAMPLES = settings(deadline=None, max_examples=100)


def event(ago, name, *, received_ago=None, message_id=None, **properties):
    """Return an event that happened so long before noon; it is received at once where it is not said."""
    received_at = NOON - (ago if received_ago is None else received_ago)
    return LiveEvent(message_id or f"{name} {ago}", name, NOON - ago, received_at, properties)


def ordered(ago, order_id="1", *, received_ago=None, message_id=None, **properties):
    told = {"order_id": order_id, **properties}
    return event(ago, "Order Completed", received_ago=received_ago, message_id=message_id, **told)


def answer(*events, row=ROW, at=NOON, zone=BERLIN):
    answered = live_features(row, events, at=at, zone=zone)
    return dict(zip(LIVE_NAMES, answered.vector, strict=True))


def bits(answered):
    return np.array(answered.vector, dtype=np.float32).tobytes(), answered.matches


def live(row, events, *, at=NOON):
    return bits(live_features(row, events, at=at, zone=BERLIN))


def says_nothing(*events):
    return live(ROW, events) == live(ROW, [])


@pytest.mark.parametrize("record", LIVE, ids=LIVE_NAMES)
class TestEveryFeature:
    def test_is_well_formed(self, record):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+(_\d+[mdh])?(_days)?", record.name)
        assert record.theme == "live"
        assert record.description[0].isupper()
        assert not record.description.endswith(".")
        assert set(record.needs) <= set(MARKS)

    def test_is_told_apart_from_the_snapshots(self, record):
        assert record.name not in NAMES
        assert LIVE_NAMES.count(record.name) == 1

    def test_is_named_by_its_window(self, record):
        if record.window not in {None, REACH}:
            label = record.name.rsplit("_", 1)[-1]
            unit = {"m": MINUTE, "d": DAY}[label[-1]]
            assert int(label[:-1]) * unit == record.window
            assert record.window <= REACH

    def test_reads_what_a_snapshot_has(self, record):
        assert set(record.measure.snapshot) <= set(NAMES)
        assert set(record.measure.snapshot) <= set(SNAPSHOT_COLUMNS)

    def test_is_used(self, record):
        """Some event or row moves it: it is no constant."""
        busy = [
            event(9 * MINUTE + i * MINUTE, name, category="tea", product_id="7", price=2.0, revenue=3.0)
            for i, name in enumerate(reversed([*BROWSING_EVENTS, *OTHERS]))
        ]
        intent = [
            *(event((8 - i) * MINUTE, "Product Viewed", category="tea") for i in range(3)),
            event(5 * MINUTE, "Order Viewed"),
            event(4 * MINUTE, "Delivery Options Viewed"),
            event(3 * MINUTE, "Product Added", price=1.5),
        ]
        before = live_features(None, [], at=NOON, zone=BERLIN, features=[record])
        after = [
            live_features(ROW, events, at=at, zone=BERLIN, features=[record])
            for events in ([*busy, *intent], [ordered(11 * HOUR, revenue=4.0)])
            for at in (NOON, NOON + DAY + HOUR)
        ]
        assert any(bits(one)[0] != bits(before)[0] for one in after)


class TestOrders:
    def test_recency_goes_on_from_the_snapshot(self):
        assert answer()["order_recency_live_days"] == 10.0
        assert answer(at=NOON + 6 * HOUR)["order_recency_live_days"] == 10.25
        assert answer()["customer_tenure_live_days"] == 100.0

    def test_a_live_order_is_the_last_one(self):
        found = answer(ordered(6 * HOUR, revenue=12.5))
        assert found["order_recency_live_days"] == 0.25
        assert found["order_due_ratio_live_365d"] == np.float32(0.05)
        assert found["order_overdue_ratio_live_365d"] == np.float32(0.0125)
        assert found["tenure_recency_ratio_live"] == np.float32(0.0025)
        assert (found["order_count_since_snapshot"], found["spend_amount_since_snapshot"]) == (1, 12.5)

    def test_an_older_order_received_late_is_not(self):
        found = answer(ordered(20 * DAY, received_ago=HOUR, revenue=12.5))
        assert found["order_recency_live_days"] == 10.0
        assert found["order_count_since_snapshot"] == 1

    def test_a_first_order_makes_the_customer_older(self):
        young = SnapshotRow(MIDNIGHT, HELD | {"customer_tenure_days": 9.5})
        assert answer(ordered(20 * DAY, received_ago=HOUR), row=young)["customer_tenure_live_days"] == 20.0

    @pytest.mark.parametrize(("received_at", "count"), [(MIDNIGHT, 1), (MIDNIGHT - TICK, 0)])
    def test_those_received_before_the_cutoff_are_in_the_snapshot(self, received_at, count):
        found = answer(ordered(13 * HOUR, received_ago=NOON - received_at, revenue=12.5))
        assert found["order_count_since_snapshot"] == count
        assert found["spend_amount_since_snapshot"] == 12.5 * count

    def test_of_the_copies_of_a_message_the_first_received_counts(self):
        copies = [ordered(13 * HOUR, message_id="m", received_ago=ago, revenue=1.0) for ago in (13 * HOUR, HOUR)]
        assert answer(*copies)["order_count_since_snapshot"] == 0
        assert answer(*reversed(copies))["order_count_since_snapshot"] == 0

    def test_the_last_is_the_last_to_happen_not_to_arrive(self):
        orders = [ordered(2 * DAY, "1", received_ago=HOUR), ordered(6 * HOUR, "2")]
        assert answer(*orders)["order_recency_live_days"] == 0.25
        assert answer(*orders, row=None)["customer_tenure_live_days"] == 2.0

    def test_told_twice_is_one_order_as_told_last(self):
        first = ordered(6 * HOUR, message_id="b", revenue=10.0)
        again = ordered(6 * HOUR, message_id="a", revenue=8.0, received_ago=HOUR)
        found = answer(again, first)
        assert (found["order_count_since_snapshot"], found["spend_amount_since_snapshot"]) == (1, 8.0)

    def test_told_again_is_still_in_the_snapshot(self):
        first = ordered(13 * HOUR, message_id="a", revenue=10.0)
        again = ordered(13 * HOUR, message_id="b", revenue=8.0, received_ago=HOUR)
        assert answer(first, again)["order_count_since_snapshot"] == 0

    @pytest.mark.parametrize(
        ("refund", "net"),
        [
            ({"order_id": "1", "total": 3.0}, 9.5),
            ({"order_id": "1", "total": -3.0}, 9.5),
            ({"order_id": "1"}, 0.0),
            ({"order_id": "1", "products": [{"product_id": "7", "price": 2.0, "quantity": 2}]}, 8.5),
            ({"order_id": "of the snapshot", "total": 20.0}, -7.5),
            ({"order_id": "of the snapshot"}, 12.5),
        ],
        ids=["a part", "as a negative amount", "the whole", "by product", "of an older order", "of one not known here"],
    )
    def test_spend_is_net_of_refunds(self, refund, net):
        found = answer(ordered(6 * HOUR, revenue=12.5), event(HOUR, "Order Refunded", **refund))
        assert found["spend_amount_since_snapshot"] == net
        assert found["order_count_since_snapshot"] == 1

    def test_a_refund_of_the_snapshot_told_again_is_still_there(self):
        first = event(13 * HOUR, "Order Refunded", message_id="a", order_id="0", total=20.0)
        again = event(HOUR, "Order Refunded", message_id="b", order_id="0", total=15.0)
        found = answer(first, again)
        assert found["spend_amount_since_snapshot"] == 0.0
        assert np.isnan(found["return_recency_live_days"])

    def test_a_refund_alone_is_spend_too(self):
        assert answer(event(HOUR, "Order Refunded", order_id="0", total=20.0))["spend_amount_since_snapshot"] == -20.0

    @pytest.mark.parametrize(
        ("name", "feature"),
        [
            ("Campaign Received", "campaign_recency_live_days"),
            ("Coupon Applied", "redemption_recency_live_days"),
            ("Order Refunded", "return_recency_live_days"),
        ],
    )
    def test_days_since_go_on_from_the_snapshot_until_the_next(self, name, feature):
        column = feature.replace("_live_days", "_days")
        row = SnapshotRow(MIDNIGHT, HELD | {column: 3.5})
        assert answer(row=row)[feature] == 4.0
        assert answer(event(6 * HOUR, name), row=row)[feature] == 0.25
        assert answer(event(5 * DAY, name, received_ago=HOUR), row=row)[feature] == 4.0
        assert np.isnan(answer()[feature])

    def test_refunds_told_twice_are_one_and_two_by_their_ids_are_two(self):
        order = ordered(6 * HOUR, revenue=12.5)
        once = event(2 * HOUR, "Order Refunded", order_id="1", total=2.0)
        again = event(HOUR, "Order Refunded", order_id="1", total=3.0)
        other = event(HOUR, "Order Refunded", order_id="1", refund_id="r2", total=3.0)
        assert answer(order, once, again)["spend_amount_since_snapshot"] == 9.5
        assert answer(order, once, other)["spend_amount_since_snapshot"] == 7.5

    def test_a_cancelled_order_is_none(self):
        cancelled = event(HOUR, "Order Cancelled", order_id="1")
        refunded = event(HOUR, "Order Refunded", order_id="1", total=12.5)
        assert says_nothing(ordered(6 * HOUR, revenue=12.5), cancelled, refunded)

    @pytest.mark.parametrize(
        ("properties", "amount"),
        [
            ({"revenue": 10, "total": 12.0}, 10.0),
            ({"total": 12.0}, 12.0),
            ({"products": [{"price": 2.5, "quantity": 2}, {"price": 1.0}], "discount": 0.5, "revenue": 99}, 5.5),
            ({"products": [{"product_id": "7"}], "revenue": 10.0}, 10.0),
            ({"products": "tea", "revenue": "10"}, 0.0),
            ({"revenue": True}, 0.0),
            ({"revenue": float("nan"), "total": 1e300}, 0.0),
            ({}, 0.0),
        ],
    )
    def test_what_an_order_came_to(self, properties, amount):
        assert answer(ordered(HOUR, **properties))["spend_amount_since_snapshot"] == amount


class TestWithoutSnapshot:
    def test_nothing_is_known_and_counts_are_zero(self):
        found = answer(row=None)
        unknown = {f.name for f in LIVE if f.unit in {"days", "ratio", "rate"}}
        assert {name for name, value in found.items() if np.isnan(value)} == unknown
        counts = {f.name for f in LIVE if f.unit in {"count", "amount", "flag"}}
        assert {found[name] for name in counts} == {0.0}
        assert unknown | counts | {"local_hour_live", "local_weekday_live"} == set(LIVE_NAMES)

    def test_all_orders_that_are_known_are_live(self):
        found = answer(ordered(20 * DAY, "1", revenue=2.0), ordered(5 * DAY, "2", revenue=3.0), row=None)
        assert (found["order_recency_live_days"], found["customer_tenure_live_days"]) == (5.0, 20.0)
        assert (found["order_count_since_snapshot"], found["spend_amount_since_snapshot"]) == (2, 5.0)
        assert np.isnan(found["order_due_ratio_live_365d"])

    @pytest.mark.parametrize("gap", [float("nan"), 0.0])
    def test_no_gap_gives_no_ratio(self, gap):
        row = SnapshotRow(MIDNIGHT, HELD | {"visit_gap_mean_365d": gap, "visit_gap_max_365d": gap})
        found = answer(row=row)
        assert np.isnan([found["order_due_ratio_live_365d"], found["order_overdue_ratio_live_365d"]]).all()


class TestWindows:
    @pytest.mark.parametrize(
        ("stem", "name"),
        [
            ("product_view_count", "Product Viewed"),
            ("cart_add_count", "Product Added"),
            ("search_count", "Products Searched"),
            ("support_contact_count", "Support Contacted"),
            ("session_count", "Page"),
        ],
    )
    def test_start_is_inside_and_a_tick_before_is_not(self, stem, name):
        for label, window in {"30m": 30 * MINUTE, "1d": DAY, "7d": 7 * DAY}.items():
            assert answer(event(window, name))[f"{stem}_{label}"] == 1
            assert answer(event(window + TICK, name))[f"{stem}_{label}"] == 0
            assert answer(event(TICK, name))[f"{stem}_{label}"] == 1

    def test_the_instant_itself_is_outside(self):
        assert says_nothing(event(0 * DAY, "Page", received_ago=TICK))
        assert says_nothing(event(HOUR, "Page", received_ago=0 * DAY))

    def test_reach_is_thirty_days(self):
        assert answer(event(REACH, "Page"))["visit_recency_live_days"] == 30.0
        assert says_nothing(event(REACH + TICK, "Page"))

    def test_the_last_visit_is_browsing(self):
        found = answer(event(6 * HOUR, "Page"), event(HOUR, "Campaign Received"), ordered(2 * HOUR))
        assert found["visit_recency_live_days"] == 0.25

    @pytest.mark.parametrize(
        ("minutes_ago", "in_30m", "in_1d"),
        [([90, 61, 32], 0, 1), ([90, 60, 29], 1, 3), ([29, 1], 1, 1), ([5, 5], 1, 1), ([1500, 1430, 20], 1, 2)],
        ids=["29 minutes apart", "30 and 31 apart", "one", "at one time", "only those of a day"],
    )
    def test_sessions_end_with_half_an_hour_of_nothing(self, minutes_ago, in_30m, in_1d):
        events = [event(m * MINUTE, "Page", message_id=f"{i}") for i, m in enumerate(minutes_ago)]
        found = answer(*events)
        assert (found["session_count_30m"], found["session_count_1d"]) == (in_30m, in_1d)


class TestCart:
    ADD, REMOVE = "Product Added", "Product Removed"

    @pytest.mark.parametrize(
        ("moves", "amount"),
        [
            ([(ADD, "7", 2.0, 3)], 6.0),
            ([(ADD, "7", 2.0, 3), (REMOVE, "7", 2.0, 1)], 4.0),
            ([(ADD, "7", 2.0, 3), (REMOVE, "7", None, 1)], 4.0),
            ([(ADD, "7", 2.0, 1), (REMOVE, "8", 2.0, 1)], 2.0),
            ([(REMOVE, "7", 2.0, 5), (ADD, "7", 2.0, 1)], 2.0),
            ([(ADD, "7", 2.0, 1), (ADD, "7", 3.0, 1)], 6.0),
            ([(ADD, "7", 2.0, None), (ADD, "8", 1.5, None)], 3.5),
            ([(ADD, "7", None, 1)], 0.0),
        ],
        ids=[
            "three of one", "one taken out", "without a price", "another taken out", "never below nothing",
            "the last price holds", "one where it is not said", "no price at all",
        ],
    )  # fmt: skip
    def test_table(self, moves, amount):
        events = [
            event((20 - i) * MINUTE, name, product_id=product)
            if price is None and quantity is None
            else event((20 - i) * MINUTE, name, product_id=product, price=price, quantity=quantity)
            for i, (name, product, price, quantity) in enumerate(moves)
        ]
        found = answer(*events)
        assert [found[f"cart_open_amount_{label}"] for label in ("30m", "1d", "7d")] == [amount] * 3

    def test_counts_what_was_put_in_within_the_window(self):
        found = answer(*(event(ago, self.ADD, product_id="7", price=1.0) for ago in (2 * DAY, 2 * HOUR, MINUTE)))
        assert [found[f"cart_open_amount_{label}"] for label in ("30m", "1d", "7d")] == [1.0, 2.0, 3.0]

    def test_an_order_empties_it(self):
        added = [event(ago, self.ADD, product_id="7", price=1.0) for ago in (3 * HOUR, HOUR)]
        assert answer(*added, ordered(2 * HOUR))["cart_open_amount_1d"] == 1.0

    def test_an_order_of_the_snapshot_empties_it_too(self):
        row = SnapshotRow(MIDNIGHT, HELD | {"order_recency_days": 1.0})
        added = [event(ago, self.ADD, product_id="7", price=1.0) for ago in (37 * HOUR, 36 * HOUR, 35 * HOUR)]
        assert answer(*added, row=row)["cart_open_amount_7d"] == 1.0


class TestTimeOfWeek:
    @pytest.mark.parametrize(
        ("at", "zone", "weekday", "hour"),
        [
            (NOON, "UTC", 0, 12.0),
            (NOON + 45 * MINUTE, "Europe/Berlin", 0, 14.75),
            (NOON + 11 * HOUR, "Europe/Berlin", 1, 1.0),
            (NOON, "Asia/Kolkata", 0, 17.5),
            (datetime(2024, 3, 31, 0, 59, tzinfo=UTC), "Europe/Berlin", 6, 1 + 59 / 60),
            (datetime(2024, 3, 31, 1, 0, tzinfo=UTC), "Europe/Berlin", 6, 3.0),
        ],
    )
    def test_is_the_shops(self, at, zone, weekday, hour):
        found = answer(at=at, zone=ZoneInfo(zone), row=None)
        assert (found["local_weekday_live"], found["local_hour_live"]) == (weekday, np.float32(hour))


class TestIntent:
    VISIT = (
        *(event((20 - i) * MINUTE, "Product Viewed", category="tea") for i in range(3)),
        event(10 * MINUTE, "Order Viewed"),
        event(5 * MINUTE, "Delivery Options Viewed"),
    )

    @pytest.mark.parametrize(
        ("after_the_last", "is_told"), [(TICK, 1), (30 * MINUTE, 1), (30 * MINUTE + TICK, 0)]
    )  # fmt: skip
    def test_is_told_for_half_an_hour(self, after_the_last, is_told):
        at = NOON - 5 * MINUTE + after_the_last
        answered = live_features(ROW, self.VISIT, at=at, zone=BERLIN)
        assert answered.vector[LIVE_NAMES.index("intent_reorder_30m")] == is_told
        assert [len(match.evidence) for match in answered.matches] == [5] * is_told

    def test_is_not_told_before_the_last_event_is_received(self):
        late = event(5 * MINUTE, "Delivery Options Viewed", received_ago=-MINUTE)
        events = [*self.VISIT[:-1], late]
        assert not live_features(ROW, events, at=NOON, zone=BERLIN).matches
        assert live_features(ROW, events, at=NOON + 2 * MINUTE, zone=BERLIN).matches


class TestErrors:
    def test_a_later_snapshot(self):
        with pytest.raises(LaterSnapshot, match="2024-06-03T00:00:00"):
            answer(at=MIDNIGHT - TICK)
        assert answer(at=MIDNIGHT)["order_recency_live_days"] == 9.5

    def test_a_row_without_a_column(self):
        with pytest.raises(MissingColumns, match="visit_gap_max_365d"):
            answer(row=SnapshotRow(MIDNIGHT, {k: v for k, v in HELD.items() if k != "visit_gap_max_365d"}))


# What a customer may have done: the names that count and one that does not, to the minute and on the windows' edges.
EVENT_NAMES = (
    "Product Viewed", "Product Viewed", "Product Added", "Product Removed", "Products Searched", "Order Viewed",
    "Delivery Options Viewed", "Order Completed", "Order Refunded", "Order Cancelled", "Support Contacted", "Page",
    "Else",
)  # fmt: skip
properties = st.fixed_dictionaries(
    {},
    optional={
        "category": st.sampled_from(["tea", "bread"]),
        "product_id": st.sampled_from(["7", "8"]),
        "order_id": st.sampled_from(["1", "2"]),
        "price": st.sampled_from([0.1, 2.5]),
        "revenue": st.sampled_from([0.1, 0.7, 19.99]),
        "quantity": st.integers(1, 3),
    },
)
agos = st.one_of(
    st.integers(-90, 90).map(lambda minutes: minutes * MINUTE),
    st.integers(-3, 35 * 24).map(lambda hours: hours * HOUR),
    st.sampled_from([30 * MINUTE + TICK, 7 * DAY, 7 * DAY + TICK, REACH, REACH + TICK, TICK, 0 * DAY]),
)
delays = st.sampled_from([0 * DAY, TICK, MINUTE, 5 * HOUR, 3 * DAY])


@st.composite
def histories(draw, *, prefix="", max_size=25):
    told = draw(st.lists(st.tuples(agos, delays, st.sampled_from(EVENT_NAMES), properties), max_size=max_size))
    return [
        LiveEvent(f"{prefix}{i}", name, NOON - ago, NOON - ago + delay, said)
        for i, (ago, delay, name, said) in enumerate(told)
    ]


figures = st.one_of(st.just(float("nan")), st.just(0.0), st.floats(0.5, 400, width=32))
rows = st.one_of(
    st.none(),
    st.builds(
        SnapshotRow,
        st.sampled_from([NOON, MIDNIGHT, MIDNIGHT - DAY, NOON - 15 * DAY]),
        st.fixed_dictionaries(dict.fromkeys(SNAPSHOT_COLUMNS, figures)),
    ),
)


class TestLaws:
    @EXAMPLES
    @given(rows, histories(), st.randoms(use_true_random=False))
    def test_the_order_of_arrival_does_not_matter(self, row, events, random):
        assert live(row, random.sample(events, len(events))) == live(row, events)

    @EXAMPLES
    @given(rows, histories())
    def test_only_what_was_received_and_had_occurred_is_used(self, row, events):
        known = [e for e in events if e.received_at < NOON and NOON - REACH <= e.occurred_at < NOON]
        assert live(row, known) == live(row, events)

    @EXAMPLES
    @given(rows, histories(), st.data())
    def test_a_message_counts_once(self, row, events, data):
        again = data.draw(st.lists(st.sampled_from(events))) if events else []
        later = [
            LiveEvent(e.message_id, e.event, e.occurred_at, e.received_at + data.draw(delays), e.properties)
            for e in again
        ]
        assert live(row, [*later, *events]) == live(row, events)

    @EXAMPLES
    @given(rows, histories(), histories(prefix="+", max_size=3))
    def test_another_event_takes_no_intent_away(self, row, events, others):
        (before,), (after,) = (
            live_features(row, [*TestIntent.VISIT, *told], at=NOON, zone=BERLIN).matches
            for told in (events, [*events, *others])
        )
        assert after.evidence[-1].occurred_at >= before.evidence[-1].occurred_at

    @EXAMPLES
    @given(rows, histories())
    def test_every_figure_is_a_float32(self, row, events):
        vector = live_features(row, events, at=NOON, zone=BERLIN).vector
        assert np.array_equal(np.array(vector), np.array(vector, dtype=np.float32), equal_nan=True)
        assert all(type(figure) is float for figure in vector)

    @EXAMPLES
    @given(rows, histories(), st.data())
    def test_a_few_features_are_as_among_all(self, row, events, data):
        few = data.draw(st.lists(st.sampled_from(LIVE), unique=True))
        whole = dict(zip(LIVE_NAMES, live_features(row, events, at=NOON, zone=BERLIN).vector, strict=True))
        part = live_features(row, events, at=NOON, zone=BERLIN, features=few)
        assert np.array_equal(part.vector, [whole[f.name] for f in few], equal_nan=True)

    @EXAMPLES
    @given(rows, histories())
    def test_counts_are_those_of_a_plain_count(self, row, events):
        known = [e for e in events if e.received_at < NOON and NOON - REACH <= e.occurred_at < NOON]
        found = dict(zip(LIVE_NAMES, live_features(row, events, at=NOON, zone=BERLIN).vector, strict=True))
        for label, window in {"30m": 30 * MINUTE, "1d": DAY, "7d": 7 * DAY}.items():
            inside = [e for e in known if e.occurred_at >= NOON - window]
            assert found[f"product_view_count_{label}"] == sum(e.event == "Product Viewed" for e in inside)
            assert found[f"search_count_{label}"] == sum(e.event == "Products Searched" for e in inside)
            browsed = sorted(e.occurred_at for e in inside if e.event in BROWSING_EVENTS)
            starts = [t for i, t in enumerate(browsed) if i == 0 or t - browsed[i - 1] >= 30 * MINUTE]
            assert found[f"session_count_{label}"] == len(starts)

    @EXAMPLES
    @given(rows, histories())
    def test_recency_grows_with_the_clock(self, row, events):
        """Where nothing new is received, a minute later is a minute more."""
        events = [e for e in events if e.received_at < NOON and e.occurred_at >= NOON - REACH + HOUR]
        now, later = (
            dict(zip(LIVE_NAMES, live_features(row, events, at=at, zone=BERLIN).vector, strict=True))
            for at in (NOON, NOON + MINUTE)
        )
        for name in ("order_recency_live_days", "customer_tenure_live_days", "visit_recency_live_days"):
            assert np.isnan(later[name]) == np.isnan(now[name])
            assert np.isnan(now[name]) or later[name] - now[name] == pytest.approx(1 / 1440, abs=1e-4)


@st.composite
def order_histories(draw):
    """Two orders, each completed once, refunded and cancelled as it comes, in any order of arrival."""
    amounts = st.fixed_dictionaries({}, optional={"revenue": money, "discount": money, "products": products})
    told = [("Order Completed", {"order_id": order_id} | draw(amounts)) for order_id in ("1", "2")]
    for order_id, refund_id in draw(st.lists(st.tuples(st.sampled_from("12"), st.sampled_from(["", "a", "b"])))):
        said = {"order_id": order_id, "refund_id": refund_id or None} | draw(amounts)
        told.append(("Order Refunded", said))
    told += [("Order Cancelled", {"order_id": order_id}) for order_id in draw(st.sets(st.sampled_from("12")))]
    times = draw(st.lists(st.tuples(st.integers(1, 600), st.integers(0, 300)), min_size=len(told), max_size=len(told)))
    return [
        LoggedEvent(
            message_id=f"{i}",
            customer_id="ann",
            event=name,
            occurred_at=NOON - max(ago, delay + 1) * MINUTE,
            received_at=NOON - (max(ago, delay + 1) - delay) * MINUTE,
            properties=said,
        )
        for i, ((name, said), (ago, delay)) in enumerate(zip(told, times, strict=True))
    ]


money = st.integers(1, 5000).map(lambda cents: cents / 100)
products = st.lists(
    st.fixed_dictionaries(
        {"product_id": st.sampled_from(["7", "8"]), "quantity": st.integers(1, 3)},
        optional={"price": money, "discount": money},
    ),
    max_size=3,
)


def refund_before_its_order(message_id: str, *, ago: int, **said: object) -> LoggedEvent:
    at = NOON - ago * MINUTE
    properties = {"order_id": "1", "refund_id": None, **said}
    return logged(message_id, "Order Refunded", at, properties)


def logged(message_id: str, event: str, at: datetime, properties: dict[str, object]) -> LoggedEvent:
    return LoggedEvent(
        message_id=message_id,
        customer_id="ann",
        event=event,
        occurred_at=at,
        received_at=at,
        properties=properties,
    )


class TestOrdersOfTheLake:
    @EXAMPLES
    @example(
        [
            refund_before_its_order("1", ago=4, revenue=0.01),
            refund_before_its_order("2", ago=3),  # all of the order, which has no lines
            refund_before_its_order("3", ago=2, products=[{"product_id": "7", "quantity": 1}]),  # never sound
            logged("4", "Order Completed", NOON - MINUTE, {"order_id": "1"}),
        ]
    )
    @given(order_histories())
    def test_live_orders_are_those_that_the_lake_makes_of_the_events(self, events):
        orders, earlier = {}, {}
        for one in sorted(events, key=lambda e: (e.received_at, e.message_id)):
            made = orders_of([one], LakesOrders(orders=orders, earlier=earlier), zone=BERLIN)
            orders |= {order.order_id: order for order in made}
            if one.event != "Order Completed":
                earlier.setdefault(one.properties["order_id"], []).append(one)
        counted = [order for order in orders.values() if order.kind != "cancelled"]
        sales, returns = ([o.ordered_at for o in counted if o.kind == kind] for kind in ("sale", "return"))
        net = sum(line.net_amount for order in counted for line in order.lines)
        found = answer(*events, row=None)
        assert found["order_count_since_snapshot"] == len(sales)
        assert found["spend_amount_since_snapshot"] == np.float32(net)
        for name, times in (("order_recency", sales), ("return_recency", returns)):
            days = (NOON - max(times)) / DAY if times else np.nan
            assert np.array_equal(found[f"{name}_live_days"], np.float32(days), equal_nan=True)


class TestFrame:
    @EXAMPLES
    @given(st.lists(st.tuples(rows, histories(max_size=6), st.sampled_from([0 * DAY, HOUR, DAY])), max_size=5))
    def test_is_the_function_row_by_row(self, asked):
        columns = {
            column: np.array([np.nan if row is None else row.values[column] for row, _, _ in asked], np.float32)  # noqa: PD011
            for column in SNAPSHOT_COLUMNS
        }
        times = {
            "at": pd.Series([NOON + after for _, _, after in asked], dtype="datetime64[us, UTC]"),
            "cutoff": pd.Series([row and row.cutoff for row, _, _ in asked], dtype="datetime64[us, UTC]"),
        }
        table = pd.DataFrame({"customer_id": [f"c{i}" for i in range(len(asked))]} | times | columns)
        table.index += 7
        events = {f"c{i}": told for i, (_, told, _) in enumerate(asked) if told}
        answered = live_frame(table, events, zone=BERLIN)
        assert list(answered.columns) == list(LIVE_NAMES)
        assert answered.index.equals(table.index)
        for place, (row, told, after) in enumerate(asked):
            assert answered.iloc[place].to_numpy().tobytes() == live(row, told, at=NOON + after)[0]

    def test_says_which_column_is_missing(self):
        with pytest.raises(MissingColumns, match="'cutoff'"):
            live_frame(pd.DataFrame({"customer_id": ["ann"], "at": [NOON]}), {}, zone=BERLIN)
