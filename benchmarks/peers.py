"""One peer, one run, one process: `python -m benchmarks.peers PEER LAKE OUTPUT EVERY` prints seconds and peak memory.

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

from benchmarks.duckdb_sql import sql_features
from benchmarks.pandas_features import pandas_features, read_frames
from facts.lake import MEMORY_LIMIT, Lake
from features.build import default_cutoffs
from features.snapshot import NEEDED_FACTS, snapshot


def run_regulars(lake: Lake, cutoffs: Sequence[datetime], output: Path) -> None:
    """Compute the features with this project's snapshot."""
    with lake.connect() as connection:
        facts = {name: lake.table(connection, name) for name in NEEDED_FACTS}
        snapshot(facts, cutoffs).to_parquet(output, compression="zstd")


def run_sql(lake: Lake, cutoffs: Sequence[datetime], output: Path) -> None:
    """Compute the features with SQL written by hand."""
    paths = {name: lake.folder / lake.stored(name).file for name in NEEDED_FACTS}
    sql_features(paths, cutoffs, output, memory_limit=MEMORY_LIMIT, spill=output.with_suffix(".spill"))


def run_pandas(lake: Lake, cutoffs: Sequence[datetime], output: Path) -> None:
    """Compute the features with pandas."""
    paths = {name: lake.folder / lake.stored(name).file for name in NEEDED_FACTS}
    pandas_features(read_frames(paths), cutoffs).to_parquet(output, index=False, compression="zstd")


PEERS: Mapping[str, Callable[[Lake, Sequence[datetime], Path], None]] = {
    "regulars": run_regulars,
    "sql": run_sql,
    "pandas": run_pandas,
}


def peak_memory_bytes() -> int:
    """Return the most memory this process has held; the kernel's figure for it, without its parent's."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))):
        return int(found[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(peer: str, lake_folder: str, output: str, every: str) -> None:
    """Run one peer at every n-th cutoff, the last one always among them."""
    lake = Lake(Path(lake_folder))
    cutoffs = default_cutoffs(lake.shop())[:: -int(every)]
    ibis.duckdb.connect().disconnect()  # loads the backend, which counts as an import
    started = time.perf_counter()
    PEERS[peer](lake, cutoffs, Path(output))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_memory_bytes(), "cutoff_count": len(cutoffs)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
