"""How many events a second one worker acknowledges as durable: `python -m benchmarks.events [HOME]`.

HOME is a home that can be served (`regulars demo` leaves one in `.regulars`); a copy of it is served, over HTTP on this
machine, by one worker, and the client takes its share of the same cores. Beside it, the same batches in one process:
parsed and checked, and appended to the log with a sync to disk each.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pydantic_core import from_json

from facts.event_log.in_sqlite import SqliteLog
from facts.home import Home
from facts.lake import Lake
from facts.segment import read_batch
from serving.clock import Clock
from serving.run import start_server

GOAL_PER_SECOND = 2_000
BATCH_EVENTS = 100
CUSTOMERS = 5_000
CLIENTS = (1, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Events a second, and milliseconds that a batch took."""

    subject: str
    events_per_second: float
    p50_milliseconds: float
    p99_milliseconds: float


def measure(home: Home, *, batches: int = 300) -> list[Rate]:
    """Return the rates in this process and over HTTP, each over so many batches of a hundred events.

    Raises
    ------
    RegularsError
        The home cannot be served.
    """
    shop = Lake(home.lake).shop()
    now = Clock.of(shop).now()
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder:
        copy = Home(Path(folder) / "home")
        shutil.copytree(home.folder, copy.folder, ignore=shutil.ignore_patterns("events.db*", "serving"))
        rates = _in_process(
            Path(folder), [_body("p", n, now, shop.currency) for n in range(batches)], now, shop.currency
        )
        with start_server(copy) as server:
            for clients in CLIENTS:
                bodies = [_body(f"h{clients}", n, now, shop.currency) for n in range(batches)]
                rates.append(_over_http(server.url, bodies, clients=clients))
    return rates


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


def _in_process(folder: Path, bodies: Sequence[bytes], now: datetime, currency: str) -> list[Rate]:
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


def _over_http(url: str, bodies: Sequence[bytes], *, clients: int) -> Rate:
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


def _rate(subject: str, seconds: Sequence[float], *, elapsed: float | None = None) -> Rate:
    marks = statistics.quantiles(seconds, n=100)
    return Rate(
        subject=subject,
        events_per_second=BATCH_EVENTS * len(seconds) / (sum(seconds) if elapsed is None else elapsed),
        p50_milliseconds=marks[49] * 1e3,
        p99_milliseconds=marks[98] * 1e3,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("home", nargs="?", type=Path, metavar="HOME")
    parser.add_argument("--batches", type=int, default=300)
    chosen = parser.parse_args()
    home = Home(chosen.home.absolute()) if chosen.home else Home.from_environment()
    print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, batches of {BATCH_EVENTS}, goal {GOAL_PER_SECOND:,} events a second"
    )
    for rate in measure(home, batches=chosen.batches):
        times = f"p50 {rate.p50_milliseconds:.1f} ms, p99 {rate.p99_milliseconds:.1f} ms a batch"
        print(f"{rate.subject:45} {rate.events_per_second:>8,.0f} events/s   {times}")


if __name__ == "__main__":
    main()
