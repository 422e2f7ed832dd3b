"""How recommendations grow with the shop: Complete Journey, and simulated shops up to a million customers.

Each step runs in a process of its own, so that its peak memory is its own: a night is built and written, and then some
customers' questions are answered out of its files, as the endpoint answers them. Simulating and ingesting come before
it and are not measured. The ranking is trained once, without a search, on Complete Journey.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.figures import GIGABYTE, ROOT, Figure
from benchmarks.peers import peak_memory_bytes
from facts.home import Home
from facts.ingest import ingest, read_source
from facts.ingest.delivery import Delivery
from facts.lake import Lake, Shop
from features.recommending.asking import ask
from features.recommending.night import build_night, read_night, write_night
from scoring.ranker import read_ranker, write_ranker
from scoring.recommend import Wish, explain, recommend
from training.recommender.fitting import DEFAULTS, fit_ranker
from training.recommender.nights import plan_nights, read_night_questions
from training.recommender.questions import RankingRows, ranking_rows

SIZES = ((10_000, 10_000), (30_000, 100_000), (100_000, 1_000_000))  # products, customers
GIGABYTES, MILLISECONDS, LEARNING_SECONDS = 8.0, 3.0, 180.0
REAL = (0, 0)  # stands for Complete Journey among sizes
DAYS, BASKETS, PRODUCTS_MORE, CATEGORIES, HABITS, HABIT_RATE = 365, 5.0, 3.0, 200, 8, 0.6
ASKED, WARM = 2_000, 200  # customers who are measured, and who are asked about before them
MEGABYTE = 1e6
START = datetime(2025, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")
UNTIL = START + timedelta(days=DAYS)
Numbers = NDArray[np.int64]


def simulate(lake: Lake, *, products: int, customers: int, seed: int = 1) -> None:
    """Make a shop whose customers have habits, and buy what everyone buys beside them (by one over its rank)."""
    rng = np.random.default_rng(seed)
    baskets = 1 + rng.geometric(1 / (BASKETS - 1), customers)
    customer = np.repeat(np.arange(customers), baskets)
    sizes = 1 + rng.poisson(PRODUCTS_MORE, len(customer))
    order = np.repeat(np.arange(len(customer)), sizes)
    habits = _drawn(rng, products, customers * HABITS)
    own = habits[customer[order] * HABITS + rng.integers(HABITS, size=len(order))]
    product = np.where(rng.random(len(order)) < HABIT_RATE, own, _drawn(rng, products, len(order)))
    seconds = rng.integers(DAYS * 86_400, size=len(customer))
    number = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at = pa.array((int(START.timestamp()) + seconds) * 1_000_000).cast(INSTANT)
    money = pa.array(np.ones(len(order), dtype=np.int64)).cast(pa.decimal128(23, 4)).cast(pa.decimal128(18, 4))
    nothing = pc.subtract(money, money).cast(money.type)
    tables = {
        "customers": pa.table({
            "customer_id": _named("c", np.arange(customers)),
            "traits": pa.nulls(customers, "string"),
        }),
        "products": pa.table({
            "product_id": _named("p", np.arange(products)),
            "name": _named("product ", np.arange(products)),
            "category": _named("category ", np.arange(products) % CATEGORIES),
            **{name: pa.nulls(products, "string") for name in ("department", "brand", "size")},
            "is_private_label": pa.nulls(products, "bool"),
        }),
        "orders": pa.table({
            "order_id": _named("o", np.arange(len(customer))),
            "customer_id": _named("c", customer),
            "kind": pa.repeat("sale", len(customer)),
            "ordered_at": at,
            "received_at": at,
            "local_on": at.cast(pa.date32()),
            "local_weekday": pc.day_of_week(at).cast(pa.int8()),
            "local_hour": pc.hour(at).cast(pa.int8()),
            "store_id": pa.nulls(len(customer), "string"),
        }),
        "order_lines": pa.table({
            "order_id": _named("o", order),
            "line_number": number.astype(np.int32),
            "product_id": _named("p", product),
            "unit_count": np.ones(len(order), dtype=np.int64),
            "gross_amount": money,
            "net_amount": money,
            **dict.fromkeys(("discount_amount", "coupon_amount"), nothing),
        }),
        "events": pa.table({
            **{name: pa.array([], "string") for name in ("message_id", "customer_id", "event", "properties")},
            **{name: pa.array([], INSTANT) for name in ("occurred_at", "received_at")},
        }),
    }  # fmt: skip
    shop = Shop(
        name=f"{products:,} products",
        source="simulated",
        currency="EUR",
        timezone="UTC",
        observed_from=START,
        observed_until=UNTIL,
        clock="standing",
    )
    ingest(Delivery(shop=shop, tables={name: ibis.memtable(table) for name, table in tables.items()}), lake)


def _drawn(rng: np.random.Generator, products: int, count: int) -> Numbers:
    """Draw products by one over their rank."""
    rank = np.exp(rng.random(count) * math.log(products + 1)).astype(np.int64) - 1
    return np.minimum(rank, products - 1)


def _named(letter: str, numbers: Numbers) -> pa.Array:
    return pc.binary_join_element_wise(letter, pa.array(numbers).cast("string"), "")


def _ingest(home: Home, products: int, customers: int) -> dict[str, float]:
    lake = Lake(home.lake)
    if (products, customers) == REAL:
        ingest(read_source("complete-journey"), lake)
    else:
        simulate(lake, products=products, customers=customers)
    return {}


def _learn(home: Home, _products: int, _customers: int) -> dict[str, float]:
    lake = Lake(home.lake)
    plan = plan_nights(lake.shop())
    rows = [ranking_rows(read_night_questions(lake, cutoff, plan.wait)) for cutoff in plan.cutoffs[:-1]]
    home.search.mkdir(parents=True, exist_ok=True)
    write_ranker(fit_ranker(RankingRows.joined(rows), DEFAULTS, seed=1), home.search)
    return {}


def _build(home: Home, _products: int, _customers: int) -> dict[str, float]:
    lake = Lake(home.lake)
    write_night(home, build_night(lake, lake.shop().observed_until))
    return {"disk_gigabytes": sum(path.stat().st_size for path in home.shelf.rglob("*.npy")) / GIGABYTE}


def _answer(home: Home, _products: int, _customers: int) -> dict[str, float]:
    night, ranker = read_night(home), read_ranker(home.search)
    names = night.histories.customer_ids
    taken, looked = [], []
    for number in np.random.default_rng(2).integers(len(names), size=ASKED + WARM).tolist():
        started = time.perf_counter()
        asked = ask(night, [names.text(number)], {}, at=night.cutoff)
        lists = recommend(night, ranker, asked, Wish())
        explain(night, asked, lists)
        taken.append(time.perf_counter() - started)
        looked.append(len(lists.candidates.product))
    mapped, copied = _mapped(home.shelf)
    return {
        "p50_ms": 1_000 * float(np.median(taken[WARM:])),
        "p99_ms": 1_000 * float(np.percentile(taken[WARM:], 99)),
        "candidates": float(np.mean(looked)),
        "mapped_megabytes": mapped / MEGABYTE,
        "copied_megabytes": copied / MEGABYTE,
    }


def _mapped(folder: Path) -> tuple[int, int]:
    """Return the bytes of a folder's files that this process has mapped, and those that it has to itself."""
    mapped = copied = 0
    is_file = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        name, *told = line.split()
        if not name.endswith(":"):
            is_file = line.endswith(".npy") and str(folder) in line
        elif is_file and name == "Size:":
            mapped += int(told[0]) * 1_024
        elif is_file and name == "Anonymous:":
            copied += int(told[0]) * 1_024
    return mapped, copied


STEPS = {"ingest": _ingest, "learn": _learn, "build": _build, "answer": _answer}


def _run(name: str, folder: Path, products: int, customers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.recommender.scale", name, str(folder), str(products), str(customers)]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def bench_shelves(work: Path) -> list[Figure]:
    """Return what a night and an answer take, size by size."""
    return [figure for size in (REAL, *SIZES) for figure in _of_size(work, *size)]


def _of_size(work: Path, products: int, customers: int) -> Iterator[Figure]:
    name = f"{products:,} products, {customers:,} customers" if products else "Complete Journey"
    ranking = work / "ranking"
    with tempfile.TemporaryDirectory(prefix="regulars-shelves-", dir=work) as held:
        folder = Path(held)
        _run("ingest", folder, products, customers)
        if (products, customers) == REAL:
            yield _learned(name, _run("learn", folder, products, customers))
            Home(folder).search.rename(ranking)
        Home(folder).search.symlink_to(ranking)
        yield _built(name, _run("build", folder, products, customers), is_last=(products, customers) == SIZES[-1])
        yield _answered(name, _run("answer", folder, products, customers))


def _learned(shop: str, told: Mapping[str, float]) -> Figure:
    return Figure(
        part="shelves",
        subject=f"{shop}: four nights and a ranking learned",
        seconds=told["seconds"],
        peak_gigabytes=told["peak_gigabytes"],
        goal=f"at most {LEARNING_SECONDS:g} s",
        is_met=told["seconds"] <= LEARNING_SECONDS,
    )


def _built(shop: str, told: Mapping[str, float], *, is_last: bool) -> Figure:
    return Figure(
        part="shelves",
        subject=f"{shop}: a night",
        seconds=told["seconds"],
        peak_gigabytes=told["peak_gigabytes"],
        note=f"{told['disk_gigabytes']:.2f} GB of files",
        goal=f"under {GIGABYTES:g} GB" if is_last else "",
        is_met=told["peak_gigabytes"] < GIGABYTES if is_last else None,
    )


def _answered(shop: str, told: Mapping[str, float]) -> Figure:
    files = f"{told['mapped_megabytes']:.0f} MB of files mapped, {told['copied_megabytes']:.1f} MB of them copied"
    return Figure(
        part="shelves",
        subject=f"{shop}: an answer in process, p99",
        seconds=told["p99_ms"] / 1_000,
        note=f"p50 {told['p50_ms']:.1f} ms, {told['candidates']:.0f} candidates; {files}",
        goal=f"at most {MILLISECONDS:g} ms",
        is_met=told["p99_ms"] <= MILLISECONDS,
    )


def step(name: str, folder: Path, products: int, customers: int) -> dict[str, float]:
    """Do one step of one size in this process; return its seconds, its peak memory and what it measured."""
    started = time.perf_counter()
    figures = STEPS[name](Home(folder), products, customers)
    return {"seconds": time.perf_counter() - started, "peak_gigabytes": peak_memory_bytes() / GIGABYTE, **figures}


if __name__ == "__main__":
    print(json.dumps(step(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
