"""Orders as events tell them: a completed order is a sale, a refund a return of its own, a cancellation a correction.

A refund is the return "<order id>/return", or "<order id>/return/<refund id>" where it has an id of its own: one with
the same id takes its place. A cancelled order stays cancelled, and so do its returns.

An order has one customer, who completed it first: events of others change nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from facts.ecommerce import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED
from facts.event_lines import Line, lines_of, refunded_lines
from facts.event_log.records import Event
from facts.order_names import RETURN, made_order, named_order, return_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order with its lines, in one version."""

    order_id: str
    customer_id: str
    kind: str
    ordered_at: datetime
    received_at: datetime
    local_on: date
    local_weekday: int
    local_hour: int | None
    store_id: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the orders that some events are about.

    Parameters
    ----------
    orders
        Their current versions and those of their returns, by order id.
    earlier
        Refunds and cancellations by the id of the order that they are about, in the order of receipt.
    """

    orders: Mapping[str, Order]
    earlier: Mapping[str, Sequence[Event]]


def orders_of(events: Iterable[Event], known: Known, *, zone: ZoneInfo) -> list[Order]:
    """Return the versions of orders that events make, at most one event an order.

    An event that needs an order which is not known makes nothing; the order will, when it comes. One about another
    customer's order makes nothing, ever.
    """
    own = (event for event in events if not is_anothers(event, known))
    return [order for event in own for order in _MAKERS.get(event.event, _nothing)(event, known, zone)]


def is_anothers(event: Event, known: Known) -> bool:
    """Return whether an event is about an order that another customer has.

    A return of an order that is not known is whose it was told first.
    """
    names = named_order(event.event, event.properties), made_order(event.event, event.properties)
    held = next((known.orders[name] for name in names if name is not None and name in known.orders), None)
    return held is not None and held.customer_id != event.customer_id


def order_that_is_anothers(event: Event, *, zone: ZoneInfo) -> Order:
    """Return what an event would have made of another customer's order, without lines."""
    kind = {ORDER_COMPLETED: "sale", ORDER_REFUNDED: "return", ORDER_CANCELLED: "cancelled"}[event.event]
    names = made_order(event.event, event.properties) or order_id_of(event)
    return _order(event, str(names), kind, (), zone)


def rounds_of(events: Iterable[Event]) -> list[list[Event]]:
    """Split events, in their order, so that no round has two about one order: each sees what the one before made."""
    rounds: list[list[Event]] = []
    next_round: dict[str, int] = {}
    for event in events:
        order_id, place = order_id_of(event), 0
        if order_id is not None:
            place = next_round.get(order_id, 0)
            next_round[order_id] = place + 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(event)
    return rounds


def order_id_of(event: Event) -> str | None:
    """Return the id of the order that an event makes or changes, None where it does neither."""
    return named_order(event.event, event.properties)


def _completed(event: Event, known: Known, zone: ZoneInfo) -> Iterator[Order]:
    order_id = str(event.properties["order_id"])
    sale = _order(event, order_id, "sale", lines_of(event.properties) or (), zone)
    earlier = _own_earlier(event, known)
    if _is_cancelled(event, known):
        yield replace(sale, kind="cancelled")
        yield from _cancelled_returns(event, known)
        return
    yield sale
    last_sound = {
        made.order_id: (refund, made)
        for refund in earlier
        if refund.event == ORDER_REFUNDED and (made := _return(refund, sale, zone)) is not None
    }
    for refund, made in last_sound.values():
        if refunded_lines(refund.properties, None) is None:  # the others were made when they came
            yield replace(made, received_at=max(made.received_at, sale.received_at))


def _refunded(event: Event, known: Known, zone: ZoneInfo) -> Iterator[Order]:
    order_id = str(event.properties["order_id"])
    if not _is_cancelled(event, known):
        made = _return(event, known.orders.get(order_id), zone)
        if made is not None:
            yield made


def _cancelled(event: Event, known: Known, _zone: ZoneInfo) -> Iterator[Order]:
    order_id = str(event.properties["order_id"])
    order = known.orders.get(order_id)
    if order is not None:
        yield replace(order, kind="cancelled", received_at=max(event.received_at, order.ordered_at))
    yield from _cancelled_returns(event, known)


def _nothing(_event: Event, _known: Known, _zone: ZoneInfo) -> Iterator[Order]:
    yield from ()


_MAKERS = {ORDER_COMPLETED: _completed, ORDER_REFUNDED: _refunded, ORDER_CANCELLED: _cancelled}


def _own_earlier(event: Event, known: Known) -> list[Event]:
    """Return the refunds and cancellations of an event's order that its own customer sent before it."""
    earlier = known.earlier.get(str(event.properties["order_id"]), ())
    return [before for before in earlier if before.customer_id == event.customer_id]


def _is_cancelled(event: Event, known: Known) -> bool:
    order = known.orders.get(str(event.properties["order_id"]))
    is_told = any(before.event == ORDER_CANCELLED for before in _own_earlier(event, known))
    return is_told or (order is not None and order.kind == "cancelled")


def _cancelled_returns(event: Event, known: Known) -> Iterator[Order]:
    """Yield the customer's returns of a cancelled order, cancelled too: they took back what was then never paid."""
    order_id = str(event.properties["order_id"])
    for made in known.orders.values():
        is_own = made.kind == "return" and made.customer_id == event.customer_id
        if is_own and made.order_id.partition(RETURN)[0] == order_id:
            lines = tuple(-line for line in made.lines)
            yield replace(made, kind="cancelled", lines=lines, received_at=max(event.received_at, made.ordered_at))


def _order(event: Event, order_id: str, kind: str, lines: tuple[Line, ...], zone: ZoneInfo) -> Order:
    local, store = event.occurred_at.astimezone(zone), event.properties.get("affiliation")
    return Order(
        order_id=order_id,
        customer_id=event.customer_id,
        kind=kind,
        ordered_at=event.occurred_at,
        received_at=event.received_at,
        local_on=local.date(),
        local_weekday=local.weekday(),
        local_hour=local.hour,
        store_id=store if isinstance(store, str) else None,
        lines=lines,
    )


def _return(refund: Event, order: Order | None, zone: ZoneInfo) -> Order | None:
    lines = refunded_lines(refund.properties, None if order is None else order.lines)
    if lines is None:
        return None
    return _order(refund, _return_id(refund), "return", tuple(-line for line in lines), zone)


def _return_id(refund: Event) -> str:
    return return_id(str(refund.properties["order_id"]), refund.properties.get("refund_id"))
