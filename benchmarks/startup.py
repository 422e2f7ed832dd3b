"""`regulars --help`, beside Python alone and Python with Typer."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import ROOT, Figure

HELP_SECONDS = 0.4
REPEATS = 7


def bench_startup(_work: Path) -> list[Figure]:
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
    for _ in range(REPEATS):
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
        repeats=REPEATS,
        goal=f"under {HELP_SECONDS:g} s" if has_goal else "",
        is_met=seconds < HELP_SECONDS if has_goal else None,
    )
