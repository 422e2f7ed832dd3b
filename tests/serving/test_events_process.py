"""Events over HTTP: several workers, one log, and a server that is killed."""

from __future__ import annotations

import shutil
import signal
from datetime import timedelta
from pathlib import Path

import corner_shop as shop
import httpx
import psutil

from facts.event_log import open_event_log
from facts.home import Home
from scoring.model import TaskModel
from serving.clock import TICK
from serving.run import start_server


def batch(number: int) -> dict[str, object]:
    said = {"type": "track", "event": "Sneezed", "properties": {"batch": number}}
    return {"batch": [said | {"messageId": f"{number}-{n}", "userId": shop.REGULAR_IDS[n]} for n in range(10)]}


def test_what_workers_acknowledged_is_there_after_a_kill(
    home: Home, champions: dict[str, TaskModel], tmp_path: Path
) -> None:
    assert champions
    own = Home(shutil.copytree(home.folder, tmp_path / "home", ignore=shutil.ignore_patterns("events.db*")))
    with start_server(own, workers=2) as server:
        # A new connection each time, so that both workers take part.
        told = [httpx.post(f"{server.url}/v1/events", json=batch(n), timeout=30).json() for n in range(20)]
        again = [httpx.post(f"{server.url}/v1/events", json=batch(n), timeout=30).json() for n in range(20)]
        workers = psutil.Process(server.pid).children(recursive=True)
        writers = [w for w in workers if any(f.path.endswith("events.db") for f in w.open_files())]
        for process in (psutil.Process(server.pid), *workers):
            process.send_signal(signal.SIGKILL)
    assert {(answer["accepted"], answer["duplicates"]) for answer in told} == {(10, 0)}
    assert {(answer["accepted"], answer["duplicates"]) for answer in again} == {(0, 10)}
    assert len(writers) == 2
    log = open_event_log(own)
    kept = log.recent(shop.REGULAR_IDS[:10], since=shop.FROM, known_before=shop.UNTIL + TICK)
    assert [len(events) for events in kept.values()] == [20] * 10
    assert len(log.undrained(1000)) == 200
    log.close()


def test_what_was_sent_is_in_the_next_answer_of_any_worker(
    home: Home, champions: dict[str, TaskModel], tmp_path: Path
) -> None:
    """Two workers, a new connection for every request: views and an order show at once, whoever answers."""
    assert champions
    own = Home(shutil.copytree(home.folder, tmp_path / "home", ignore=shutil.ignore_patterns("events.db*")))
    who, ago = shop.REGULAR_IDS[3], timedelta(minutes=5)
    told = {"type": "track", "userId": who, "timestamp": (shop.UNTIL - ago).isoformat()}
    view = told | {"event": "Product Viewed", "properties": {"product_id": "product-1", "category": "kind-1"}}
    order = told | {"event": "Order Completed", "properties": {"order_id": "live", "revenue": 12.5}}
    body = {"customer_ids": [who], "features": True}
    with start_server(own, workers=2) as server:

        def answers() -> list[dict[str, float | None]]:
            said = [httpx.post(f"{server.url}/v1/score", json=body, timeout=30).json() for _ in range(8)]
            assert all(answer["results"][0]["status"] == "ok" for answer in said)
            return [answer["results"][0]["features"] for answer in said]

        before = answers()
        for number in range(3):
            sent = httpx.post(
                f"{server.url}/v1/events", json={"batch": [view | {"messageId": f"v{number}"}]}, timeout=30
            )
            assert sent.json()["accepted"] == 1
            assert {known["product_view_count_30m"] for known in answers()} == {number + 1}
        httpx.post(f"{server.url}/v1/events", json={"batch": [order | {"messageId": "o"}]}, timeout=30)
        after = answers()
    assert {known["order_count_since_snapshot"] for known in before} == {0}
    assert {known["order_count_since_snapshot"] for known in after} == {1}
    assert {known["spend_amount_since_snapshot"] for known in after} == {12.5}
    assert {round((known["order_recency_live_days"] or 0) * 24 * 60) for known in after} == {5}
    assert min(known["order_recency_live_days"] or 0 for known in before) * 24 * 60 > 6
