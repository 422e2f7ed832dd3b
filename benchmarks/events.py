"""How many events a second one worker acknowledges as durable.

Over HTTP on this machine, one worker, the client taking its share of the same cores. Beside it, the same batches in one
process: parsed and checked, and appended to the log with a sync to disk each.
"""

from __future__ import annotations

import http.client
import json
import shutil
import statistics
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pydantic_core import from_json

from benchmarks.demo import demo_home
from benchmarks.figures import Figure
from facts.event_log.in_sqlite import SqliteLog
from facts.home import Home
from facts.lake import Lake
from facts.segment import read_batch
from serving.clock import Clock
from serving.run import start_server

GOAL_PER_SECOND = 2_000
BATCH_EVENTS = 100
BATCHES = 300
CUSTOMERS = 5_000
CLIENTS = (1, 4)


def bench_events(work: Path) -> list[Figure]:
    """Return the rates in this process and over HTTP, the latter of a copy of the demo's home."""
    copy = Home(work / "events")
    shutil.copytree(
        demo_home(work).folder, copy.folder, ignore=shutil.ignore_patterns("events.db*", "serving"), dirs_exist_ok=True
    )
    shop = Lake(copy.lake).shop()
    now = Clock.of(shop).now()
    figures = _in_process(work, [_body("p", n, now, shop.currency) for n in range(BATCHES)], now, shop.currency)
    with start_server(copy) as server:
        for clients in CLIENTS:
            bodies = [_body(f"h{clients}", n, now, shop.currency) for n in range(BATCHES)]
            figures.append(_over_http(server.url, bodies, clients=clients))
    return figures


def _body(run: str, batch: int, now: datetime, currency: str) -> bytes:
    """Return a batch of product views as a web shop sends them, half a kilobyte each."""
    messages = [
        {
            "type": "track",
            "messageId": f"{run}-{batch:06d}-{n:03d}-0123456789abcdef",
            "userId": f"customer-{(batch * 37 + n) % CUSTOMERS}",
            "event": "Product Viewed",
            "timestamp": (now - timedelta(seconds=n)).isoformat(),
            "properties": {
                "product_id": f"product-{n}",
                "category": "dairy",
                "name": "Milk, one litre",
                "brand": "farm",
                "price": 1.29,
                "quantity": 1,
                "currency": currency,
                "position": n,
            },
            "context": {
                "ip": "203.0.113.7",
                "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:126.0)",
                "library": {"name": "analytics.js", "version": "2.11.1"},
            },
        }
        for n in range(BATCH_EVENTS)
    ]
    return json.dumps({"batch": messages}).encode()


def _in_process(folder: Path, bodies: Sequence[bytes], now: datetime, currency: str) -> list[Figure]:
    log = SqliteLog.open(folder / "in_process.db")
    parsing, whole = [], []
    for body in bodies:
        started = time.perf_counter()
        batch = read_batch(from_json(body)["batch"], received_at=now, currency=currency)
        parsing.append(time.perf_counter() - started)
        appended = log.append(batch.messages, received_at=now)
        whole.append(time.perf_counter() - started)
        if appended.accepted != BATCH_EVENTS:
            raise RuntimeError(f"not accepted: {batch.rejected[:1]} {appended.rejected[:1]}")
    log.close()
    return [_rate("parse and check", parsing), _rate("parse, check and append to SQLite, synced", whole)]


def _over_http(url: str, bodies: Sequence[bytes], *, clients: int) -> Figure:
    seconds: list[float] = []
    shares = [bodies[n::clients] for n in range(clients)]
    threads = [threading.Thread(target=_send, args=(url, share, seconds)) for share in shares]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    if len(seconds) != len(bodies):
        raise RuntimeError(f"{len(bodies) - len(seconds)} of {len(bodies)} batches were not accepted")
    return _rate(f"over HTTP, one worker, {clients} connection{'s'[: clients > 1]}", seconds, elapsed=elapsed)


def _send(url: str, bodies: Sequence[bytes], seconds: list[float]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    for body in bodies:
        started = time.perf_counter()
        connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        if answer.get("accepted") != BATCH_EVENTS:
            return
        seconds.append(time.perf_counter() - started)
    connection.close()


def _rate(subject: str, seconds: Sequence[float], *, elapsed: float | None = None) -> Figure:
    """Return how long a batch takes, and how many events a second that makes; a goal where all is counted."""
    per_second = BATCH_EVENTS * len(seconds) / (sum(seconds) if elapsed is None else elapsed)
    return Figure(
        part="events",
        subject=subject,
        seconds=statistics.median(seconds),
        repeats=len(seconds),
        per_second=per_second,
        note=f"{BATCH_EVENTS} events a batch, p99 {1000 * statistics.quantiles(seconds, n=100)[98]:.1f} ms",
        goal="" if elapsed is None else f"at least {GOAL_PER_SECOND:,} a second",
        is_met=None if elapsed is None else per_second >= GOAL_PER_SECOND,
    )
