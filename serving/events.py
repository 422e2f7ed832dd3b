"""Events in: what `POST /v1/events` is sent and what it answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from facts.ecommerce import IDENTIFY, LONGEST_ID
from facts.event_log import KEPT_DAYS, EventLog, Rejection
from facts.segment import LARGEST_PROPERTIES_BYTES, TOLERANCE, read_batch
from serving.clock import TICK, Clock

EVENTS_ROUTE = "/v1/events"
MOST_MESSAGES = 1_000
LARGEST_BATCH_BYTES = 5 * 1024 * 1024

_TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
_MESSAGE = {
    "type": "object",
    "required": ["type", "messageId", "userId"],
    "properties": {
        "type": {"type": "string", "enum": ["track", "identify", "page", "screen"]},
        "messageId": _TEXT | {"description": "The message's own id: the same message sent again is taken once"},
        "userId": _TEXT | {"description": "The shop's id of the customer"},
        "event": _TEXT | {"description": "Of a track message: Segment's e-commerce name, or any other"},
        "properties": {
            "type": "object",
            "description": f"At most {LARGEST_PROPERTIES_BYTES:,} bytes; checked where Segment names the event",
        },
        "traits": {"type": "object", "description": f"Of an identify message; it is an event named {IDENTIFY}"},
        "timestamp": {
            "type": "string",
            "format": "date-time",
            "description": f"When it happened, with an offset, in the last {KEPT_DAYS} days and at most "
            f"{TOLERANCE // timedelta(minutes=1)} minutes ahead; when it is received, where it is not said",
        },
        "context": {"type": "object", "description": "Not kept"},
    },
}


class EventBatch(BaseModel):
    """Messages in Segment's batch format; what stands beside them is not looked at."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        json_schema_extra={
            "example": {
                "batch": [
                    {
                        "type": "track",
                        "messageId": "8f1c2e34-0001",
                        "userId": "1",
                        "event": "Product Viewed",
                        "properties": {"product_id": "1029743", "category": "dairy", "price": 2.49},
                    }
                ]
            }
        },
    )

    batch: list[Annotated[Any, WithJsonSchema(_MESSAGE)]] = Field(
        min_length=1, max_length=MOST_MESSAGES, description="Each is taken or rejected for itself"
    )


class RejectedMessage(BaseModel):
    """A message that was not taken, and why; sent again as it is, it is rejected again."""

    index: int = Field(description="Its place in the batch, from 0", examples=[3])
    message_id: str | None = Field(
        default=None, description="Its messageId, where it has one", examples=["8f1c2e34-0001"]
    )
    field: str | None = Field(default=None, description="The field at fault", examples=["properties.price"])
    reason: str = Field(description="One sentence", examples=["it is '19.99', not a number"])


class EventsResponse(BaseModel):
    """What became of a batch: the three counts are the number of its messages."""

    accepted: int = Field(description="Messages taken; they are on disk", examples=[1])
    duplicates: int = Field(description="Messages that had been taken before", examples=[0])
    rejected: list[RejectedMessage] = Field(description="The others, in the order of the batch")
    request_id: str = Field(
        description="The request's X-Request-ID, or one made for it; the X-Request-ID of the response too",
        examples=["6f0f1f6c2b0f4c0f9d7f0d8b6a1e2c3d"],
    )


def take_in(
    batch: EventBatch, log: EventLog, *, received_at: datetime, currency: str, request_id: str
) -> EventsResponse:
    """Put the messages of a batch into the log and say what became of each.

    Raises
    ------
    EventLogFailed
        The log does not answer; nothing was acknowledged.
    """
    read = read_batch(batch.batch, received_at=received_at, currency=currency)
    appended = log.append(read.messages, received_at=received_at)
    rejected = sorted((*read.rejected, *appended.rejected), key=lambda rejection: rejection.index)
    return EventsResponse(
        accepted=appended.accepted,
        duplicates=appended.duplicates,
        rejected=[_told(rejection) for rejection in rejected],
        request_id=request_id,
    )


def received_now(clock: Clock) -> datetime:
    """Return the time of receipt of what arrives now: known from the next question on, where the clock stands too."""
    return clock.now() if clock.stands_at is None else clock.stands_at - TICK


def _told(rejection: Rejection) -> RejectedMessage:
    return RejectedMessage(
        index=rejection.index, message_id=rejection.message_id, field=rejection.field, reason=rejection.reason
    )
