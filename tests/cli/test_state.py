"""A home on which the demo has run: what stands is told, and what is damaged is named in one sentence."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from facts.home import Home
from facts.lake import Lake


@pytest.fixture
def copied(demo, tmp_path) -> Home:
    home = Home(tmp_path / "home")
    shutil.copytree(demo.home.folder, home.folder)
    return home


def test_a_home_that_was_moved_is_not_trained_in(run_regulars, copied):
    ran = run_regulars("train", "churn", "--trials", "0", home=copied)
    assert ran.code == 2
    assert f"remove {copied.folder / 'mlflow.db'} and begin anew" in ran.err


def test_too_long_a_horizon_names_the_gate(run_regulars, copied):
    before = sorted(path.name for path in copied.search.iterdir())
    ran = run_regulars("train", "clv", "--horizon-days", "300", home=copied)
    assert ran.code == 2
    assert "not enough data" in ran.err
    assert "needed" in ran.err
    assert "found" in ran.err
    assert sorted(path.name for path in copied.search.iterdir()) == before


@pytest.mark.parametrize("table", ["orders", "order_lines", "customer_snapshots"])
def test_a_damaged_table_is_named(run_regulars, copied, table):
    lake = Lake(copied.lake)
    file, *_others = [part.file for part in lake.parts(table).values()] or [lake.stored(table).file]
    path = copied.lake / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    (copied.folder / "online.json").write_text("{")
    ran = run_regulars("status", home=copied)
    assert ran.code == 2
    first, second = ran.err.splitlines()
    assert (path.name in first, "online.json" in second) == (True, True)
    assert ("run `regulars features build` again" in first) == (table == "customer_snapshots")
    for said in ("order_lines", "customer_vectors", "snapshots at 25 cutoffs", "regulars-repurchase/1"):
        assert said in ran.out


def test_a_damaged_manifest_is_named(run_regulars, copied):
    (copied.lake / "manifest.json").write_text("{")
    ran = run_regulars("status", home=copied)
    assert ran.code == 2
    assert "manifest.json" in ran.err


@pytest.mark.parametrize("name", ["booster.ubj", "model.json"])
def test_a_damaged_model_is_named(run_regulars, copied, tmp_path, name):
    from scoring.registry import champion_version

    assert champion_version(copied, "repurchase") == "1"
    for path in copied.artifacts.rglob(name):
        path.write_bytes(b"not a model")
    ran = run_regulars("score", "--output", str(tmp_path / "scores.parquet"), home=copied)
    assert ran.code == 2
    assert name in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "scores.parquet").exists()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("mlflow.db", ["score", "--output", "x.csv"]),
        ("mlflow.db", ["train", "--trials", "1"]),
        ("mlflow.db", ["status"]),
        ("registry.db", ["materialize"]),
        ("online.db", ["materialize"]),
        ("online.json", ["status"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_damaged_state_is_named(run_regulars, copied, name, command):
    (copied.folder / name).write_bytes(b"\x99 not what it was")
    ran = run_regulars(*command, home=copied)
    assert ran.code == 2
    assert name in ran.err
    assert "Traceback" not in ran.err


def test_where_every_version_was_refused_score_says_so(run_regulars, copied):
    with closing(sqlite3.connect(copied.folder / "mlflow.db")) as connection, connection:
        connection.execute("DELETE FROM registered_model_aliases")
    ran = run_regulars("score", "--output", "scores.csv", home=copied)
    assert ran.code == 2
    assert "there is no champion of any task yet; 4 versions were refused by the gate: `regulars status`" in ran.err


@pytest.mark.parametrize("name", ["online.db", "registry.db"])
def test_what_was_removed_is_made_anew(run_regulars, copied, name):
    """As the advice about a damaged one says."""
    for file in copied.folder.glob(f"{name}*"):
        file.unlink()
    assert run_regulars("materialize", home=copied).code == 0
    with closing(sqlite3.connect(copied.online_store)) as connection:
        (held,) = connection.execute("SELECT count(*) FROM regulars_customer_vector").fetchone()
    assert held > 2000


def test_serving_an_instant_before_the_online_stores_is_refused(run_regulars, demo):
    ran = run_regulars("serve", "--port", "0", "--as-of", "2017-09-25", home=demo.home)
    assert ran.code == 2
    assert "run `regulars materialize --as-of 2017-09-25T04:00:00+00:00` first" in ran.err
    assert "POST" not in ran.out


def test_a_date_is_midnight_in_the_shop(run_regulars, copied):
    assert run_regulars("materialize", "--as-of", "2017-09-25", home=copied).code == 0
    assert "online store: features as of 2017-09-25 04:00 UTC" in run_regulars("status", home=copied).out


def test_status_tells_what_stands(run_regulars, demo):
    ran = run_regulars("status", home=demo.home)
    assert ran.code == 0
    for said in (
        "Complete Journey",
        "order_lines",
        "snapshots at 25 cutoffs",
        "online store: features as of",
        "regulars-repurchase/1",
        "champion",
    ):
        assert said in ran.out
