"""The endpoint over a real store and a real registry."""

from __future__ import annotations

import math
import shutil
from datetime import timedelta

import corner_shop as shop
import numpy as np
import pytest
from corner_shop import Serve
from starlette.testclient import TestClient

from facts.errors import NotYet
from facts.home import Home
from features.statements import STATEMENTS
from scoring.model import TaskModel
from serving.clock import TICK
from serving.schema import TASKS, ScoreResponse

REGULAR, OTHER, LAPSED, STRANGER = shop.REGULAR_IDS[0], shop.REGULAR_IDS[5], shop.LAPSED_IDS[0], "nobody"


def ask(client: TestClient, *customer_ids: str, **more: object) -> dict:
    response = client.post("/v1/score", json={"customer_ids": list(customer_ids), **more})
    assert response.status_code == 200, response.text
    ScoreResponse.model_validate(response.json())
    return response.json()


class TestAnswers:
    def test_order_and_duplicates_of_the_request_are_kept(self, client: TestClient) -> None:
        asked = [OTHER, STRANGER, REGULAR, OTHER, LAPSED, STRANGER]
        results = ask(client, *asked)["results"]
        assert [result["customer_id"] for result in results] == asked
        assert results[0] == results[3]
        assert results[1] == results[5]

    def test_scores_are_those_of_the_models_on_the_snapshot(
        self, client: TestClient, home: Home, champions: dict[str, TaskModel]
    ) -> None:
        rows = shop.input_rows(home).loc[list(shop.REGULAR_IDS)]
        results = ask(client, *rows.index)["results"]
        for task, model in champions.items():
            assert [result[task][model.kind] for result in results] == model.score(shop.matrix_of(rows)).tolist()
            assert {result[task]["model"] for result in results} == {model.label}
            assert {result[task]["horizon_days"] for result in results} == {model.horizon_days}
        assert {result["clv"]["currency"] for result in results} == {"EUR"}

    def test_features_are_those_of_batch_scoring_bit_for_bit(self, client: TestClient, home: Home) -> None:
        rows = shop.input_rows(home)
        results = ask(client, *rows.index, features=True)["results"]
        assert all(list(result["features"]) == list(rows.columns) for result in results)
        served = np.array([list(result["features"].values()) for result in results], dtype=np.float32)
        assert served.tobytes() == shop.matrix_of(rows).tobytes()

    def test_a_score_does_not_depend_on_who_else_is_asked(self, client: TestClient) -> None:
        together = ask(client, *shop.REGULAR_IDS, *shop.LAPSED_IDS, reasons=3)["results"]
        assert together == [ask(client, result["customer_id"], reasons=3)["results"][0] for result in together]

    def test_all_tasks_and_no_reasons_by_default(self, client: TestClient) -> None:
        result = ask(client, REGULAR)["results"][0]
        assert set(result) == {"customer_id", "status", *TASKS, "features_as_of", "reasons"}
        assert result["reasons"] == []

    @pytest.mark.parametrize("task", TASKS)
    def test_only_the_tasks_asked_are_answered(self, client: TestClient, task: str) -> None:
        result = ask(client, REGULAR, tasks=[task, task])["results"][0]
        assert set(result) & set(TASKS) == {task}

    def test_a_thousand_customers(self, client: TestClient) -> None:
        ids = [f"{REGULAR}" if n % 2 else f"stranger-{n}" for n in range(1000)]
        assert [result["customer_id"] for result in ask(client, *ids)["results"]] == ids


class TestStatuses:
    def test_ok(self, client: TestClient) -> None:
        result = ask(client, REGULAR)["results"][0]
        assert result["status"] == "ok"
        assert "detail" not in result
        assert result["features_as_of"] == "2024-07-01T00:00:00Z"

    @pytest.mark.parametrize("customer_id", [STRANGER, shop.BROWSER_ID, " ", "\x01", "é" * 128, "'; --"])
    def test_unknown_customer(self, client: TestClient, customer_id: str) -> None:
        result = ask(client, customer_id, features=True, reasons=2)["results"][0]
        assert result == {
            "customer_id": customer_id,
            "status": "unknown_customer",
            "detail": "no order of this customer was known",
            "reasons": [],
        }

    def test_insufficient_data(self, client: TestClient) -> None:
        result = ask(client, LAPSED, reasons=2, features=True)["results"][0]
        assert result["status"] == "insufficient_data"
        assert result["detail"] == "orders in the last 90 days: needed at least 1, found 0"
        assert not set(result) & set(TASKS)
        assert result["features"]["order_count_365d"] == 1.0

    def test_stale_features_after_their_time_to_live(
        self, home: Home, champions: dict[str, TaskModel], serve: Serve
    ) -> None:
        assert champions
        with serve(home, as_of=shop.UNTIL + timedelta(days=15)) as client:
            assert ask(client, REGULAR)["results"][0]["status"] == "ok"
        with serve(home, as_of=shop.UNTIL + timedelta(days=15) + TICK) as client:
            result = ask(client, REGULAR, features=True)["results"][0]
        assert result["status"] == "stale_features"
        assert result["detail"] == "features are 15.0 days old, 15 are allowed"
        assert result["features_as_of"] == "2024-07-01T00:00:00Z"

    def test_features_newer_than_the_instant_are_not_known(
        self, home: Home, champions: dict[str, TaskModel], serve: Serve
    ) -> None:
        assert champions
        with serve(home, as_of=shop.UNTIL - TICK) as client:
            result = ask(client, REGULAR, features=True)["results"][0]
        assert result["status"] == "unknown_customer"
        assert not {"features", "features_as_of"} & set(result)


class TestReasons:
    def test_the_strongest_of_each_task_first(self, client: TestClient) -> None:
        given = ask(client, REGULAR, reasons=3)["results"][0]["reasons"]
        for task in TASKS:
            sizes = [abs(reason["contribution"]) for reason in given if reason["task"] == task]
            assert 1 <= len(sizes) <= 3
            assert sizes == sorted(sizes, reverse=True)

    def test_each_says_what_it_is(self, client: TestClient) -> None:
        result = ask(client, OTHER, reasons=20, features=True)["results"][0]
        for reason in result["reasons"]:
            known = {name: value for name, value in result["features"].items() if value is not None}
            spoken = next(statement for statement in STATEMENTS if statement.name == reason["name"])
            assert reason["statement"] == spoken.of(known, currency="EUR")
            assert reason["features"].items() <= result["features"].items()
            assert (reason["direction"] == "raises") == (reason["contribution"] > 0)
            assert 0 < reason["share"] <= 1

    @pytest.mark.parametrize("count", [1, 3, 20])
    def test_they_reconcile_with_the_score(
        self, client: TestClient, champions: dict[str, TaskModel], count: int
    ) -> None:
        result = ask(client, REGULAR, reasons=count)["results"][0]
        assert [told["task"] for told in result["reasons_sum"]] == list(TASKS)
        for told in result["reasons_sum"]:
            task, model = told["task"], champions[told["task"]]
            shown = sum(reason["contribution"] for reason in result["reasons"] if reason["task"] == task)
            assert told["base"] + shown + told["rest"] == pytest.approx(told["raw"], abs=1e-6)
            figure = {
                "log_odds": lambda raw: 1 / (1 + math.exp(-raw)),
                "identity": float,
                "log": math.exp,
                "log1p": math.expm1,
            }
            score = float(model.calibration.apply(np.array([figure[told["scale"]](told["raw"])]))[0])
            most = {"probability": 1, "amount": math.inf, "days": model.horizon_days}[model.kind]
            assert result[task][model.kind] == pytest.approx(min(max(score, 0), most), abs=1e-4 * max(1, score))


class TestAround:
    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics", "/docs.json", "/"])
    def test_probes_metrics_and_documentation_answer(self, client: TestClient, path: str) -> None:
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["X-Request-ID"]

    def test_the_documentation_describes_and_shows_every_field(self, client: TestClient) -> None:
        page = client.get("/docs.json").json()
        request = page["components"]["schemas"]["ScoreRequestIODescriptor"]
        assert all(field["description"] for field in request["properties"].values())
        assert request["example"]

    def test_a_request_id_is_kept(self, client: TestClient) -> None:
        body = {"customer_ids": [STRANGER]}
        response = client.post("/v1/score", json=body, headers={"X-Request-ID": "shop-7:42"})
        assert response.headers["X-Request-ID"] == response.json()["request_id"] == "shop-7:42"

    @pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "<script>"])
    def test_a_request_id_that_is_not_sane_is_replaced(self, client: TestClient, bad: str) -> None:
        response = client.post("/v1/score", json={"customer_ids": [STRANGER]}, headers={"X-Request-ID": bad})
        made = response.json()["request_id"]
        assert response.headers["X-Request-ID"] == made
        assert len(made) == 32

    def test_one_id_a_request(self, client: TestClient) -> None:
        assert ask(client, STRANGER)["request_id"] != ask(client, STRANGER)["request_id"]


class TestNothingToServe:
    def test_an_empty_home(self, tmp_path, serve: Serve) -> None:
        with pytest.raises(NotYet, match="no lake yet"), serve(Home(tmp_path)):
            pass
        assert not list(tmp_path.iterdir())

    def test_without_a_champion_events_are_taken_and_nobody_is_scored(
        self, stock: Home, serve: Serve, tmp_path
    ) -> None:
        home = Home(shutil.copytree(stock.folder, tmp_path / "home"))
        told = {"type": "track", "messageId": "m1", "userId": shop.REGULAR_IDS[0], "event": "Cart Viewed"}
        with serve(home) as client:
            assert client.get("/readyz").status_code == 200
            assert client.post("/v1/events", json={"batch": [told]}).json()["accepted"] == 1
            for body in ({"customer_ids": ["1"]}, {"customer_ids": ["1"], "tasks": ["churn"]}):
                response = client.post("/v1/score", json=body)
                assert response.status_code == 503
                assert response.json()["request_id"] == response.headers["X-Request-ID"]
                assert "no champion of any task yet; run `regulars train`" in response.json()["error"]["reason"]
                assert "then start the service again" in response.json()["error"]["reason"]
