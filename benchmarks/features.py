"""The demo's snapshot features: this project, SQL written by hand, and pandas.

Each run is a process of its own, and runs of peers alternate, so that a busy machine is as unkind to one as to the
other; the median of the repeats counts. What the peers say must be the same, bit for bit.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.figures import GIGABYTE, ROOT, Figure
from facts.ingest import ingest, read_source
from facts.lake import Lake

TIMES_PANDAS, TIMES_SQL = 20.0, 1.2
REPEATS = 3


def bench_features(work: Path) -> list[Figure]:
    """Compute the demo's snapshot features with this project, hand-written SQL and pandas."""
    lake = work / "features"
    ingest(read_source("complete-journey"), Lake(lake))
    outputs = {peer: work / f"{peer}.parquet" for peer in ("regulars", "sql", "pandas_shared", "pandas")}
    runs: dict[str, list[dict[str, float]]] = {peer: [] for peer in outputs}
    for peer in (*["regulars", "sql"] * REPEATS, "pandas_shared", "pandas"):
        runs[peer].append(_run_peer(peer, lake, outputs[peer]))
    differing = {peer: _differing_values(outputs["regulars"], outputs[peer]) for peer in runs}
    return [_feature_figure(peer, runs, differing[peer]) for peer in runs]


def _run_peer(peer: str, lake: Path, output: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.peers", peer, str(lake), str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _feature_figure(peer: str, runs: Mapping[str, Sequence[Mapping[str, float]]], differing: int) -> Figure:
    names = {
        "regulars": "regulars: features.snapshot",
        "sql": "DuckDB SQL by hand",
        "pandas": "pandas groupby, cutoff by cutoff",
        "pandas_shared": "pandas groupby, shared merges hoisted",
    }
    own, ours = (statistics.median(run["seconds"] for run in runs[name]) for name in (peer, "regulars"))
    own_cpu, our_cpu = (statistics.median(run["cpu_seconds"] for run in runs[name]) for name in (peer, "regulars"))
    ratio = own / ours
    goals = {
        "sql": (
            f"regulars at most {TIMES_SQL:g} x",
            1 / ratio <= TIMES_SQL,
            f"regulars takes {1 / ratio:.2f} x ({our_cpu / own_cpu:.2f} x CPU)",
        ),
        "pandas": (f"regulars at least {TIMES_PANDAS:g} x faster", ratio >= TIMES_PANDAS, f"{ratio:.1f} x slower"),
        "pandas_shared": ("", None, f"{ratio:.1f} x slower"),
    }
    goal, is_met, note = goals.get(peer, ("", None, f"{runs[peer][0]['cutoff_count']:.0f} cutoffs"))
    return Figure(
        part="features",
        subject=names[peer],
        seconds=own,
        cpu_seconds=own_cpu,
        repeats=len(runs[peer]),
        peak_gigabytes=max(run["peak_bytes"] for run in runs[peer]) / GIGABYTE,
        note=note if peer == "regulars" else f"{note}; {differing or 'no'} values differ",
        goal=goal,
        is_met=is_met if differing == 0 or is_met is None else False,
    )


def _differing_values(one: Path, other: Path) -> int:
    """Count the feature values that are not the same bits in two results; a different shape differs everywhere."""
    left, right = (pq.read_table(path) for path in (one, other))
    if (left.num_rows, left.column_names) != (right.num_rows, right.column_names):
        return left.num_rows * left.num_columns
    pairs = ((left[name].to_numpy(), right[name].to_numpy()) for name in left.column_names[2:])
    keys = sum(left[name].to_pylist() != right[name].to_pylist() for name in left.column_names[:2])
    return keys + sum(int((~((a == b) | (np.isnan(a) & np.isnan(b)))).sum()) for a, b in pairs)
