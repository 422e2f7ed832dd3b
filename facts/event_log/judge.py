"""What becomes of messages, given what a log knows: new, a duplicate, or rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from facts.event_log.records import Appended, Message, Rejection, anothers, taken
from facts.order_names import made_order, named_order


@dataclass(frozen=True, slots=True)
class Judged:
    """The messages that are new, who has an order by them, and what becomes of all messages."""

    fresh: Sequence[Message]
    claims: Sequence[tuple[str, str]]
    appended: Appended


def judge(
    messages: Sequence[Message],
    known: dict[str, str],
    orders: Mapping[int, tuple[str | None, str | None]],
    owners: dict[str, str],
) -> Judged:
    """Judge messages one after the other.

    `known` is content by message id, `orders` the names of an order by a message's place, `owners` customer by order.
    """
    fresh: list[Message] = []
    rejected: list[Rejection] = []
    claims: list[tuple[str, str]] = []
    for place, message in enumerate(messages):
        content, (order_id, made_id) = known.get(message.message_id), orders.get(place, (None, None))
        owner = owners.get(order_id or "") or owners.get(made_id or "")
        if content is not None:
            rejected += [taken(message)] if content != message.content else []
        elif owner not in {None, message.customer_id}:
            rejected.append(anothers(message))
        else:
            known[message.message_id] = message.content
            fresh.append(message)
            if made_id is not None:
                owners[made_id] = message.customer_id
                claims.append((made_id, message.customer_id))
    duplicates = len(messages) - len(fresh) - len(rejected)
    return Judged(fresh, claims, Appended(accepted=len(fresh), duplicates=duplicates, rejected=tuple(rejected)))


def names_of(message: Message) -> tuple[str | None, str | None]:
    """Return the order that a message is about, and the order or return that it makes."""
    properties = from_json(message.properties)
    return named_order(message.event, properties), made_order(message.event, properties)
