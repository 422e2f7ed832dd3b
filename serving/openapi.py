"""The OpenAPI page: BentoML's, which tells of BentoML's refusals, with those that this service sends in their place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from serving.door import ROUTE, App, Message, Receive, Scope, Send
from serving.lookups import LOOKUPS, Lookup
from serving.schema import WHOLE_BODY, Problem, ProblemResponse

PAGE = "/docs.json"
REFUSALS: Mapping[str, str] = {
    "400": "The request cannot be answered; the reason says what to change",
    "404": "There is no such thing",
    "503": "What is needed for an answer is not there; the reason says which command brings it",
}
EXAMPLES: Mapping[str, Problem] = {
    "400": Problem(field=WHOLE_BODY, reason="it is a list, not an object"),
    "404": Problem(field="product_id", reason="no product '17' is known"),
    "503": Problem(
        reason="damaged file .regulars/online.db: no such table: regulars_customer_vector; run `regulars materialize`"
    ),
}
# Where an endpoint has a better one.
EXAMPLES_OF_ROUTE: Mapping[str, Mapping[str, Problem]] = {
    ROUTE: {"400": Problem(field="customer_ids.3", reason="it has 0 characters, at least 1 is needed")},
}
_OF_POSTS = ("400", "503")
_NEVER_SENT = ("InvalidArgument", "NotFound", "InternalServerError")  # BentoML's bodies
_REFERENCE = "#/components/schemas/{model}"
_ID = "6f0f1f6c2b0f4c0f9d7f0d8b6a1e2c3d"


def document_refusals(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return BentoML's page with the body of every refusal as `serving.door.refusal` writes it, and an example each."""
    problem = ProblemResponse.model_json_schema(ref_template=_REFERENCE)
    schemas = {name: told for name, told in page["components"]["schemas"].items() if name not in _NEVER_SENT}
    schemas |= problem.pop("$defs") | {ProblemResponse.__name__: problem}
    paths = {route: _with_refusals(route, operations) for route, operations in page["paths"].items()}
    for model in {lookup.response for lookup in LOOKUPS}:
        told = model.model_json_schema(ref_template=_REFERENCE)
        schemas |= told.pop("$defs", {}) | {model.__name__: told}
    paths |= {lookup.path: {"get": _looked_up(lookup)} for lookup in LOOKUPS}
    return {**page, "components": {**page["components"], "schemas": schemas}, "paths": paths}


class Documented:
    """Pure-ASGI middleware: puts our refusals on the page that BentoML answers."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let every request through, the page's answer with our refusals on it."""
        is_page = scope["type"] == "http" and scope["path"] == PAGE and scope["method"] == "GET"
        await self._app(scope, receive, _amended(send) if is_page else send)


def _with_refusals(route: str, operations: Mapping[str, Any]) -> dict[str, Any]:
    post = operations.get("post", {})
    if "x-bentoml-name" not in post:  # a probe, not an endpoint of ours
        return dict(operations)
    sent = {status: told for status, told in post["responses"].items() if int(status) < 400}  # noqa: PLR2004 - no error
    fault = {"500": {"description": "A fault of the service; its log tells of it"}}
    refused = {status: _refusal(route, status) for status in _OF_POSTS}
    return {**operations, "post": {**post, "responses": sent | refused | fault}}


def _looked_up(lookup: Lookup) -> dict[str, Any]:
    """Return what the page says of a lookup: BentoML does not know the application that answers it."""
    count = {"type": "integer", "minimum": 1, "maximum": lookup.most, "default": 10}
    asked = [
        {"name": lookup.id_name, "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "count", "in": "query", "required": False, "schema": count},
    ]
    schema = {"$ref": _REFERENCE.format(model=lookup.response.__name__)}
    answered = {"200": {"description": lookup.said, "content": {"application/json": {"schema": schema}}}}
    refused = {status: _refusal(lookup.path, status) for status in REFUSALS}
    return {"summary": lookup.name, "description": lookup.said, "parameters": asked, "responses": answered | refused}


def _refusal(route: str, status: str) -> dict[str, Any]:
    problem = EXAMPLES_OF_ROUTE.get(route, {}).get(status, EXAMPLES[status])
    told = ProblemResponse(error=problem, request_id=_ID).model_dump(exclude_none=True)
    schema = {"$ref": _REFERENCE.format(model=ProblemResponse.__name__)}
    return {
        "description": REFUSALS[status],
        "content": {"application/json": {"schema": schema, "example": told}},
    }


def _amended(send: Send) -> Send:
    start: Message = {}
    body = bytearray()

    async def amend(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body", False):
            return
        told = bytes(body)
        if start["status"] == 200:  # noqa: PLR2004
            told = json.dumps(document_refusals(json.loads(told))).encode()
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(told)).encode())]})
        await send({"type": "http.response.body", "body": told})

    return amend
