"""`regulars demo` in a fresh home, from nothing to a served answer, and the memory of its whole process tree."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import psutil

from benchmarks.figures import GIGABYTE, ROOT, Figure
from facts.home import Home

DEMO_SECONDS, DEMO_GIGABYTES = 240.0, 3.0


def bench_demo(work: Path) -> list[Figure]:
    """Time the demo; its home is kept in `work` for the parts that need something to serve."""
    seconds, peak_bytes, failure = _run_demo(work)
    gigabytes = peak_bytes / GIGABYTE
    return [
        Figure(
            part="demo",
            subject="regulars demo, fresh home",
            seconds=seconds,
            peak_gigabytes=gigabytes,
            note=failure or "RSS summed over the process tree",
            goal=f"at most {DEMO_SECONDS:g} s and {DEMO_GIGABYTES:g} GB",
            is_met=not failure and seconds <= DEMO_SECONDS and gigabytes <= DEMO_GIGABYTES,
        )
    ]


def demo_home(work: Path) -> Home:
    """Return the home that the demo left in `work`; run it where it has not run yet.

    Raises
    ------
    RuntimeError
        The demo failed.
    """
    _seconds, _peak_bytes, failure = _run_demo(work)
    if failure:
        raise RuntimeError(f"the demo failed: {failure}")
    return Home(work / "home")


@cache
def _run_demo(work: Path) -> tuple[float, int, str]:
    """Return its seconds, the most that its processes held together, and what it said last where it failed."""
    started = time.perf_counter()
    with (work / "demo.log").open("w+", encoding="utf-8") as log:
        environment = os.environ | {"REGULARS_HOME": str(work / "home")}
        command = [sys.executable, "-m", "cli.main", "demo"]
        demo = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        peak_bytes = _watch_memory(demo)
        seconds = time.perf_counter() - started
        log.seek(0)
        last_words = " ".join(log.read().split()[-40:])
    return seconds, peak_bytes, f"exit code {demo.returncode}: {last_words}" if demo.returncode else ""


def _watch_memory(process: subprocess.Popen[bytes], *, every_seconds: float = 0.1) -> int:
    """Wait for a process and return the most that it and its descendants held together; shared pages count twice."""
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
