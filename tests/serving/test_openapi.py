"""The OpenAPI page tells of the refusals that are really sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_page import described
from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def page(client: TestClient) -> dict[str, Any]:
    return client.get("/docs.json").json()


def test_a_refused_request_is_answered_as_the_page_shows(client: TestClient, page: dict[str, Any]) -> None:
    response = client.post("/v1/score", json={"customer_ids": ["1", "2", "3", ""]})
    assert response.status_code == 400
    shown = described(page, response)
    assert response.json()["error"] == shown["error"]
    assert set(response.json()) == set(shown)


def test_every_endpoint_tells_of_our_refusals_and_of_no_others(page: dict[str, Any]) -> None:
    endpoints = {path: told["post"] for path, told in page["paths"].items() if "x-bentoml-name" in told.get("post", {})}
    assert "/v1/score" in endpoints
    for endpoint in endpoints.values():
        assert set(endpoint["responses"]) == {"200", "400", "500", "503"}
        assert "content" not in endpoint["responses"]["500"]


def test_every_reference_leads_somewhere(page: dict[str, Any]) -> None:
    names = set(re.findall(r"'#/components/schemas/([^']+)'", str(page)))
    assert {"ProblemResponse", "Problem"} <= names <= set(page["components"]["schemas"])
    assert not {"InvalidArgument", "NotFound", "InternalServerError"} & set(page["components"]["schemas"])


def test_the_page_is_whole(client: TestClient) -> None:
    response = client.get("/docs.json")
    assert int(response.headers["content-length"]) == len(response.content)
    assert client.head("/docs.json").status_code in {200, 405}


def test_a_refused_batch_of_events_is_answered_as_the_page_shows(client: TestClient, page: dict[str, Any]) -> None:
    response = client.post("/v1/events", json=[])
    assert response.status_code == 400
    assert response.json()["error"] == described(page, response)["error"]
