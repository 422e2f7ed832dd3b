"""How features grow with the shop.

Simulated shops of growing size, one cutoff at the end of their record, every feature but those of a fitted model. Each
step runs in a process of its own, so that its peak memory is its own. The slope is that of log time on log customers:
1 is linear. Simulating and ingesting come before it and are told, not compared. Training (a search of no trials, of the
sample of customers that a large shop is trained on) and scoring into a file follow, over five cutoffs.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import feast  # noqa: F401 - its seconds of import are not those of a step
import pyarrow.parquet as pq

from benchmarks.figures import GIGABYTE, ROOT, Figure
from benchmarks.peers import peak_memory_bytes, run_pandas, run_regulars
from facts.home import Home
from facts.ingest import ingest, simulated
from facts.lake import Lake
from features.build import build_snapshots
from features.materialize import materialize
from features.store import TTL, apply_definitions, open_registered
from scoring.batch import score_lake
from scoring.registry import read_version
from simulation.run import simulate
from training.known import Known
from training.pipeline import read_versions, train
from training.plan import plan
from training.tasks import TASKS
from training.trials import Budget

SIZES = (10_000, 100_000, 1_000_000)
LARGEST_FOR_PANDAS = 100_000
LARGEST_ONLINE = 100_000
DAYS = 365
GIGABYTES = 6.0
ONLINE_SECONDS, ONLINE_GIGABYTES = 5.0, 1.0
HORIZON_DAYS, CUTOFFS = 30, 5  # a horizon apart: two to learn from, two to validate and test on, and one to score
TRAINING_GIGABYTES = 8.0
SCORED_PER_SECOND = 50_000


def step(name: str, folder: Path, customers: int) -> dict[str, float]:
    """Do one step of one size in this process; return its seconds, peak memory and rows."""
    started = time.perf_counter()
    rows = STEPS[name](folder, customers)
    return {"seconds": time.perf_counter() - started, "peak_gigabytes": peak_memory_bytes() / GIGABYTE, "rows": rows}


def _simulate(folder: Path, customers: int) -> int:
    simulate(customers=customers, seed=1, days=DAYS, output=folder / "shop", has_browsing=False)
    return customers


def _ingest(folder: Path, _customers: int) -> int:
    return ingest(simulated.read(folder / "shop"), Lake(folder / "lake")).stored["orders"].rows


def _features(folder: Path, _customers: int) -> int:
    lake, output = Lake(folder / "lake"), folder / "features.parquet"
    run_regulars(lake, [lake.shop().observed_until - timedelta(days=1)], output)
    return _row_count(output)


def _pandas(folder: Path, _customers: int) -> int:
    lake, output = Lake(folder / "lake"), folder / "pandas.parquet"
    run_pandas(lake, [lake.shop().observed_until - timedelta(days=1)], output)
    return _row_count(output)


def _build(folder: Path, _customers: int) -> int:
    lake = Lake(folder / "lake")
    return build_snapshots(lake, [lake.shop().observed_until - timedelta(days=1)]).stored.rows


def _apply(folder: Path, _customers: int) -> int:
    return len(apply_definitions(Home(folder)).list_feature_views())


def _materialize(folder: Path, customers: int) -> int:
    home = Home(folder)
    materialize(open_registered(home), home, as_of=Lake(home.lake).shop().observed_until)
    return customers


def _history(folder: Path, _customers: int) -> int:
    lake = Lake(folder / "lake")
    last = lake.shop().observed_until - timedelta(days=1)
    return build_snapshots(lake, [last - back * timedelta(days=HORIZON_DAYS) for back in range(CUTOFFS)]).stored.rows


def _train(folder: Path, _customers: int) -> int:
    home = Home(folder)
    plans = plan(Lake(home.lake), list(TASKS), horizon_days=HORIZON_DAYS, budget=Budget(trials=0)).ready
    known = Known(apply_definitions(home), Lake(home.lake))
    reports = [train(one, home, known).report for one in plans]
    return sum(report["train_rows"] + report["test_rows"] for report in reports)


def _score(folder: Path, _customers: int) -> int:
    home = Home(folder)
    lake = Lake(home.lake)
    models = {found.task: read_version(home, found.task, found.version) for found in read_versions(home)}
    as_of = lake.shop().observed_until - timedelta(days=1)
    return score_lake(lake, models, folder / "scores.parquet", as_of=as_of, ttl=TTL).total()


STEPS = {
    "simulate": _simulate,
    "ingest": _ingest,
    "features": _features,
    "pandas": _pandas,
    "build": _build,
    "apply": _apply,
    "materialize": _materialize,
    "history": _history,
    "train": _train,
    "score": _score,
}


def _row_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _run(name: str, folder: Path, customers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scale", name, str(folder), str(customers)]
    environment = os.environ | {"REGULARS_HOME": str(folder), "OMP_WAIT_POLICY": "PASSIVE"}  # as the command line does
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of log time on log size, by least squares."""
    return statistics.linear_regression([math.log(n) for n in sizes], [math.log(s) for s in seconds]).slope


def bench_scale(_work: Path) -> list[Figure]:
    """Return what every step of every size takes, the slope, and how pandas stands beside it."""
    figures, seconds = [], []
    for customers in SIZES:
        with tempfile.TemporaryDirectory(prefix="regulars-scale-") as folder:
            taken = {name: _run(name, Path(folder), customers) for name in _steps_of(customers)}
        figures += [_figure(name, customers, taken) for name in taken]
        seconds.append(taken["features"]["seconds"])
    found = slope(SIZES, seconds)
    return [
        *figures,
        Figure(part="scale", subject="slope of log time on log customers", note=f"{found:.2f}; 1: linear"),
    ]


def _steps_of(customers: int) -> list[str]:
    steps = ["simulate", "ingest", "features"]
    if customers <= LARGEST_FOR_PANDAS:
        steps.append("pandas")
    if customers <= LARGEST_ONLINE:
        steps += ["build", "apply", "materialize"]
    return [*steps, "history", "train", "score"]


def _figure(name: str, customers: int, taken: Mapping[str, Mapping[str, float]]) -> Figure:
    told = taken[name]
    goal, is_met, note = "", None, f"{told['rows']:,.0f} rows"
    if name == "features" and customers == SIZES[-1]:
        goal, is_met = f"under {GIGABYTES:g} GB", told["peak_gigabytes"] < GIGABYTES
    if name == "materialize" and customers == LARGEST_ONLINE:
        goal = f"at most {ONLINE_SECONDS:g} s and {ONLINE_GIGABYTES:g} GB"
        is_met = told["seconds"] <= ONLINE_SECONDS and told["peak_gigabytes"] <= ONLINE_GIGABYTES
    if name == "train" and customers == SIZES[-1]:
        goal, is_met = f"under {TRAINING_GIGABYTES:g} GB", told["peak_gigabytes"] < TRAINING_GIGABYTES
    if name == "score" and customers == SIZES[-1]:
        goal, is_met = f"{SCORED_PER_SECOND:,} a second", told["rows"] / told["seconds"] >= SCORED_PER_SECOND
    if name == "pandas":
        note = f"{told['seconds'] / taken['features']['seconds']:.1f} x slower"
    return Figure(
        part="scale",
        subject=f"{customers:,} customers: {name}",
        seconds=told["seconds"],
        peak_gigabytes=told["peak_gigabytes"],
        per_second=told["rows"] / told["seconds"],
        note=note,
        goal=goal,
        is_met=is_met,
    )


if __name__ == "__main__":
    print(json.dumps(step(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
