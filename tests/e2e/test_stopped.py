"""A run stopped at any step and started again ends the same (training: `tests/training/test_stopped_training.py`)."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from facts.home import Home
from facts.lake import Lake
from features.materialize import materialized_cutoff
from features.snapshots import SNAPSHOTS, VECTORS, snapshot_cutoffs
from tests.processes import kill_when, regulars

INGEST = ("ingest", "complete-journey")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def _run(home: Home, *command: str) -> None:
    ran = regulars(*command, home=home)
    assert ran.code == 0, ran.err


def test_a_killed_ingest_leaves_no_lake_and_ends_the_same(demo, home):
    """Killed while the largest table is written, then when it stands and no manifest names it."""
    for sign in (".order_lines.*.partial", "order_lines-*.parquet"):
        kill_when(lambda: any(home.lake.glob(sign)), *INGEST, home=home)  # noqa: B023 - called at once
        assert not (home.lake / "manifest.json").exists()
        assert regulars("status", home=home).code == 2
    _run(home, *INGEST)
    lake, whole = Lake(home.lake), Lake(demo.home.lake)
    for name in ("customers", "products", "orders", "order_lines", "events", "quarantine"):
        assert lake.stored(name) == whole.stored(name)
    assert not lake.damages()
    named = {stored.file for stored in lake.listed().values()}
    assert {path.name for path in home.lake.iterdir() if not path.name.startswith(".lock")} == {"manifest.json"} | named


def test_a_damaged_snapshot_is_refused_and_a_killed_build_mends_it(demo, home):
    shutil.copytree(demo.home.lake, home.lake)
    lake, whole = Lake(home.lake), Lake(demo.home.lake)
    sound = {name: whole.stored(name) for name in (SNAPSHOTS, VECTORS)}
    parts = sorted(lake.path(SNAPSHOTS).glob("*.parquet"))
    parts[-1].write_bytes(parts[-1].read_bytes()[:-1000])
    for part in parts[:-1]:
        part.unlink()
    refused = regulars("status", home=home)
    assert refused.code == 2
    assert f"damaged file {lake.path(SNAPSHOTS)}" in refused.err
    kill_when(parts[2].exists, "features", "build", home=home)
    assert not parts[-2].exists()
    _run(home, "features", "build")
    assert {name: lake.stored(name) for name in (SNAPSHOTS, VECTORS)} == sound


def test_a_killed_materialization_ends_the_same(demo, home):
    """Killed as the tables are made, as the vectors are there, and as later ones are written over them."""
    whole = Home(home.folder.with_name("whole"))
    for folder in (home.lake, whole.lake):
        shutil.copytree(demo.home.lake, folder)
    *_, early, _between, late = (cutoff.isoformat() for cutoff in snapshot_cutoffs(Lake(home.lake)))
    for instant in (early, late):
        _run(whole, "materialize", "--as-of", instant)
    kill_when(home.online_store.with_name("online.db-journal").exists, "materialize", "--as-of", early, home=home)
    kill_when(lambda: bool(_online(home)), "materialize", "--as-of", early, home=home)
    _run(home, "materialize", "--as-of", early)
    written = _wal_bytes(home)
    kill_when(lambda: _wal_bytes(home) > written, "materialize", "--as-of", late, home=home)
    _run(home, "materialize", "--as-of", late)
    assert _online(home) == _online(whole)
    assert len(_online(home)) > 2000
    assert materialized_cutoff(home) == materialized_cutoff(whole)


def _online(home: Home) -> list[tuple[object, ...]]:
    """Return what the online store holds of every customer, but for when it was written; nothing before it stands."""
    try:
        with closing(sqlite3.connect(f"file:{home.online_store}?mode=ro", uri=True)) as connection:
            columns = "entity_key, feature_name, value, event_ts"
            return connection.execute(f"SELECT {columns} FROM regulars_customer_vector ORDER BY 1, 2").fetchall()  # noqa: S608
    except sqlite3.OperationalError:
        return []


def _wal_bytes(home: Home) -> int:
    path = home.online_store.with_name("online.db-wal")
    return path.stat().st_size if path.exists() else 0
