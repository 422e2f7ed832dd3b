"""How features grow with the shop: `python -m benchmarks.scale [CUSTOMERS ...]`.

Simulated shops of growing size, one cutoff at the end of their record, every feature but those of a fitted model. Each
step runs in a process of its own, so that its peak memory is its own. The slope is that of log time on log customers:
1 is linear. Simulating and ingesting come before it and are told, not compared.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = (10_000, 100_000, 1_000_000)
LARGEST_FOR_PANDAS = 100_000
LARGEST_ONLINE = 100_000
DAYS = 365
GIGABYTE = 1e9


def step(name: str, folder: Path, customers: int) -> dict[str, float]:
    """Do one step of one size in this process; return its seconds, peak memory and rows."""
    from benchmarks.peers import peak_memory_bytes

    started = time.perf_counter()
    rows = STEPS[name](folder, customers)
    return {"seconds": time.perf_counter() - started, "peak_gigabytes": peak_memory_bytes() / GIGABYTE, "rows": rows}


def _simulate(folder: Path, customers: int) -> int:
    from simulation.run import simulate

    simulate(customers=customers, seed=1, days=DAYS, output=folder / "shop", has_browsing=False)
    return customers


def _ingest(folder: Path, _customers: int) -> int:
    from facts.ingest import ingest, simulated
    from facts.lake import Lake

    return ingest(simulated.read(folder / "shop"), Lake(folder / "lake")).stored["orders"].rows


def _features(folder: Path, _customers: int) -> int:
    from benchmarks.peers import run_regulars
    from facts.lake import Lake

    lake, output = Lake(folder / "lake"), folder / "features.parquet"
    run_regulars(lake, [lake.shop().observed_until - timedelta(days=1)], output)
    return _row_count(output)


def _pandas(folder: Path, _customers: int) -> int:
    from benchmarks.peers import run_pandas
    from facts.lake import Lake

    lake, output = Lake(folder / "lake"), folder / "pandas.parquet"
    run_pandas(lake, [lake.shop().observed_until - timedelta(days=1)], output)
    return _row_count(output)


def _build(folder: Path, _customers: int) -> int:
    from facts.lake import Lake
    from features.build import build_snapshots

    lake = Lake(folder / "lake")
    return build_snapshots(lake, [lake.shop().observed_until - timedelta(days=1)]).stored.rows


def _materialize(folder: Path, customers: int) -> int:
    from facts.home import Home
    from facts.lake import Lake
    from features.materialize import materialize
    from features.store import apply_definitions

    home = Home(folder)
    materialize(apply_definitions(home), home, as_of=Lake(home.lake).shop().observed_until)
    return customers


STEPS = {
    "simulate": _simulate,
    "ingest": _ingest,
    "features": _features,
    "pandas": _pandas,
    "build": _build,
    "materialize": _materialize,
}


def _row_count(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _run(name: str, folder: Path, customers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.scale", "--step", name, str(folder), str(customers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    rate = figures["rows"] / figures["seconds"]
    print(
        f"{customers:>9,} customers  {name:<12} {figures['seconds']:8.1f} s  {figures['peak_gigabytes']:5.2f} GB  "
        f"{figures['rows']:>11,.0f} rows  {rate:>9,.0f} rows/s",
        flush=True,
    )
    return figures


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the slope of log time on log size, by least squares."""
    x, y = [math.log(size) for size in sizes], [math.log(second) for second in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def main(sizes: Sequence[int]) -> None:
    """Print what every size takes, the slope, and how pandas stands beside it."""
    taken = []
    for customers in sizes:
        with tempfile.TemporaryDirectory(prefix="regulars-scale-") as temporary:
            folder = Path(temporary)
            for name in ("simulate", "ingest"):
                _run(name, folder, customers)
            ours = _run("features", folder, customers)
            taken.append(ours["seconds"])
            if customers <= LARGEST_FOR_PANDAS:
                theirs = _run("pandas", folder, customers)
                print(
                    f"{customers:>9,} customers  pandas takes {theirs['seconds'] / ours['seconds']:.1f} x", flush=True
                )
            if customers <= LARGEST_ONLINE:
                for name in ("build", "materialize"):
                    _run(name, folder, customers)
    if len(sizes) > 1:
        print(f"slope of log time on log customers: {slope(sizes, taken):.2f} (1 is linear)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        print(json.dumps(step(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main([int(size.replace(",", "").replace("_", "")) for size in sys.argv[1:]] or SIZES)
