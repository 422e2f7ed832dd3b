"""What is looked up by an id, with GET: products that lie near another, and the categories that a customer leans to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facts.errors import RegularsError
from serving.door import refusal
from serving.recommend import Recommendations, UnknownProduct
from serving.recommend_schema import CategoriesResponse, NearProductsResponse
from serving.schema import LONGEST_ID, Problem

_log = logging.getLogger("bentoml.regulars")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One thing that is looked up: `{parent}/{id}/{name}?count=`.

    `answer` takes recommendations, the id, and by keyword `count`, `at` and `request_id`.
    """

    parent: str
    id_name: str
    name: str
    most: int
    said: str
    response: type[BaseModel]
    answer: Callable[..., BaseModel]

    @property
    def path(self) -> str:
        """Return the path as the documentation shows it."""
        return f"{self.parent}/{{{self.id_name}}}/{self.name}"


PRODUCTS, CUSTOMERS = "/v1/products", "/v1/customers"
_PRODUCT: Mapping[str, Any] = {
    "parent": PRODUCTS,
    "id_name": "product_id",
    "most": 30,
    "response": NearProductsResponse,
}
LOOKUPS: tuple[Lookup, ...] = (
    Lookup(**_PRODUCT, name="similar", answer=Recommendations.similar, said="Products that the same customers buy"),
    Lookup(
        **_PRODUCT, name="bought_together", answer=Recommendations.bought_together, said="Products of the same baskets"
    ),
    Lookup(
        parent=CUSTOMERS,
        id_name="customer_id",
        name="categories",
        most=100,
        said="The product affinity map: categories by how likely the next basket holds them, and when they come again",
        response=CategoriesResponse,
        answer=Recommendations.categories,
    ),
)


def look_up(lookup: Lookup, request: Request) -> Response:
    """Answer one request from the recommendations and the clock that the application holds."""
    request_id: str = request.state.request_id
    asked = request.query_params.get("count", "10")
    if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= lookup.most):
        problem = Problem(field="count", reason=f"it is {asked[:60]!r}, not a whole number from 1 to {lookup.most}")
        return refusal(problem, request_id=request_id, status=400)
    thing = request.path_params["id"]
    if not 1 <= len(thing) <= LONGEST_ID:
        problem = Problem(field=lookup.id_name, reason=f"it has {len(thing)} characters, 1 to {LONGEST_ID} are allowed")
        return refusal(problem, request_id=request_id, status=400)
    try:
        recommendations, clock = request.app.state.recommendations, request.app.state.clock
        told = lookup.answer(recommendations, thing, count=int(asked), at=clock.now(), request_id=request_id)
    except UnknownProduct as error:
        return refusal(Problem(field=lookup.id_name, reason=str(error)), request_id=request_id, status=404)
    except RegularsError as error:
        _log.error("request %s: %s", request_id, error)
        return refusal(Problem(reason=str(error)), request_id=request_id, status=503)
    return Response(told.model_dump_json(exclude_none=True), media_type="application/json")


def _application(parent: str) -> Starlette:
    routes = [  # an id may have a slash in it
        Route(f"/{{id:path}}/{lookup.name}", partial(look_up, lookup), methods=["GET"])
        for lookup in LOOKUPS
        if lookup.parent == parent
    ]
    return Starlette(routes=routes)


# By the path that each is mounted at; the service puts what they answer from into their state when it starts.
APPLICATIONS: Mapping[str, Starlette] = {parent: _application(parent) for parent in (PRODUCTS, CUSTOMERS)}
