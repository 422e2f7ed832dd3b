"""What workers run in tests: functions of a module, as a worker started anew looks them up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def prepare_sum(base: int) -> Callable[[int], int]:
    return lambda told: base + told


def prepare_error() -> Callable[[int], int]:
    def divide(told: int) -> int:
        return 1 // told

    return divide


def prepare_broken() -> Callable[[int], int]:
    raise ValueError("no folds\nand a second line")


def prepare_killed(_of: int) -> Callable[[int], int]:
    def end(told: int) -> int:
        if told < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return told

    return end


def prepare_sleep() -> Callable[[float], None]:
    return time.sleep


def prepare_parabola(once: str, seconds: float) -> Callable[[Mapping[str, Any]], tuple[float, dict[str, Any]]]:
    """Try a parabola; the first process that can make the file `once` (if named) is killed within its trial."""

    def attempt(params: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        time.sleep(seconds)
        if once and _is_first(Path(once)):
            os.kill(os.getpid(), signal.SIGKILL)
        return (params["x"] - 0.3) ** 2, {"rounds": {"rounds": 1}}

    return attempt


def _is_first(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":  # a parent that waits for its workers, to be killed by a test
    from training.workers import Workers

    # Begun in the background of a shell without job control, it would inherit that interrupts are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Workers(2, prepare_sleep) as workers:
        for number in range(2):
            workers.give(number, 600.0)
        sys.stdout.write(" ".join(str(worker.process.pid) for worker in workers._alive) + "\n")
        sys.stdout.flush()
        workers.wait(600.0)
        sys.exit("a worker ended")
