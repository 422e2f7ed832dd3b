"""Side by side, in one run, this project and its peers: `make bench`, or `python -m benchmarks [PART ...]`.

Figures go to a table and, as JSON, to benchmarks/results/. A part that grows with the shop (`scale`) takes most of the
time: an hour or two on two cores, most of it for the million.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.demo import bench_demo
from benchmarks.events import bench_events
from benchmarks.features import bench_features
from benchmarks.figures import ROOT, Figure, show, write
from benchmarks.live import bench_live
from benchmarks.recommender.scale import bench_shelves
from benchmarks.scale import bench_scale
from benchmarks.startup import bench_startup

PARTS: Mapping[str, Callable[[Path], list[Figure]]] = {
    "startup": bench_startup,
    "features": bench_features,
    "live": bench_live,
    "demo": bench_demo,
    "events": bench_events,
    "shelves": bench_shelves,
    "scale": bench_scale,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that were asked for, all of them by default, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART", help=f"{', '.join(PARTS)}; all by default"
    )
    chosen = parser.parse_args(arguments).parts or list(PARTS)
    console = Console(width=None if sys.stdout.isatty() else 150)
    started_at = datetime.now(tz=UTC)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as work:
        for part in chosen:
            with console.status(f"{part} ..."):
                figures += PARTS[part](Path(work))
            show([figure for figure in figures if figure.part == part], console)
    console.print(f"written to {write(figures, at=started_at).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
