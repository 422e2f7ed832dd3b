"""Segment's batch format: from what an application sends to messages that the log takes, or why it does not.

Each message stands for itself: one that cannot be taken does not hold up the others. Kept are the message's id,
customer, name, time and properties (or traits); its context is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from facts.ecommerce import IDENTIFY, LONGEST_ID, PAGE, SCREEN, Unfit, checked, quoted
from facts.errors import UnknownName
from facts.event_log.records import KEPT_DAYS, Message, Rejection, content_of, json_text

TOLERANCE = timedelta(minutes=5)
LARGEST_PROPERTIES_BYTES = 32 * 1024
NOT_KEPT = ("alias", "group")
_NUL = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The messages of a batch that may enter the log, and the others, each with its place in the batch."""

    messages: tuple[Message, ...]
    rejected: tuple[Rejection, ...]


def read_batch(sent: Sequence[object], *, received_at: datetime, currency: str) -> Batch:
    """Check every message of a batch.

    Parameters
    ----------
    sent
        What stood under `batch`, as parsed JSON.
    received_at
        When it reached us. A message more than five minutes after it, or more than thirty days before it, is
        rejected; one that is a little after it happened at it, its sender's clock being ahead.
    currency
        The shop's, an ISO 4217 code.
    """
    messages: list[Message] = []
    rejected: list[Rejection] = []
    for index, told in enumerate(sent):
        try:
            messages.append(_message(told, index, received_at=received_at, currency=currency))
        except Unfit as unfit:
            known = told.get("messageId") if isinstance(told, dict) else None
            message_id = known if isinstance(known, str) and len(known) <= LONGEST_ID else None
            reason = Rejection(index=index, message_id=message_id, field=unfit.field or None, reason=unfit.reason)
            rejected.append(reason)
    return Batch(messages=tuple(messages), rejected=tuple(rejected))


def _message(told: object, index: int, *, received_at: datetime, currency: str) -> Message:
    if not isinstance(told, dict):
        raise Unfit("", f"it is {quoted(told)}, not an object")
    kind = _required_text(told, "type")
    if kind not in _KINDS:
        raise Unfit("type", _unknown(kind))
    message_id, customer_id = _required_text(told, "messageId"), _required_text(told, "userId")
    event, field = _KINDS[kind](told)
    own = told.get(field)
    if own is not None and not isinstance(own, dict):
        raise Unfit(field, f"it is {quoted(own)}, not an object")
    properties = checked(event, _of_page(told, own or {}), currency=currency)
    text = _text_of(properties, field)
    said_at = _timestamp(told, received_at)
    return Message(
        index=index,
        message_id=message_id,
        customer_id=customer_id,
        event=event,
        occurred_at=received_at if said_at is None else min(said_at, received_at),
        properties=text,
        content=content_of(customer_id, event, said_at, text),
    )


def _required_text(told: Mapping[str, Any], field: str) -> str:
    value = told.get(field)
    if value is None:
        raise Unfit(field, _REQUIRED.get(field, "it is required"))
    if not isinstance(value, str):
        raise Unfit(field, f"it is {quoted(value)}, not a text")
    if not value:
        raise Unfit(field, "it is empty")
    if not value.strip():
        raise Unfit(field, "it is blank")
    if len(value) > LONGEST_ID:
        raise Unfit(field, f"it has more than {LONGEST_ID} characters")
    if _NUL in value:
        raise Unfit(field, "it has a NUL character")
    return value


_REQUIRED = {"userId": "it is required; what an anonymous visitor does belongs to no customer"}


def _track(told: Mapping[str, Any]) -> tuple[str, str]:
    event = _required_text(told, "event")
    if event == IDENTIFY:
        raise Unfit("event", f"{IDENTIFY!r} is the name of messages of type 'identify'; send that type")
    return event, "properties"


# By type: from the message to the event's name and the field that says more.
_KINDS: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "track": _track,
    "identify": lambda _told: (IDENTIFY, "traits"),
    "page": lambda _told: (PAGE, "properties"),
    "screen": lambda _told: (SCREEN, "properties"),
}


def _unknown(kind: str) -> str:
    if kind in NOT_KEPT:
        return f"messages of type {kind!r} are not kept; send {', '.join(_KINDS)}"
    return str(UnknownName("type", quoted(kind)[1:-1], known=tuple(_KINDS)))


def _of_page(told: Mapping[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties with the name and category that a page or a screen has beside them."""
    if told["type"] not in {"page", "screen"}:
        return properties
    beside = {name: told[name] for name in ("name", "category") if isinstance(told.get(name), str)}
    return beside | properties


def _text_of(properties: Mapping[str, Any], field: str) -> str:
    try:
        text = json_text(properties)
    except ValueError:
        raise Unfit(*_first(properties, field, _not_finite)) from None
    if "\\u0000" in text and (found := next(_walk(properties, field, _has_nul), None)):
        raise Unfit(*found)
    if (size := len(text.encode())) > LARGEST_PROPERTIES_BYTES:
        reason = (
            f"it is {size:,} bytes, one message may have {LARGEST_PROPERTIES_BYTES:,}; send the id of what is large"
        )
        raise Unfit(field, reason)
    return text


def _timestamp(told: Mapping[str, Any], received_at: datetime) -> datetime | None:
    """Return when a message says that it happened, in UTC; None where it does not say."""
    text = told.get("timestamp")
    if text is None:
        return None
    instant = _instant(text)
    if instant is None:
        advice = "not an instant with an offset such as 2024-05-01T09:30:00.000Z"
        raise Unfit("timestamp", f"it is {quoted(text)}, {advice}")
    if instant > received_at + TOLERANCE:
        minutes = TOLERANCE // timedelta(minutes=1)
        reason = f"it is {quoted(text)}, more than {minutes} minutes after the shop's now, {received_at.isoformat()}"
        raise Unfit("timestamp", reason)
    if instant < received_at - timedelta(days=KEPT_DAYS):
        reason = f"it is {quoted(text)}, more than {KEPT_DAYS} days ago, longer than the log keeps"
        raise Unfit("timestamp", f"{reason}; bring it in as a file with `regulars ingest`")
    return instant


def _instant(text: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
        return instant.astimezone(UTC) if instant is not None and instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _first(told: object, place: str, wrong: Callable[[object], str | None]) -> tuple[str, str]:
    return next(_walk(told, place, wrong), (place, "it holds what JSON has not"))


def _walk(told: object, place: str, wrong: Callable[[object], str | None]) -> Iterator[tuple[str, str]]:
    """Yield the place and the reason of each value that is wrong, keys among them."""
    if isinstance(told, dict):
        for name, value in told.items():
            if (reason := wrong(name)) is not None:
                yield place, f"a name in it: {reason}"
            yield from _walk(value, f"{place}.{quoted(name)[1:-1]}", wrong)
    elif isinstance(told, list):
        for index, value in enumerate(told):
            yield from _walk(value, f"{place}.{index}", wrong)
    elif (reason := wrong(told)) is not None:
        yield place, reason


def _not_finite(value: object) -> str | None:
    return f"it is {value}, not a finite number" if isinstance(value, float) and not math.isfinite(value) else None


def _has_nul(value: object) -> str | None:
    return "it has a NUL character" if isinstance(value, str) and _NUL in value else None
