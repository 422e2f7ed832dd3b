"""A run stopped at any step and started again ends the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from facts.home import PROJECT, Home
from facts.lake import Lake

DEADLINE_SECONDS = 60


def _kill_when(home: Home, *arguments: str, sign: str) -> None:
    """Start a command, and kill it, unasked, as soon as a file of that pattern stands in its lake."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=PROJECT,
        env=os.environ | {"REGULARS_HOME": str(home.folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not list(home.lake.glob(sign)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("sign", [".order_lines.*.partial", "order_lines-*.parquet"])
def test_a_killed_ingest_leaves_the_old_lake_and_ends_the_same(demo, run_regulars, tmp_path, sign):
    home = Home(tmp_path / "home")
    home.lake.mkdir(parents=True)
    _kill_when(home, "ingest", sign=sign)
    assert not (home.lake / "manifest.json").exists()
    assert run_regulars("status", home=home).code == 2
    assert run_regulars("ingest", home=home).code == 0
    lake, whole = Lake(home.lake), Lake(demo.home.lake)
    for name in ("customers", "products", "orders", "order_lines", "events", "quarantine"):
        assert lake.stored(name) == whole.stored(name)
    assert {path.name for path in home.lake.iterdir()} == {"manifest.json"} | {s.file for s in lake.verified().values()}


def test_a_killed_features_build_ends_the_same(demo, run_regulars, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(demo.home.lake, home.lake)
    for name in ("customer_snapshots", "customer_vectors"):
        (home.lake / f"{name}.parquet").unlink()
    _kill_when(home, "features", "build", sign=".customer_snapshots.*.partial")
    assert run_regulars("features", "build", home=home).code == 0
    for name in ("customer_snapshots", "customer_vectors"):
        assert Lake(home.lake).stored(name) == Lake(demo.home.lake).stored(name)
