"""`POST /v1/recommend` and products near others, over HTTP: answers, refusals, and what events change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from corner_shop import Serve
from openapi_page import described, described_as
from starlette.testclient import TestClient

from facts.feed import take_feed
from facts.home import Home
from facts.lake import Lake
from features.build import build_snapshots
from features.materialize import materialize
from features.recommending.night import drop_night, read_night, write_night
from features.store import apply_definitions
from tests.builders import at
from tests.market import DAYS, GONE, ODD, ONCE


@pytest.fixture(scope="module")
def stall(market: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The market with a registry and an online store, so that it can be served."""
    home = Home(shutil.copytree(market.folder, tmp_path_factory.mktemp("stall") / "home"))
    lake = Lake(home.lake)
    build_snapshots(lake, (at(DAYS - 7), at(DAYS)))
    materialize(apply_definitions(home), home, as_of=at(DAYS))
    return home


@pytest.fixture(scope="module")
def client(stall: Home, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    served = Home(shutil.copytree(stall.folder, tmp_path_factory.mktemp("served") / "home"))  # others copy the stall
    with serve(served) as client:
        yield client


def ask(client: TestClient, status: int = 200, **told: object) -> dict[str, Any]:
    response = client.post("/v1/recommend", content=json.dumps(told))
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    assert answer["request_id"] == response.headers["X-Request-ID"]
    return answer


def products(answer: dict[str, Any]) -> list[str]:
    return [given["product_id"] for given in answer["products"]]


def test_a_known_customer_gets_products_with_reasons(client):
    answer = ask(client, customer_id="c0", count=5)
    assert (answer["status"], len(answer["products"]), answer["model"]) == ("ok", 5, "regulars-recommender/1")
    assert all(given["reason"] and given["source"] == "own" for given in answer["products"][:2])
    assert answer["products_as_of"] == at(DAYS).isoformat().replace("+00:00", "Z")


def test_an_unknown_customer_is_told_to_be_one(client):
    answer = ask(client, customer_id="who? ünknown", count=3, context_product_ids=[ODD, "no such"])
    assert answer["status"] == "unknown_customer"
    assert "no basket of this customer is known" in answer["detail"]
    assert answer["unknown_product_ids"] == ["no such"]
    assert ODD not in products(answer)
    assert answer["products"][0]["reason"] == f"often bought with {ODD}"


def test_kinds_filters_and_exclusions(client):
    usual = products(ask(client, customer_id="c0", count=200))
    new = products(ask(client, customer_id="c0", count=200, kind="discover"))
    assert set(new) < set(usual)
    excluded = ask(client, customer_id="c0", count=200, exclude_product_ids=[*usual[:3], "no such"])
    assert set(usual) - set(products(excluded)) == set(usual[:3])
    only = products(ask(client, customer_id="c0", count=200, filters={"category": ["garden"]}))
    assert only
    assert all(name.startswith("garden") for name in only)
    none = ask(client, customer_id="c0", filters={"category": ["no such"]})
    said = "no product is of category 'no such'; 0 of 10 found: no more products may be offered"
    assert (none["products"], none["detail"]) == ([], said)


def test_what_is_due_has_its_dates(client):
    answer = ask(client, customer_id="c0", kind="replenish")
    assert answer["products"]
    for given in answer["products"]:
        due = given["due"]
        assert due["earliest_at"] <= due["expected_at"] <= due["latest_at"]
        assert 0 < due["probability"] < 1
    assert all("due" not in given for given in ask(client, customer_id="c0")["products"])


def test_a_cart_of_five_hundred_is_answered(client):
    cart = [f"garden-{number % 10}" for number in range(500)]
    assert not set(cart) & set(products(ask(client, customer_id="c1", count=50, context_product_ids=cart)))


def test_a_customer_with_one_order_is_known(client):
    answer = ask(client, customer_id=ONCE)
    assert answer["status"] == "ok"
    assert "care-1" in products(answer)
    assert ask(client, customer_id=ONCE, kind="replenish")["products"] == []


@pytest.mark.parametrize(
    ("told", "field", "said"),
    [
        ({}, "customer_id", "it is required"),
        ({"customer_id": "c0", "count": 0}, "count", "it is 0, at least 1 is needed"),
        ({"customer_id": "c0", "count": 10_000}, "count", "it is 10000, at most 200 is allowed"),
        ({"customer_id": "c0", "count": "5"}, "count", "it is a string, not a whole number"),
        ({"customer_id": "c0", "kind": "replennish"}, "kind", "did you mean 'replenish'?"),
        ({"customer_id": "c0", "filters": {"colour": ["red"]}}, "filters", "no 'colour' to filter by"),
        ({"customer_id": "c0", "filters": {"brand": "x"}}, "filters.brand", "it is a string, not a list"),
        ({"customer_id": "c0", "filters": []}, "filters", "it is a list, not an object"),
        ({"customer_id": "c0", "contxt": []}, "contxt", "no field named 'contxt'"),
        ({"customer_id": "c0", "repeat_share": -1}, "repeat_share", "it is -1, at least 0.0 is needed"),
        ({"customer_id": "c0", "diversity": 2}, "diversity", "it is 2, at most 1.0 is allowed"),
        ({"customer_id": "c0", "context_product_ids": [""]}, "context_product_ids.0", "it has 0 characters"),
        ({"customer_id": ""}, "customer_id", "it has 0 characters"),
    ],
)
def test_what_cannot_be_answered_is_said(client, told, field, said):
    error = ask(client, 400, **told)["error"]
    assert error["field"] == field
    assert said in error["reason"]


def test_products_near_another(client):
    for how in ("similar", "bought_together"):
        found = client.get("/v1/products/dairy-1/" + how, params={"count": 5}).json()
        named = [near["product_id"] for near in found["products"]]
        assert len(named) == 5
        assert sum(name.startswith("dairy") or name == ODD for name in named) >= 4
        likeness = [near["likeness"] for near in found["products"]]
        assert likeness == sorted(likeness, reverse=True)
        assert GONE not in named
    odd = client.get("/v1/products/K%C3%A4se%203%2F%CF%89/similar")
    assert (odd.status_code, odd.json()["product_id"]) == (200, ODD)


def test_a_list_repeats_no_more_than_is_asked_for(client):
    usual, half, none = (
        ask(client, customer_id="c0", count=10, **told)["products"]
        for told in ({}, {"repeat_share": 0.5}, {"repeat_share": 0})
    )
    repeated = [sum(given["source"] == "own" for given in found) for found in (usual, half, none)]
    assert repeated[0] > 5 >= repeated[1] > repeated[2] == 0
    assert len(usual) == len(half) == len(none) == 10


def test_the_categories_that_a_customer_leans_to(client):
    answer = client.get("/v1/customers/c0/categories", params={"count": 3}).json()
    assert answer["status"] == "ok"
    first, second, _ = answer["categories"]
    assert first["category"] == "dairy"
    assert first["probability"] > 0.7 > second["probability"]
    assert first["affinity"] > 2
    assert first["due"]["earliest_at"] <= first["due"]["expected_at"] <= first["due"]["latest_at"]
    assert set(first["bought_together"]) == {"bakery", "care", "garden"}
    nobody = client.get("/v1/customers/no%2Fbody/categories").json()
    assert (nobody["customer_id"], nobody["status"]) == ("no/body", "unknown_customer")
    assert {found["affinity"] for found in nobody["categories"]} == {1.0}
    assert not any("due" in found for found in nobody["categories"])


def test_a_product_that_is_not_known_and_a_bad_count_are_said(client):
    gone = client.get("/v1/products/no%20such/similar")
    assert (gone.status_code, gone.json()["error"]["reason"]) == (404, "no product 'no such' is known")
    many = client.get("/v1/products/dairy-1/similar", params={"count": "99"})
    assert (many.status_code, many.json()["error"]["field"]) == (400, "count")
    long = client.get(f"/v1/customers/{'x' * 129}/categories")
    assert (long.status_code, long.json()["error"]["field"]) == (400, "customer_id")


def test_the_page_describes_the_answers(client):
    page = client.get("/docs.json").json()
    for told, status in (({"customer_id": "c0"}, 200), ({"customer_id": "nobody"}, 200), ({"customer_id": ""}, 400)):
        answer = client.post("/v1/recommend", content=json.dumps(told))
        assert answer.status_code == status
        assert described(page, answer) is not None
    near = page["paths"]["/v1/products/{product_id}/similar"]["get"]
    for path, status in (("dairy-1/similar", 200), ("no such/similar", 404), ("dairy-1/similar?count=x", 400)):
        answer = client.get(f"/v1/products/{path}")
        assert answer.status_code == status
        assert described_as(page, answer, near) is not None
    categories = page["paths"]["/v1/customers/{customer_id}/categories"]["get"]
    for path in ("c0/categories", "nobody/categories", "c0/categories?count=0"):
        assert described_as(page, client.get(f"/v1/customers/{path}"), categories) is not None


# From here on other homes are served in this process, and what is looked up by an id is answered from the last one.


def test_events_change_the_next_answer(stall: Home, serve: Serve, tmp_path):
    home = Home(shutil.copytree(stall.folder, tmp_path / "home"))
    now = at(DAYS) + timedelta(hours=2)

    def event(name: str, number: int, **properties: object) -> dict[str, Any]:
        return {
            "type": "track", "messageId": f"live-{number}", "userId": ONCE, "event": name, "properties": properties,
            "timestamp": (now - timedelta(minutes=30)).isoformat(),
        }  # fmt: skip

    with serve(home, as_of=now) as client:
        before = ask(client, customer_id=ONCE, count=100)
        sent = client.post(
            "/v1/events", content=json.dumps({"batch": [event("Product Added", 1, product_id="garden-2")]})
        )
        assert sent.json()["accepted"] == 1, sent.text
        cart = ask(client, customer_id=ONCE, count=100)
        assert "garden-2" in products(before)
        assert "garden-2" not in products(cart)
        assert [p for p in cart["products"] if p["source"] == "together"]
        lines = [{"product_id": ODD, "price": 2, "quantity": 1}]
        order = event("Order Completed", 2, order_id="live-order", products=lines, total=2)
        assert client.post("/v1/events", content=json.dumps({"batch": [order]})).json()["accepted"] == 1
        after = ask(client, customer_id=ONCE, count=100)
        (odd,) = (given for given in after["products"] if given["product_id"] == ODD)
        assert (odd["source"], odd["reason"]) == ("own", "bought less than a day ago")


def test_a_category_is_leaned_to_from_its_event_on(stall: Home, serve: Serve, tmp_path):
    home = Home(shutil.copytree(stall.folder, tmp_path / "home"))
    now = at(DAYS) + timedelta(hours=2)
    order = {
        "type": "track", "messageId": "1", "userId": ONCE, "event": "Order Completed",
        "timestamp": (now - timedelta(minutes=30)).isoformat(),
        "properties": {"order_id": "live", "total": 2, "products": [{"product_id": ODD, "price": 2, "quantity": 1}]},
    }  # fmt: skip

    def dairy(client: TestClient) -> dict[str, Any]:
        found = client.get(f"/v1/customers/{ONCE}/categories").json()["categories"]
        return next(of for of in found if of["category"] == "dairy")

    with serve(home, as_of=now) as client:
        before = dairy(client)
        assert client.post("/v1/events", content=json.dumps({"batch": [order]})).json()["accepted"] == 1
        after = dairy(client)
    assert (before["basket_count"], after["basket_count"]) == (0, 1)
    assert after["probability"] > before["probability"]
    assert "last_bought_at" not in before
    assert after["last_bought_at"] == order["timestamp"].replace("+00:00", "Z")


def test_what_is_out_of_stock_is_offered_no_longer(stall: Home, serve: Serve, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.recommend.LOOK_AGAIN_SECONDS", 0.0)
    home = Home(shutil.copytree(stall.folder, tmp_path / "home"))
    feed = tmp_path / "feed.csv"
    with serve(home) as client:
        usual = products(ask(client, customer_id="c0", count=200))
        feed.write_text("id,availability\n" + "".join(f"{name},in_stock\n" for name in usual[5:]))
        take_feed(home, feed)
        assert set(products(ask(client, customer_id="c0", count=200))) == set(usual[5:])
        near = client.get("/v1/products/dairy-1/similar", params={"count": 30}).json()["products"]
        assert not {given["product_id"] for given in near} & set(usual[:5])


def test_a_night_that_cannot_be_read_is_not_taken(stall: Home, serve: Serve, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.recommend.LOOK_AGAIN_SECONDS", 0.0)
    home = Home(shutil.copytree(stall.folder, tmp_path / "home"))
    with serve(home) as client:
        before = products(ask(client, customer_id="c0"))
        (home.shelf / "current.json").write_text("{")
        assert products(ask(client, customer_id="c0")) == before
        write_night(home, read_night(stall))
        assert products(ask(client, customer_id="c0", kind="discover"))


def test_without_a_champion_or_a_night_the_command_is_named(stall: Home, serve: Serve, tmp_path):
    home = Home(shutil.copytree(stall.folder, tmp_path / "home"))
    drop_night(home)
    with serve(home) as client:
        assert "run `regulars materialize`" in ask(client, 503, customer_id="c0")["error"]["reason"]
        assert client.get("/v1/products/dairy-1/similar").status_code == 503
    (home.folder / "mlflow.db").unlink()
    with serve(home) as client:
        assert "run `regulars recommender train`" in ask(client, 503, customer_id="c0")["error"]["reason"]
