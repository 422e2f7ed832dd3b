"""Orders as events tell them: tables that a person can check by hand, and laws of the amounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.event_lines import Line, lines_of
from facts.event_log.records import Event
from facts.event_orders import Known, Order, orders_of, rounds_of
from features.live_orders import live_orders
from tests.builders import at

NOON = at(40, 12)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
NOTHING = Known(orders={}, earlier={})
TWO = {
    "order_id": "o1",
    "products": [
        {"product_id": "milk", "price": 1.5, "quantity": 2},
        {"product_id": "soap", "price": 7, "quantity": 1},
    ],
}


def event(name: str, properties: dict[str, Any], *, when: datetime = NOON, message_id: str = "m1") -> Event:
    return Event(
        message_id=message_id,
        customer_id="ann",
        event=name,
        occurred_at=when,
        received_at=when + HOUR / 60,
        properties=properties,
    )


def completed(properties: dict[str, Any] | None = None, **more: Any) -> Event:
    return event("Order Completed", TWO if properties is None else properties, **more)


def refunded(properties: dict[str, Any] | None = None, **more: Any) -> Event:
    return event("Order Refunded", {"order_id": "o1"} | (properties or {}), **more)


def cancelled(order_id: str = "o1", **more: Any) -> Event:
    return event("Order Cancelled", {"order_id": order_id}, **more)


def made(*events: Event, known: Known = NOTHING) -> list[Order]:
    return orders_of(events, known, zone=BERLIN)


def knowing(*orders: Order, earlier: tuple[Event, ...] = ()) -> Known:
    return Known(orders={order.order_id: order for order in orders}, earlier={"o1": earlier} if earlier else {})


def amounts(lines: tuple[Line, ...]) -> list[tuple[object, ...]]:
    """Product, units, gross, discount, net, coupon."""
    return [
        (x.product_id, x.unit_count, *map(float, (x.gross_amount, x.discount_amount, x.net_amount, x.coupon_amount)))
        for x in lines
    ]


class TestLines:
    @pytest.mark.parametrize(
        ("properties", "lines"),
        [
            (TWO, [("milk", 2, 3, 0, 3, 0), ("soap", 1, 7, 0, 7, 0)]),
            (TWO | {"revenue": 99, "total": 120}, [("milk", 2, 3, 0, 3, 0), ("soap", 1, 7, 0, 7, 0)]),
            (TWO | {"discount": 1}, [("milk", 2, 3, 0.3, 2.7, 0), ("soap", 1, 7, 0.7, 6.3, 0)]),
            (TWO | {"discount": 1, "coupon": "X"}, [("milk", 2, 3, 0.3, 2.7, 0.3), ("soap", 1, 7, 0.7, 6.3, 0.7)]),
            (TWO | {"discount": 50}, [("milk", 2, 3, 3, 0, 0), ("soap", 1, 7, 7, 0, 0)]),
            ({"revenue": 25}, [(None, None, 25, 0, 25, 0)]),
            ({"revenue": 25, "total": 30, "discount": 5, "coupon": "X"}, [(None, None, 30, 5, 25, 5)]),
            ({"total": 30, "products": []}, [(None, None, 30, 0, 30, 0)]),
            ({"total": 30, "products": [{"product_id": "milk"}]}, [(None, None, 30, 0, 30, 0)]),
            ({"total": 0}, []),
            ({"products": [{"product_id": "gift", "price": 0}]}, [("gift", 1, 0, 0, 0, 0)]),
        ],
    )  # fmt: skip
    def test_by_hand(self, properties: dict[str, Any], lines: list[tuple[object, ...]]) -> None:
        assert amounts(lines_of(properties)) == lines

    def test_a_products_own_discount_is_its_lines_and_the_rest_is_spread(self) -> None:
        products = [{"product_id": "a", "price": 10, "discount": 4, "coupon": "X"}, {"product_id": "b", "price": 18}]
        assert amounts(lines_of({"products": products})) == [("a", 1, 10, 4, 6, 4), ("b", 1, 18, 0, 18, 0)]
        # Of the order's 10 the product's own 4 are a part; 6 are left for what is left of the two: 6 and 18.
        told = lines_of({"products": products, "discount": 10})
        assert amounts(told) == [("a", 1, 10, 5.5, 4.5, 4), ("b", 1, 18, 4.5, 13.5, 0)]

    def test_cents_that_do_not_divide_are_not_lost(self) -> None:
        told = lines_of({"products": [{"product_id": str(n), "price": 1} for n in range(3)], "discount": 1})
        assert [line.discount_amount for line in told] == [Decimal("0.3333"), Decimal("0.3334"), Decimal("0.3333")]

    def test_money_is_exact(self) -> None:
        told = lines_of({"products": [{"product_id": "a", "price": 0.1, "quantity": 3}]})
        assert told[0].gross_amount == Decimal("0.3")

    @pytest.mark.parametrize(
        "properties",
        [{}, {"total": "3"}, {"total": float("nan")}, {"revenue": True}, {"products": ["x"]}, {"total": 1e13}],
    )
    def test_none_where_no_amount_is_told(self, properties: dict[str, Any]) -> None:
        assert lines_of(properties) is None


_amounts = st.floats(0, 1e6).map(lambda value: round(value, 2)) | st.integers(0, 10_000)
_products = st.fixed_dictionaries(
    {"product_id": st.sampled_from(["a", "b", "c"]), "price": _amounts}, optional={"quantity": st.integers(1, 50)}
)
_orders = st.fixed_dictionaries(
    {"order_id": st.just("o1"), "products": st.lists(_products, min_size=1, max_size=6)},
    optional={"discount": _amounts, "coupon": st.just("X"), "revenue": _amounts},
)


@given(_orders)
def test_discounts_are_spread_to_the_last_cent_and_no_line_falls_below_nothing(properties: dict[str, Any]) -> None:
    lines = lines_of(properties)
    gross = sum(Decimal(str(p["price"])) * p.get("quantity", 1) for p in properties["products"])
    assert sum(line.gross_amount for line in lines) == gross
    assert sum(line.discount_amount for line in lines) == min(Decimal(str(properties.get("discount", 0))), gross)
    assert all(line.net_amount >= 0 <= line.discount_amount for line in lines)
    assert all(line.coupon_amount == (line.discount_amount if "coupon" in properties else 0) for line in lines)


_refunds = st.sampled_from(
    [{}, {"total": 3}, {"refund_id": "r"}, {"total": 2, "refund_id": "r"}, {"products": TWO["products"]}]
)
_stories = st.lists(
    st.sampled_from(["o1", "o2"]).flatmap(
        lambda order_id: st.one_of(
            st.just(completed(TWO | {"order_id": order_id})),
            st.just(completed({"order_id": order_id, "revenue": 25, "discount": 1})),
            _refunds.map(lambda told: refunded(told | {"order_id": order_id})),
            st.just(cancelled(order_id)),
        )
    ),
    max_size=7,
)


@given(_stories)
def test_live_features_and_the_lake_come_to_the_same_money(story: list[Event]) -> None:
    missing = {e.properties["order_id"] for e in story} - {
        e.properties["order_id"] for e in story if e.event == "Order Completed"
    }
    story += [completed(TWO | {"order_id": order_id}) for order_id in sorted(missing)]
    story = [replace(e, message_id=f"m{n}", received_at=NOON + n * HOUR) for n, e in enumerate(story)]
    orders: dict[str, Order] = {}
    for number, told in enumerate(story):
        earlier: dict[str, list[Event]] = {}
        for before in story[:number]:
            if before.event != "Order Completed":
                earlier.setdefault(before.properties["order_id"], []).append(before)
        orders |= {order.order_id: order for order in made(told, known=Known(orders=orders, earlier=earlier))}
    net = sum(line.net_amount for order in orders.values() if order.kind != "cancelled" for line in order.lines)
    by_name: dict[str, list[Event]] = {}
    for told in story:
        by_name.setdefault(told.event, []).append(told)
    assert live_orders(by_name, cutoff=None).net_amount == pytest.approx(float(net))


class TestCompleted:
    def test_a_sale_at_its_time_on_the_shops_clock(self) -> None:
        late = datetime.fromisoformat("2024-02-11T23:30:00+00:00")  # a Sunday; in Berlin it is Monday
        told = completed(TWO | {"affiliation": "Shop 7"}, when=late)
        assert made(told) == [
            Order(
                order_id="o1",
                customer_id="ann",
                kind="sale",
                ordered_at=late,
                received_at=late + HOUR / 60,
                local_on=date(2024, 2, 12),
                local_weekday=0,
                local_hour=0,
                store_id="Shop 7",
                lines=lines_of(TWO),
            )
        ]

    def test_other_events_make_no_orders(self) -> None:
        assert made(event("Order Updated", TWO), event("Product Viewed", {"product_id": "milk"})) == []

    def test_one_that_was_cancelled_before_it_came_is_cancelled(self) -> None:
        told = made(completed(), known=knowing(earlier=(cancelled(), refunded())))
        assert [(order.order_id, order.kind) for order in told] == [("o1", "cancelled")]
        assert told[0].lines == lines_of(TWO)

    def test_one_that_is_cancelled_stays_so(self) -> None:
        known = knowing(replace(made(completed())[0], kind="cancelled"))
        assert [order.kind for order in made(completed(TWO | {"discount": 1}), known=known)] == ["cancelled"]

    def test_a_refund_that_waited_for_it_comes_with_it_once(self) -> None:
        waited = (refunded(when=NOON - HOUR), refunded(when=NOON - HOUR, message_id="m2"))
        sale, back = made(completed(), known=knowing(earlier=waited))
        assert (sale.kind, back.kind, back.order_id) == ("sale", "return", "o1/return")
        assert back.ordered_at == NOON - HOUR
        assert back.received_at == sale.received_at, "it is known no sooner than the order"
        assert made(completed(), known=knowing(sale, back, earlier=waited)) == [sale, back]

    def test_a_corrected_order_corrects_the_refund_that_told_no_amount(self) -> None:
        known = knowing(*made(completed()), earlier=(refunded(),))
        told = made(completed({"order_id": "o1", "revenue": 25}), known=known)
        assert [amounts(order.lines) for order in told] == [
            [(None, None, 25, 0, 25, 0)],
            [(None, None, -25, 0, -25, 0)],
        ]
        assert len(made(completed(), known=knowing(earlier=(refunded({"total": 3}),)))) == 1


class TestRefunded:
    def test_without_amounts_it_takes_back_the_order(self) -> None:
        sale = made(completed(TWO | {"discount": 1, "coupon": "X"}))[0]
        (back,) = made(refunded(when=NOON + HOUR), known=knowing(sale))
        assert (back.order_id, back.kind, back.ordered_at) == ("o1/return", "return", NOON + HOUR)
        assert back.lines == tuple(-line for line in sale.lines)
        assert amounts(back.lines) == [("milk", -2, -3, -0.3, -2.7, -0.3), ("soap", -1, -7, -0.7, -6.3, -0.7)]

    @pytest.mark.parametrize(
        ("properties", "lines"),
        [
            ({"total": 4}, [(None, None, -4, 0, -4, 0)]),
            ({"products": [{"product_id": "milk", "price": 1.5}]}, [("milk", -1, -1.5, 0, -1.5, 0)]),
            ({"total": 4, "products": [{"product_id": "milk", "quantity": 3}, {"product_id": "soap"}]},
             [("milk", -3, -3, 0, -3, 0), ("soap", -1, -1, 0, -1, 0)]),
        ],
    )  # fmt: skip
    def test_what_it_tells_needs_no_order(self, properties: dict[str, Any], lines: list[tuple[object, ...]]) -> None:
        for known in (NOTHING, knowing(*made(completed()))):
            assert amounts(made(refunded(properties), known=known)[0].lines) == lines

    def test_products_without_prices_go_back_at_what_was_paid(self) -> None:
        sale = made(completed(TWO | {"discount": 1}))[0]
        back = made(refunded({"products": [{"product_id": "milk"}, {"product_id": "tea"}]}), known=knowing(sale))
        assert amounts(back[0].lines) == [("milk", -1, -1.5, -0.15, -1.35, 0)]
        more = made(refunded({"products": [{"product_id": "milk", "quantity": 9}]}), known=knowing(sale))
        assert amounts(more[0].lines) == [("milk", -2, -3, -0.3, -2.7, 0)], "no more than was bought"

    @pytest.mark.parametrize("properties", [{}, {"products": [{"product_id": "milk"}]}])
    def test_what_needs_an_order_waits_for_it(self, properties: dict[str, Any]) -> None:
        assert made(refunded(properties)) == []

    def test_products_that_were_not_bought_take_nothing_back(self) -> None:
        assert made(refunded({"products": [{"product_id": "tea"}]}), known=knowing(*made(completed()))) == []

    def test_one_with_an_id_is_a_return_of_its_own(self) -> None:
        told = [
            made(refunded({"total": 1, **more}))[0].order_id for more in ({}, {"refund_id": "r1"}, {"refund_id": "r2"})
        ]
        assert told == ["o1/return", "o1/return/r1", "o1/return/r2"]

    def test_of_a_cancelled_order_nothing_goes_back(self) -> None:
        sale = made(completed())[0]
        assert made(refunded({"total": 3}), known=knowing(replace(sale, kind="cancelled"))) == []
        assert made(refunded({"total": 3}), known=knowing(earlier=(cancelled(),))) == []


class TestCancelled:
    def test_the_order_as_it_was_and_cancelled(self) -> None:
        sale = replace(made(completed())[0], local_hour=None, store_id="7")
        told = cancelled(when=NOON + HOUR)
        assert made(told, known=knowing(sale)) == [replace(sale, kind="cancelled", received_at=told.received_at)]

    def test_its_returns_with_it(self) -> None:
        sale = made(completed())[0]
        backs = [made(refunded({"total": 2, **more}))[0] for more in ({}, {"refund_id": "r1"})]
        told = made(cancelled(), known=knowing(sale, *backs))
        assert [(order.order_id, order.kind) for order in told] == [
            ("o1", "cancelled"), ("o1/return", "cancelled"), ("o1/return/r1", "cancelled"),
        ]  # fmt: skip
        assert amounts(told[1].lines) == [(None, None, 2, 0, 2, 0)]

    def test_one_that_is_not_known_waits(self) -> None:
        assert made(cancelled("o2"), known=knowing(*made(completed()))) == []

    def test_it_is_known_no_sooner_than_it_happened(self) -> None:
        later = replace(made(completed())[0], ordered_at=NOON + HOUR)
        assert made(cancelled(), known=knowing(later))[0].received_at == NOON + HOUR


class TestRounds:
    def test_no_round_has_two_events_of_one_order(self) -> None:
        other = cancelled("o2")
        viewed = event("Product Viewed", {"order_id": "o1"})
        told = [completed(), viewed, refunded(), other, viewed, cancelled()]
        assert rounds_of(told) == [[told[0], viewed, other, viewed], [told[2]], [told[5]]]

    def test_nothing_takes_no_round(self) -> None:
        assert rounds_of([]) == []
