"""Events as the shop receives them: ids, names and properties in Segment's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulation.behaviour import Behaviour, World
from simulation.campaigns import NONE
from simulation.catalogue import CATEGORIES, PRODUCTS_PER_CATEGORY, product_ids
from simulation.clock import Ints, instant
from simulation.columns import Column, amounts, chosen, instant_text, numbers, text
from simulation.events import Events, Kind
from simulation.orders import CANCELLED, RETURN
from simulation.purchases import numbers_within
from simulation.settings import CURRENCY, Settings

ID_DIGITS = 7
TOPICS = ("delivery", "invoice", "product", "return")
LIBRARY = "regulars-simulation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The texts that several messages of a chunk share, by number."""

    customers: Column
    orders: Column
    lines: Column  # a line of an order as a JSON object
    product_ids: Column
    products: Column  # a product, one piece, as a JSON object
    categories: Column
    campaigns: Column
    coupons: Column
    mailings: Column  # a campaign as a JSON object
    totals: Column  # net amount of each order
    discounts: Column
    baskets: Column  # an order's lines as a JSON array


def names_of(world: World, drawn: Behaviour) -> Names:
    """Write every text of a chunk that is used more than once."""
    orders = drawn.orders
    customers = customer_ids(drawn.first_customer, len(drawn.customers))
    lines = _product_json(orders.product, orders.unit_cents, orders.unit_count)
    counts = np.bincount(orders.line_order, minlength=len(orders.customer))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), type=pa.int32())
    campaigns = campaign_ids(drawn.contacts.campaign_count)
    everything = np.arange(len(world.catalogue.price_cents))
    return Names(
        customers=customers,
        orders=_order_ids(drawn, customers),
        lines=lines,
        product_ids=pa.array(product_ids()),
        products=_product_json(everything, world.catalogue.price_cents, np.ones_like(everything)),
        categories=pa.array([category.name for category in CATEGORIES]),
        campaigns=pa.array(campaigns, type=pa.string()),
        coupons=pa.array([coupon_id(campaign) for campaign in campaigns], type=pa.string()),
        mailings=pa.array(_mailings(world, campaigns), type=pa.string()),
        totals=amounts(orders.sum_of(orders.net_cents)),
        discounts=amounts(orders.sum_of(orders.discount_cents)),
        baskets=text("[", pc.binary_join(pa.ListArray.from_arrays(offsets, lines), ","), "]"),
    )


def customer_ids(first: int, count: int) -> Column:
    """Return the ids of customers by their number in the shop."""
    return pa.array([f"c{number:0{ID_DIGITS}d}" for number in range(first + 1, first + count + 1)])


def campaign_ids(count: int) -> list[str]:
    """Return the campaigns' ids."""
    return [f"k{number:02d}" for number in range(1, count + 1)]


def coupon_id(campaign: str) -> str:
    """Return the id of a campaign's coupon."""
    return f"coupon-{campaign}"


def message_ids(events: Events, names: Names, customer_count: int) -> Column:
    """Return an id for every event: the customer's, and the event's number among theirs."""
    number = numbers_within(np.bincount(events.customer, minlength=customer_count))
    return text(names.customers.take(pa.array(events.customer)), "-", numbers(number))


def properties(events: Events, names: Names) -> Column:
    """Write every event's properties as a JSON object."""
    rows = [np.flatnonzero(events.kind == kind) for kind in Kind]
    parts = [
        _PROPERTIES[kind](events, names, row) if len(row) else pa.array([], type=pa.string())
        for kind, row in zip(Kind, rows, strict=True)
    ]
    place = np.empty(len(events), dtype=np.int64)
    place[np.concatenate(rows)] = np.arange(len(events))
    return pa.concat_arrays(parts).take(pa.array(place))


def segment_lines(table: pa.Table, zone: Ints, settings: Settings) -> bytes:
    """Write rows of the events' table as Segment's track messages, a JSON object a line."""
    zones = pa.array([json.dumps(name) for name, _share in settings.timezones])
    occurred, received = (instant_text(_microseconds(table[name])) for name in ("occurred_at", "received_at"))
    lines = text(
        '{"type":"track","messageId":"', _one(table["message_id"]),
        '","userId":"', _one(table["customer_id"]),
        '","event":"', _one(table["event"]),
        '","properties":', _one(table["properties"]),
        ',"timestamp":"', occurred,
        '","receivedAt":"', received,
        f'","context":{{"library":{{"name":"{LIBRARY}"}},"timezone":', zones.take(pa.array(zone)), "}}\n",
    )  # fmt: skip
    return "".join(lines.to_pylist()).encode()


def _one(column: Column) -> Column:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _microseconds(column: Column) -> Ints:
    return np.asarray(_one(column).cast(pa.int64()).to_numpy(), dtype=np.int64)


def _order_ids(drawn: Behaviour, customers: Column) -> Column:
    suffix = np.where(drawn.orders.kind == RETURN, 1, np.where(drawn.orders.kind == CANCELLED, 2, 0))
    ending = pa.array(["", "/return", "-tried"]).take(pa.array(suffix))
    return text(customers.take(pa.array(drawn.orders.customer)), "-", numbers(drawn.orders.number + 1), ending)


def _product_json(product: Ints, unit_cents: Ints, unit_count: Ints) -> Column:
    heads = [
        f'{{"product_id":"{name}","category":"{CATEGORIES[number // PRODUCTS_PER_CATEGORY].name}","price":'
        for number, name in enumerate(product_ids())
    ]
    head = pa.array(heads).take(pa.array(product))
    return text(head, amounts(unit_cents), ',"quantity":', numbers(unit_count), "}")


def _mailings(world: World, campaigns: list[str]) -> list[str]:
    settings, start = world.settings, world.clocks.record.start
    day = 86_400_000_000
    first = [
        start + (settings.campaign_first_day + n * settings.campaign_every_days) * day for n in range(len(campaigns))
    ]
    return [
        json.dumps(
            {
                "campaign_id": campaign,
                "campaign_type": "coupon",
                "channel": "email",
                "starts_on": instant(at).date().isoformat(),
                "ends_on": instant(at + settings.campaign_days * day).date().isoformat(),
                "coupon_id": coupon_id(campaign),
                "coupon_count": 1,
            },
            separators=(",", ":"),
        )
        for campaign, at in zip(campaigns, first, strict=True)
    ]


Writer = Callable[[Events, Names, Ints], Column]


def _page(events: Events, names: Names, row: Ints) -> Column:
    """Write the page that opens a session, and what led there."""
    link = events.campaign[row]
    led = text('{"path":"/","referrer":"email","campaign_id":"', chosen(names.campaigns, link), '"}')
    return pc.if_else(pa.array(link == NONE), '{"path":"/","referrer":"direct"}', led)


def _order_only(events: Events, names: Names, row: Ints) -> Column:
    return text('{"order_id":"', chosen(names.orders, events.order[row]), '"}')


def _category(field: str) -> Writer:
    def write(events: Events, names: Names, row: Ints) -> Column:
        return text(f'{{"{field}":"', names.categories.take(pa.array(events.category[row])), '"}')

    return write


def _product(events: Events, names: Names, row: Ints) -> Column:
    """Write a product: as it was ordered where it belongs to an order's line, else one piece at its list price."""
    line, product = events.line[row], events.product[row]
    texts = pa.concat_arrays([names.products, names.lines])
    return texts.take(pa.array(np.where(line == NONE, product, line + len(names.products))))


def _empty(_events: Events, _names: Names, row: Ints) -> Column:
    return pa.repeat("{}", len(row))


def _checkout(events: Events, names: Names, row: Ints) -> Column:
    order = events.order[row]
    known = text(
        '{"order_id":"', chosen(names.orders, order), '","value":', chosen(names.totals, order),
        f',"currency":"{CURRENCY}"}}',
    )  # fmt: skip
    return pc.if_else(pa.array(order == NONE), "{}", known)


def _coupon(events: Events, names: Names, row: Ints) -> Column:
    campaign = events.campaign[row]
    return text(
        '{"order_id":"', chosen(names.orders, events.order[row]), '","campaign_id":"',
        chosen(names.campaigns, campaign), '","coupon_id":"', chosen(names.coupons, campaign), '"}',
    )  # fmt: skip


def _completed(events: Events, names: Names, row: Ints) -> Column:
    order = events.order[row]
    total = chosen(names.totals, order)
    return text(
        '{"order_id":"', chosen(names.orders, order), '","revenue":', total, ',"total":', total,
        ',"discount":', chosen(names.discounts, order), f',"currency":"{CURRENCY}","products":',
        chosen(names.baskets, order), "}",
    )  # fmt: skip


def _refunded(events: Events, names: Names, row: Ints) -> Column:
    """Write what came back; the order is the sale, whose id the return's begins with."""
    order = events.order[row]
    sale = pc.replace_substring(chosen(names.orders, order), "/return", "")
    return text(
        '{"order_id":"', sale, '","total":', chosen(names.totals, order), f',"currency":"{CURRENCY}","products":',
        chosen(names.baskets, order), "}",
    )  # fmt: skip


def _mailing(events: Events, names: Names, row: Ints) -> Column:
    return names.mailings.take(pa.array(events.campaign[row]))


def _support(events: Events, names: Names, row: Ints) -> Column:
    topic = pa.array(TOPICS).take(pa.array(events.at[row] // 1000 % len(TOPICS)))
    return text('{"order_id":"', chosen(names.orders, events.order[row]), '","topic":"', topic, '"}')


_PROPERTIES: Mapping[Kind, Writer] = {
    Kind.PAGE: _page,
    Kind.ORDER_VIEWED: _order_only,
    Kind.SEARCHED: _category("query"),
    Kind.LIST_VIEWED: _category("category"),
    Kind.VIEWED: _product,
    Kind.ADDED: _product,
    Kind.REMOVED: _product,
    Kind.CART_VIEWED: _empty,
    Kind.DELIVERY_VIEWED: _empty,
    Kind.CHECKOUT: _checkout,
    Kind.COUPON: _coupon,
    Kind.COMPLETED: _completed,
    Kind.CANCELLED: _order_only,
    Kind.REFUNDED: _refunded,
    Kind.CAMPAIGN: _mailing,
    Kind.SUPPORT: _support,
}
