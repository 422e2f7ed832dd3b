"""The door of the service: every request gets an id, and a body that cannot be answered goes no further.

BentoML would refuse a bad body too, in words of its own, without a request id, and with a traceback in its log.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from serving.events import EVENTS_ROUTE, LARGEST_BATCH_BYTES, EventBatch
from serving.recommend_schema import RECOMMEND_ROUTE, RecommendRequest
from serving.schema import WHOLE_BODY, Problem, ProblemResponse, ScoreRequest, problem_of

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

ROUTE = "/v1/score"
REQUEST_ID = "X-Request-ID"
LARGEST_BODY_BYTES = 2 * 1024 * 1024  # a thousand ids of the greatest length, every character escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What an endpoint takes: its body, how large, and what to say where it is too large or empty."""

    body: type[BaseModel]
    largest_bytes: int
    sends_many: str
    example: str


ENTRANCES: Mapping[str, Entrance] = {
    ROUTE: Entrance(
        body=ScoreRequest, largest_bytes=LARGEST_BODY_BYTES, sends_many="ids", example='{"customer_ids": ["1"]}'
    ),
    EVENTS_ROUTE: Entrance(
        body=EventBatch, largest_bytes=LARGEST_BATCH_BYTES, sends_many="messages", example='{"batch": [...]}'
    ),
    RECOMMEND_ROUTE: Entrance(
        body=RecommendRequest,
        largest_bytes=LARGEST_BODY_BYTES,
        sends_many="products",
        example='{"customer_id": "1", "count": 5}',
    ),
}
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)


class Door:
    """Pure-ASGI middleware: gives every request an id, and answers 400 to a bad body of the endpoint."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(REQUEST_ID, ""))
        scope.setdefault("state", {})["request_id"] = request_id
        entrance = ENTRANCES.get(scope["path"])
        if entrance is None or scope["method"] != "POST":
            await self._app(scope, receive, _with_id(send, request_id))
            return
        taken = await _take_in(scope, receive, entrance)
        if isinstance(taken, Problem):
            await refusal(taken, request_id=request_id, status=400)(scope, receive, send)
        elif taken is not None:
            await self._app(scope, _replay(taken, receive), _with_id(send, request_id))


def refusal(problem: Problem, *, request_id: str, status: int) -> Response:
    """Return the HTTP answer that names a problem."""
    told = ProblemResponse(error=problem, request_id=request_id).model_dump_json(exclude_none=True)
    return Response(told, status_code=status, media_type="application/json", headers={REQUEST_ID: request_id})


async def _take_in(scope: Scope, receive: Receive, entrance: Entrance) -> bytes | Problem | None:
    """Return a body that can be answered, or what is wrong with it; None where the client has gone."""
    media_type = Headers(scope=scope).get("content-type", "application/json").split(";")[0].strip().lower()
    if media_type != "application/json":
        return Problem(field="Content-Type", reason=f"it is {media_type[:100]!r}; send application/json")
    body = await _read(receive, largest_bytes=entrance.largest_bytes)
    if body is None:
        return None
    if len(body) > entrance.largest_bytes:
        reason = f"it is larger than {entrance.largest_bytes} bytes; send fewer {entrance.sends_many}"
        return Problem(field=WHOLE_BODY, reason=reason)
    if not body.strip():
        return Problem(field=WHOLE_BODY, reason=f"it is empty; send JSON such as {entrance.example}")
    try:
        entrance.body.model_validate_json(body)
    except ValidationError as error:
        return problem_of(error, entrance.body)
    return body


async def _read(receive: Receive, *, largest_bytes: int) -> bytes | None:
    """Return the body, of a body that is too large a part that is; None where the client has gone."""
    body = bytearray()
    while len(body) <= largest_bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_sent = False

    async def again() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_id(send: Send, request_id: str) -> Send:
    async def labelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[REQUEST_ID] = request_id
        await send(message)

    return labelled


def _request_id(asked: str) -> str:
    return asked if _SANE_ID.fullmatch(asked) else uuid.uuid4().hex
