"""The command line in a process of its own, as a user runs it.

What takes longest is to import the libraries, so a process that has imported them, and nothing of this project, is
kept: a command is a fork of it. `cold` starts Python anew.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facts.home import PROJECT, Home

LIBRARIES = [
    "IPython.display",
    "alembic.command",
    "feast.infra.compute_engines.local.compute",
    "feast.infra.offline_stores.duckdb",
    "feast.infra.online_stores.sqlite",
    "feast.infra.passthrough_provider",
    "feast.repo_operations",
    "ibis.backends.duckdb",
    "matplotlib.backends.backend_agg",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna",
    "pyarrow.parquet",
    "rich.progress",
    "scipy.stats",
    "sklearn.isotonic",
    "sklearn.linear_model",
    "sqlalchemy.dialects.sqlite",
    "typer",
    "xgboost",
]
DEADLINE_SECONDS, POLL_SECONDS = 500, 0.004
_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(LIBRARIES)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: its exit code and what it said."""

    code: int
    out: str
    err: str


def regulars(*arguments: str, home: Home) -> Ran:
    """Run the command line on one home."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = _start(arguments, home, out, err)
        process.join(DEADLINE_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(
                f"regulars {' '.join(arguments)} ran for {DEADLINE_SECONDS} s; {err.read_text()[-2000:]}"
            )
        return Ran(process.exitcode, out.read_text(), err.read_text())


def cold(*arguments: str, home: Home) -> Ran:
    """Run the command line on one home, Python started anew."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=PROJECT,
        env=_environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def kill_when(is_time: Callable[[], bool], *arguments: str, home: Home) -> None:
    """Start a command, and kill it, unasked, as soon as it is time; fail where it ends before."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = _start(arguments, home, out, err)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while process.is_alive() and not is_time() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, out.read_text()[-2000:] + err.read_text()[-2000:]


def _start(arguments: tuple[str, ...], home: Home, out: Path, err: Path) -> multiprocessing.process.BaseProcess:
    process = _warm.Process(target=_become, args=(arguments, _environment(home), str(out), str(err)))
    process.start()
    return process


def _become(arguments: tuple[str, ...], environment: dict[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(PROJECT)
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.argv = ["regulars", *arguments]
    from cli.main import run

    run()


def _environment(home: Home) -> dict[str, str]:
    return os.environ | {"REGULARS_HOME": str(home.folder), "COLUMNS": "150"}
