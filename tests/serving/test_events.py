"""`POST /v1/events` over a real log: what is answered, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import corner_shop as shop
import jsonschema
import pytest
from corner_shop import Serve, environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from facts.event_log import EVENT_LOG, Event, EventLogFailed, open_event_log
from facts.home import Home
from scoring.model import TaskModel
from serving.clock import TICK, Clock
from serving.events import LARGEST_BATCH_BYTES, EventsResponse, received_now
from tests.redis_server import RedisServer

ANN = shop.REGULAR_IDS[0]


def track(message_id: str = "m-1", user_id: str = ANN, **more: object) -> dict[str, Any]:
    return {"type": "track", "messageId": message_id, "userId": user_id, "event": "Sneezed"} | more


def send(client: TestClient, *messages: object) -> dict[str, Any]:
    response = client.post("/v1/events", content=json.dumps({"batch": list(messages)}))
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    EventsResponse.model_validate(told)
    assert told["accepted"] + told["duplicates"] + len(told["rejected"]) == len(messages)
    assert told["request_id"] == response.headers["X-Request-ID"]
    return told


def kept(home: Home, *customer_ids: str) -> list[Event]:
    log = open_event_log(home)
    found = log.recent(customer_ids, since=shop.FROM, known_before=shop.UNTIL + TICK)
    log.close()
    return [event for events in found.values() for event in events]


@pytest.fixture(scope="module")
def client(home: Home, champions: dict[str, TaskModel], serve: Serve) -> Iterator[TestClient]:
    assert champions
    with serve(home) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_log(home: Home) -> None:
    log = open_event_log(home)
    if waiting := log.undrained(10_000):
        log.mark_drained(waiting[-1].position)
    log.prune(shop.UNTIL + TICK)
    log.close()


class TestAnswers:
    def test_accepted_duplicate_and_rejected_each_for_itself(self, client: TestClient, home: Home) -> None:
        send(client, track("known"), track("other", "bob"))
        messages = [track("new"), track("known"), track("other"), 5, track("m-4", event=None), track("new")]
        told = send(client, *messages)
        assert (told["accepted"], told["duplicates"]) == (1, 2)
        assert told["rejected"] == [
            {
                "index": 2,
                "message_id": "other",
                "field": "messageId",
                "reason": "message_id already used by another message",
            },
            {"index": 3, "reason": "it is 5, not an object"},
            {"index": 4, "message_id": "m-4", "field": "event", "reason": "it is required"},
        ]
        assert [event.message_id for event in kept(home, ANN, "bob")] == ["known", "new", "other"]

    def test_what_is_kept(self, client: TestClient, home: Home) -> None:
        happened = shop.UNTIL - timedelta(hours=2)
        send(client, track(properties={"a": ["é", 1.5]}, timestamp=happened.isoformat(), context={"ip": "1"}))
        assert kept(home, ANN) == [
            Event(
                message_id="m-1",
                customer_id=ANN,
                event="Sneezed",
                occurred_at=happened,
                received_at=shop.UNTIL,
                properties={"a": ["é", 1.5]},
            )
        ]

    def test_a_thousand(self, client: TestClient, home: Home) -> None:
        messages = [track(f"m-{n}") for n in range(1000)]
        assert send(client, *messages)["accepted"] == 1000
        assert send(client, *messages)["duplicates"] == 1000
        assert len(kept(home, ANN)) == 1000

    def test_a_property_of_a_megabyte_holds_up_no_other(self, client: TestClient) -> None:
        told = send(client, track(properties={"photo": "x" * 1_000_000}), track("m-2"))
        assert told["accepted"] == 1
        assert told["rejected"][0]["field"] == "properties"

    @pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
    def test_a_number_that_is_none(self, client: TestClient, number: str) -> None:
        text = json.dumps({"batch": [track(properties={"x": [7]}), track("m-2")]}).replace("7", number)
        told = client.post("/v1/events", content=text).json()
        assert (told["accepted"], told["rejected"][0]["field"]) == (1, "properties.x.0")

    def test_a_nul(self, client: TestClient) -> None:
        told = send(client, track(properties={"x": "\0"}), track(user_id="a\0"))
        assert [rejection["field"] for rejection in told["rejected"]] == ["properties.x", "userId"]

    def test_amounts_in_another_currency(self, client: TestClient) -> None:
        properties = {"order_id": "1", "total": 3, "currency": "USD"}
        told = send(client, track(event="Order Completed", properties=properties))
        reason = "it is 'USD', the shop's is 'EUR'; send amounts in that"
        assert told["rejected"][0]["reason"] == reason

    def test_the_page_shows_the_answer(self, client: TestClient) -> None:
        page = client.get("/docs.json").json()
        response = client.post("/v1/events", json={"batch": [track(), 5]})
        answers = page["paths"]["/v1/events"]["post"]["responses"]
        schema = answers["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(response.json(), {**schema, "components": page["components"]})
        assert set(answers) == {"200", "400", "500", "503"}
        request = page["components"]["schemas"]["EventBatchIODescriptor"]
        assert request["example"]["batch"]
        assert send(client, *request["example"]["batch"])["accepted"] == 1


class TestTime:
    def test_what_is_sent_to_a_standing_shop_is_known_at_its_now(self) -> None:
        assert received_now(Clock.of(shop.SHOP)) == shop.UNTIL
        assert received_now(Clock(shop.FROM)) == shop.FROM - TICK
        before = Clock().now()
        assert before <= received_now(Clock()) <= Clock().now()

    def test_the_future_and_the_past_of_the_shops_clock(self, client: TestClient, home: Home) -> None:
        ahead, future = shop.UNTIL + timedelta(minutes=4), shop.UNTIL + timedelta(minutes=6)
        told = send(
            client,
            track("m-1", timestamp=ahead.isoformat()),
            track("m-2", timestamp=future.isoformat()),
            track("m-3", timestamp=(shop.UNTIL - timedelta(days=31)).isoformat()),
        )
        assert [rejection["message_id"] for rejection in told["rejected"]] == ["m-2", "m-3"]
        assert "more than 5 minutes after the shop's now" in told["rejected"][0]["reason"]
        assert "bring it in as a file with `regulars ingest`" in told["rejected"][1]["reason"]
        assert [event.occurred_at for event in kept(home, ANN)] == [shop.UNTIL]


class TestTheNextAnswer:
    def test_a_strangers_first_order_is_known(self, client: TestClient) -> None:
        assert self._ask(client, "bob")["status"] == "unknown_customer"
        bought = {"order_id": "first", "total": 30, "currency": "EUR", "products": []}
        send(client, track("bobs", "bob", event="Order Completed", properties=bought))
        result = self._ask(client, "bob")
        assert result["status"] == "insufficient_data"
        assert result["detail"] == f"the first order came after the last snapshot, {shop.UNTIL:%Y-%m-%d %H:%M} UTC"
        assert result["features"]["order_count_since_snapshot"] == 1
        assert result["features"]["spend_amount_since_snapshot"] == 30
        assert result["features"]["order_count_365d"] is None

    def _ask(self, client: TestClient, customer_id: str) -> dict[str, Any]:
        response = client.post("/v1/score", json={"customer_ids": [customer_id], "features": True})
        result: dict[str, Any] = response.json()["results"][0]
        return result


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "field", "reason"),
        [
            ({}, "batch", "it is required"),
            ({"batch": []}, "batch", "it has 0 items, at least 1 is needed"),
            ({"batch": [1] * 1001}, "batch", "it has 1,001 items, at most 1,000 are allowed"),
            ({"batch": {}}, "batch", "it is an object, not a list"),
            ([track()], "body", "it is a list, not an object"),
            (track(), "batch", "it is required"),
        ],
    )
    def test_what_is_no_batch(self, client: TestClient, body: object, field: str, reason: str) -> None:
        response = client.post("/v1/events", json=body)
        assert response.status_code == 400
        assert response.json()["error"] == {"field": field, "reason": reason}
        assert response.headers["X-Request-ID"] == response.json()["request_id"]

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", 'it is empty; send JSON such as {"batch": [...]}'),
            (b"x" * (LARGEST_BATCH_BYTES + 1), "it is larger than 5242880 bytes; send fewer messages"),
        ],
        ids=["empty", "too large"],
    )
    def test_the_whole_body(self, client: TestClient, body: bytes, reason: str) -> None:
        response = client.post("/v1/events", content=body)
        assert response.json()["error"] == {"field": "body", "reason": reason}

    @pytest.mark.parametrize("body", [b"{", b"\xff", b'{"batch": ["\\ud800"]}', b"[" * 100_000])
    def test_no_json(self, client: TestClient, body: bytes) -> None:
        response = client.post("/v1/events", content=body)
        assert response.status_code == 400
        assert response.json()["error"]["reason"].startswith("it is not JSON: ")

    def test_what_stands_beside_the_batch_is_not_looked_at(self, client: TestClient) -> None:
        body = {"batch": [track()], "sentAt": "2024-06-30T23:59:59Z", "writeKey": "x", "context": {}}
        assert client.post("/v1/events", json=body).json()["accepted"] == 1

    def test_another_method_and_another_content_type(self, client: TestClient) -> None:
        assert client.get("/v1/events").status_code == 405
        response = client.post("/v1/events", content=b"x", headers={"Content-Type": "text/plain"})
        assert response.json()["error"]["field"] == "Content-Type"


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(["type", "messageId", "userId", "event", "properties", "traits", "timestamp"])
_messages = st.dictionaries(_names, _anything | st.sampled_from(["track", "identify", "m-1", "Order Completed"]))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.fixed_dictionaries({"batch": st.lists(_messages | _anything, max_size=4) | _anything}) | _anything)
def test_no_body_breaks_the_service(client: TestClient, body: Any) -> None:
    response = client.post("/v1/events", content=json.dumps(body))
    assert response.status_code in {200, 400}, response.text
    if response.status_code == 200:
        told = EventsResponse.model_validate(response.json())
        assert told.accepted + told.duplicates + len(told.rejected) == len(body["batch"])
    else:
        assert response.json()["error"]["reason"]


@pytest.mark.usefixtures("champions")
class TestLogs:
    def test_a_log_that_cannot_be_written_is_503_and_nothing_is_acknowledged(
        self, home: Home, tmp_path: Path, serve: Serve
    ) -> None:
        server = RedisServer(tmp_path).start()
        with environment(**{EVENT_LOG: server.address}), serve(home) as client:
            assert send(client, track())["accepted"] == 1
            server.kill()
            response = client.post("/v1/events", json={"batch": [track("m-2")]})
            assert response.status_code == 503
            reason = response.json()["error"]["reason"]
            assert reason.startswith(f"event log {server.address}: ")
            assert "nothing was acknowledged" in reason
            response = client.post("/v1/score", json={"customer_ids": [ANN]})
            assert response.status_code == 503
            reason = response.json()["error"]["reason"]
            assert "the last events could not be read" in reason
            assert "acknowledged" not in reason
            assert client.get("/readyz").status_code == 503
            server.start()
            told = send(client, track(), track("m-2"))
            assert (told["accepted"], told["duplicates"]) == (1, 1)
            assert client.get("/readyz").status_code == 200
        server.kill()

    def test_a_log_that_would_lose_events_is_not_served(self, home: Home, tmp_path: Path, serve: Serve) -> None:
        server = RedisServer(tmp_path, settings=()).start()
        with (
            environment(**{EVENT_LOG: server.address}),
            pytest.raises(EventLogFailed, match="the server has appendonly no"),
            serve(home),
        ):
            pass
        server.kill()
