"""A body that cannot be answered gets 400 with the field and the reason, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import corner_shop as shop
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from serving.door import LARGEST_BODY_BYTES

JSON = {"Content-Type": "application/json"}
GOOD = {"customer_ids": [shop.REGULAR_IDS[0]]}
FIELDS, TASKS = "known: customer_ids, features, reasons, tasks", "known: churn, clv, next_order, repurchase"
OUR_WORDS = ("it is ", "it has ", "no field named ", "no task named ")


def refused(client: TestClient, body: str | bytes, headers: dict[str, str] = JSON) -> dict[str, str]:
    response = client.post("/v1/score", content=body, headers=headers)
    told = response.json()
    assert response.status_code == 400, told
    assert set(told) == {"error", "request_id"}
    assert response.headers["X-Request-ID"] == told["request_id"]
    assert "Traceback" not in response.text
    return told["error"]


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "customer_ids", "it is required"),
        (GOOD | {"taskz": ["clv"]}, "taskz", f"no field named 'taskz'; did you mean 'tasks'? {FIELDS}"),
        ({"customerids": ["1"]}, "customerids", f"no field named 'customerids'; did you mean 'customer_ids'? {FIELDS}"),
        (GOOD | {"zzz": 1}, "zzz", "no field named 'zzz'; known: customer_ids, features, reasons, tasks"),
        (GOOD | {"tasks": ["clv", "chrun"]}, "tasks.1", f"no task named 'chrun'; did you mean 'churn'? {TASKS}"),
        (GOOD | {"tasks": [7]}, "tasks.0", "no task named '7'; known: churn, clv, next_order, repurchase"),
        (GOOD | {"tasks": []}, "tasks", "it has 0 items, at least 1 is needed"),
        (GOOD | {"tasks": "clv"}, "tasks", "it is a string, not a list"),
        (GOOD | {"tasks": [None]}, "tasks.0", "no task named 'null'; known: churn, clv, next_order, repurchase"),
        ({"customer_ids": []}, "customer_ids", "it has 0 items, at least 1 is needed"),
        ({"customer_ids": "1"}, "customer_ids", "it is a string, not a list"),
        ({"customer_ids": {"1": 1}}, "customer_ids", "it is an object, not a list"),
        ({"customer_ids": None}, "customer_ids", "it is null, not a list"),
        ({"customer_ids": ["1", "2", "3", 4]}, "customer_ids.3", "it is 4, not a string"),
        ({"customer_ids": ["1", None]}, "customer_ids.1", "it is null, not a string"),
        ({"customer_ids": ["1", ""]}, "customer_ids.1", "it has 0 characters, at least 1 is needed"),
        ({"customer_ids": ["1", "1\0"]}, "customer_ids.1", "it has a NUL character"),
        ({"customer_ids": ["\0", "1"]}, "customer_ids.0", "it has a NUL character"),
        ({"customer_ids": ["x" * 129]}, "customer_ids.0", "it has 129 characters, at most 128 are allowed"),
        ({"customer_ids": ["1"] * 1001}, "customer_ids", "it has 1,001 items, at most 1,000 are allowed"),
        (GOOD | {"reasons": -1}, "reasons", "it is -1, at least 0 is needed"),
        (GOOD | {"reasons": 21}, "reasons", "it is 21, at most 20 is allowed"),
        (GOOD | {"reasons": 10**99}, "reasons", f"it is 1{59 * '0'}, at most 20 is allowed"),
        (GOOD | {"reasons": "3"}, "reasons", "it is a string, not a whole number"),
        (GOOD | {"reasons": 2.5}, "reasons", "it is 2.5, not a whole number"),
        (GOOD | {"reasons": True}, "reasons", "it is true, not a whole number"),
        (GOOD | {"features": 1}, "features", "it is 1, not true or false"),
        ([GOOD], "body", "it is a list, not an object"),
        ("1", "body", "it is a string, not an object"),
        (None, "body", "it is null, not an object"),
    ],
)  # fmt: skip
def test_the_field_and_the_reason_are_named(client: TestClient, body: object, field: str, reason: str) -> None:
    assert refused(client, json.dumps(body)) == {"field": field, "reason": reason}


@pytest.mark.parametrize(
    "body", [b"{", b"customer_ids=1", b"\xff\xfe", b'{"customer_ids": ["\\ud800"]}', b"[" * 100_000]
)
def test_what_is_not_json(client: TestClient, body: bytes) -> None:
    error = refused(client, body)
    assert error["field"] == "body"
    assert error["reason"].startswith("it is not JSON: ")


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body(client: TestClient, body: bytes) -> None:
    assert refused(client, body) == {
        "field": "body",
        "reason": 'it is empty; send JSON such as {"customer_ids": ["1"]}',
    }


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/vnd.bentoml+pickle",
    ],
)
def test_another_content_type(client: TestClient, media_type: str) -> None:
    error = refused(client, json.dumps(GOOD), {"Content-Type": media_type})
    assert error["field"] == "Content-Type"
    assert error["reason"].endswith("send application/json")


def test_the_content_type_may_be_left_out_or_have_a_parameter(client: TestClient) -> None:
    for headers in ({}, {"Content-Type": "Application/JSON; charset=utf-8"}):
        assert client.post("/v1/score", content=json.dumps(GOOD), headers=headers).status_code == 200


def test_a_body_that_is_too_large(client: TestClient) -> None:
    error = refused(client, b" " * (LARGEST_BODY_BYTES + 1))
    assert error == {"field": "body", "reason": "it is larger than 2097152 bytes; send fewer ids"}


def test_the_largest_body_that_can_be_answered_is_answered(client: TestClient) -> None:
    body = json.dumps({"customer_ids": ["\U0001f600" * 128] * 1000})
    assert client.post("/v1/score", content=body, headers=JSON).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method(client: TestClient, method: str) -> None:
    assert client.request(method, "/v1/score").status_code == 405


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
_ids = st.lists(st.text(st.characters(codec="utf-8"), max_size=140) | st.sampled_from(shop.REGULAR_IDS) | _anything)
_near = st.fixed_dictionaries(
    {"customer_ids": _ids | _anything},
    optional={
        "tasks": st.lists(st.sampled_from(["repurchase", "churn", "clv", "clw"])) | _anything,
        "reasons": st.integers(-2, 23) | _anything,
        "features": st.booleans() | _anything,
        "more": _anything,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_near | _anything)
@example(body={"customer_ids": ["\x00"], "reasons": 20, "features": True})
@example(body={"customer_ids": [f"{shop.REGULAR_IDS[0]}\x00", shop.REGULAR_IDS[0]]})
@example(body={"customer_ids": ["\ud800", shop.REGULAR_IDS[0]]})
@example(body={"customer_ids": [shop.REGULAR_IDS[0], "x"], "reasons": 20, "features": True})
def test_no_body_breaks_the_service(client: TestClient, body: Any) -> None:
    _is_answered(client, json.dumps(body).encode())


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200))
def test_no_bytes_break_the_service(client: TestClient, body: bytes) -> None:
    _is_answered(client, body)


def _is_answered(client: TestClient, body: bytes) -> None:
    response = client.post("/v1/score", content=body, headers=JSON)
    assert response.status_code in {200, 400}, response.text
    told = response.json()
    assert told["request_id"]
    if response.status_code == 400:
        assert told["error"]["field"]
        assert told["error"]["reason"].startswith(OUR_WORDS)
