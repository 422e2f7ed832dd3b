"""`GET /v1/products/{id}/similar` and `/bought_together`: products that lie near another."""

from __future__ import annotations

import logging
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facts.errors import RegularsError
from serving.clock import Clock
from serving.door import refusal
from serving.recommend import Recommendations, UnknownProduct
from serving.schema import Problem

PRODUCTS_PATH = "/v1/products"
MOST_NEAR = 30
How = Literal["similar", "bought_together"]
_log = logging.getLogger("bentoml.regulars")


def near_products(recommendations: Recommendations, clock: Clock, request: Request, how: How) -> Response:
    """Answer one request."""
    request_id: str = request.state.request_id
    product_id = request.path_params["product_id"]
    asked = request.query_params.get("count", "10")
    if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= MOST_NEAR):
        problem = Problem(field="count", reason=f"it is {asked[:60]!r}, not a whole number from 1 to {MOST_NEAR}")
        return refusal(problem, request_id=request_id, status=400)
    try:
        told = recommendations.near(product_id, how, count=int(asked), at=clock.now(), request_id=request_id)
    except UnknownProduct as error:
        return refusal(Problem(field="product_id", reason=str(error)), request_id=request_id, status=404)
    except RegularsError as error:
        _log.error("request %s: %s", request_id, error)
        return refusal(Problem(reason=str(error)), request_id=request_id, status=503)
    return Response(told.model_dump_json(exclude_none=True), media_type="application/json")


def _similar(request: Request) -> Response:
    return request.app.state.near(request, "similar")


def _bought_together(request: Request) -> Response:
    return request.app.state.near(request, "bought_together")


# An id may have a slash in it; the service puts its own `near` into the state when it starts.
NEAR_PRODUCTS = Starlette(
    routes=[
        Route("/{product_id:path}/similar", _similar, methods=["GET"]),
        Route("/{product_id:path}/bought_together", _bought_together, methods=["GET"]),
    ]
)
