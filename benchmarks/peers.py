"""One peer, one run, one process: `python -m benchmarks.peers PEER LAKE OUTPUT` prints its seconds and peak memory.

A process of its own, because peak memory is a figure of a process. Imports are not counted; opening the tables,
compiling the query and writing the result to Parquet are.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import ibis
import pandas as pd

from benchmarks.duckdb_sql import sql_features
from benchmarks.pandas_features import pandas_features, read_frames
from facts.lake import MEMORY_LIMIT, Lake
from features.build import default_cutoffs
from features.catalog import Feature, names_of, of_shop
from features.engines import open_engine
from features.measures import BuyTillYouDie, OnRecord
from features.snapshot import NEEDED_FACTS, snapshot


def run_regulars(lake: Lake, cutoffs: Sequence[datetime], output: Path) -> None:
    """Compute the features with this project's snapshot."""
    with open_engine("duckdb", lake) as engine:
        facts = engine.facts
        kinds = facts["orders"].kind.as_table().distinct().execute()["kind"].tolist()
        has_corrections = bool(facts["orders"].superseded_at.notnull().any().execute())
        rows = snapshot(facts, cutoffs, _features(lake), kinds=kinds, has_corrections=has_corrections)
        rows.to_parquet(output, compression="zstd")


def run_sql(lake: Lake, cutoffs: Sequence[datetime], output: Path) -> None:
    """Compute the features with SQL written by hand."""
    sql_features(_paths(lake), cutoffs, output, memory_limit=MEMORY_LIMIT, spill=output.with_suffix(".spill"))


def run_pandas(lake: Lake, cutoffs: Sequence[datetime], output: Path) -> None:
    """Compute the features with pandas as most people would: a function of one cutoff, called for each of them."""
    frames = read_frames(_paths(lake))
    names = names_of(_features(lake))
    rows = [pandas_features(frames, [cutoff], names) for cutoff in cutoffs]
    pd.concat(rows, ignore_index=True).to_parquet(output, index=False, compression="zstd")


def run_pandas_shared(lake: Lake, cutoffs: Sequence[datetime], output: Path) -> None:
    """Compute the features with pandas, the merges that all cutoffs share done once."""
    rows = pandas_features(read_frames(_paths(lake)), cutoffs, names_of(_features(lake)))
    rows.to_parquet(output, index=False, compression="zstd")


PEERS: Mapping[str, Callable[[Lake, Sequence[datetime], Path], None]] = {
    "regulars": run_regulars,
    "sql": run_sql,
    "pandas": run_pandas,
    "pandas_shared": run_pandas_shared,
}


def _features(lake: Lake) -> tuple[Feature, ...]:
    """Return the shop's features, but for those of a model that is fitted on the others."""
    return tuple(f for f in of_shop(lake.shop().has) if not isinstance(f.measure, BuyTillYouDie | OnRecord))


def _paths(lake: Lake) -> dict[str, Path]:
    return {name: lake.folder / lake.stored(name).file for name in NEEDED_FACTS}


def peak_memory_bytes() -> int:
    """Return the most memory this process has held, without what its parent held when it started it."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))):
        return int(found[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(peer: str, lake_folder: str, output: str) -> None:
    """Run one peer at the demo's cutoffs."""
    lake = Lake(Path(lake_folder))
    cutoffs = default_cutoffs(lake.shop())
    ibis.duckdb.connect().disconnect()  # loads the backend, which counts as an import
    started, cpu_started = time.perf_counter(), time.process_time()
    PEERS[peer](lake, cutoffs, Path(output))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    figures = {"seconds": seconds, "cpu_seconds": cpu_seconds}
    print(json.dumps(figures | {"peak_bytes": peak_memory_bytes(), "cutoff_count": len(cutoffs)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
