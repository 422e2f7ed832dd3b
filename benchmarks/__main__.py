"""Side by side, in one run, this project and its peers: `make bench`, or `python -m benchmarks [PART ...]`.

Figures go to a table and, as JSON, to benchmarks/results/. Runs of peers alternate, so that a busy machine is as unkind
to one as to the other; the median of the repeats counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
GIGABYTE = 1e9

TIMES_PANDAS, TIMES_SQL = 20.0, 1.2
HELP_SECONDS = 0.4
DEMO_SECONDS, DEMO_GIGABYTES = 240.0, 3.0
REPEATS, HELP_REPEATS = 3, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report: what was measured, and how it stands to its goal where it has one."""

    part: str
    subject: str
    seconds: float | None = None
    cpu_seconds: float | None = None
    repeats: int = 1
    peak_gigabytes: float | None = None
    note: str = ""
    goal: str = ""
    is_met: bool | None = None


def bench_features() -> list[Figure]:
    """Compute the demo's snapshot features with this project, hand-written SQL and pandas."""
    from facts.ingest import ingest, read_source
    from facts.lake import Lake

    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder:
        lake = Path(folder) / "lake"
        ingest(read_source("complete-journey"), Lake(lake))
        runs: dict[str, list[dict[str, float]]] = {"regulars": [], "sql": [], "pandas": [], "pandas_shared": []}
        for peer in (*["regulars", "sql"] * REPEATS, "pandas_shared", "pandas"):
            runs[peer].append(_run_peer(peer, lake, Path(folder) / f"{peer}.parquet"))
        outputs = {peer: Path(folder) / f"{peer}.parquet" for peer in runs}
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


def bench_startup() -> list[Figure]:
    """Time `regulars --help`, beside Python alone and Python with Typer."""
    regulars = Path(sys.executable).with_name("regulars")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        'python -c "import typer"': [sys.executable, "-c", "import typer"],
        "regulars --help": [str(regulars), "--help"],
    }
    if not regulars.exists():
        return [Figure(part="startup", subject="regulars --help", note="skipped: `regulars` is not installed here")]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(HELP_REPEATS):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - started)
    return [_startup_figure(name, statistics.median(times)) for name, times in seconds.items()]


def _startup_figure(name: str, seconds: float) -> Figure:
    has_goal = name == "regulars --help"
    return Figure(
        part="startup",
        subject=name,
        seconds=seconds,
        repeats=HELP_REPEATS,
        goal=f"under {HELP_SECONDS:g} s" if has_goal else "",
        is_met=seconds < HELP_SECONDS if has_goal else None,
    )


def bench_demo() -> list[Figure]:
    """Run the demo in a fresh home and sample the memory of its whole process tree."""
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as home:
        started = time.perf_counter()
        with (Path(home) / "demo.log").open("w+", encoding="utf-8") as log:
            environment = os.environ | {"REGULARS_HOME": str(Path(home) / "home")}
            command = [sys.executable, "-m", "cli.main", "demo"]
            demo = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
            peak_bytes = _watch_memory(demo)
            seconds = time.perf_counter() - started
            log.seek(0)
            last_lines = " ".join(log.read().split()[-40:])
    is_done, gigabytes = demo.returncode == 0, peak_bytes / GIGABYTE
    return [
        Figure(
            part="demo",
            subject="regulars demo, fresh home",
            seconds=seconds,
            peak_gigabytes=gigabytes,
            note="RSS summed over the process tree" if is_done else f"exit code {demo.returncode}: {last_lines}",
            goal=f"at most {DEMO_SECONDS:g} s and {DEMO_GIGABYTES:g} GB",
            is_met=is_done and seconds <= DEMO_SECONDS and gigabytes <= DEMO_GIGABYTES,
        )
    ]


def _watch_memory(process: subprocess.Popen[bytes], *, every_seconds: float = 0.1) -> int:
    """Wait for a process and return the most that it and its descendants held together; shared pages count twice."""
    import psutil

    peak_bytes, root = 0, psutil.Process(process.pid)
    while process.poll() is None:
        held = 0
        try:
            for member in [root, *root.children(recursive=True)]:
                held += member.memory_info().rss
        except psutil.NoSuchProcess:  # ended while it was counted
            continue
        peak_bytes = max(peak_bytes, held)
        time.sleep(every_seconds)
    return peak_bytes


PARTS: Mapping[str, Callable[[], list[Figure]]] = {
    "features": bench_features,
    "startup": bench_startup,
    "demo": bench_demo,
}


def _show(figures: Sequence[Figure], console: Console) -> None:
    table = Table(title="Regulars and its peers", title_justify="left")
    for name in ("", "subject"):
        table.add_column(name)
    for name in ("seconds", "CPU s", "runs", "peak GB"):
        table.add_column(name, justify="right")
    for name in ("", "goal", "verdict"):
        table.add_column(name)
    verdicts = {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}
    for figure in figures:
        measured = [figure.seconds, figure.cpu_seconds, figure.repeats, figure.peak_gigabytes]
        formats = ["{:.2f}", "{:.1f}", "{}", "{:.2f}"]
        told = ["" if value is None else form.format(value) for value, form in zip(measured, formats, strict=True)]
        cells = (figure.part, figure.subject, *told, figure.note, figure.goal)
        table.add_row(*cells, verdicts[figure.is_met])
    console.print(table)


def _write(figures: Sequence[Figure], *, at: datetime) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    machine = {"cpu_count": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    path = RESULTS / f"{at:%Y%m%dT%H%M%SZ}.json"
    report = {"at": at.isoformat(), "machine": machine, "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that were asked for, all of them by default, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART", help=f"{', '.join(PARTS)}; all by default"
    )
    chosen = parser.parse_args(arguments).parts or list(PARTS)
    console, started_at = Console(), datetime.now(tz=UTC)
    figures: list[Figure] = []
    for part in chosen:
        with console.status(f"{part} ..."):
            figures += PARTS[part]()
    _show(figures, console)
    console.print(f"written to {_write(figures, at=started_at).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
